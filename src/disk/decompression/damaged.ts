import { systemErrorCode } from '../../transfer/errors.ts'
import { DiskError } from '../errors.ts'

/** The error for a stream that does not decompress; `what` completes "The … stream". */
export function damaged(wrapping: string, what: string, offset?: number): DiskError {
  return new DiskError('IMAGE_STREAM_DAMAGED', `The ${wrapping} stream ${what}.`, {
    details: offset === undefined ? {} : { offset },
  })
}

export function cutShort(wrapping: string, offset: number): DiskError {
  return new DiskError('IMAGE_TRUNCATED', `The ${wrapping} stream ends before its end mark.`, {
    details: { offset },
  })
}

/** The DiskError for what a decompressor of node:zlib throws; other errors stay as they are. */
export function decompressionError(error: unknown, wrapping: string, offset: number): unknown {
  const code = systemErrorCode(error)
  if (code === 'Z_BUF_ERROR') return cutShort(wrapping, offset)
  if (code?.startsWith('Z_') || code?.startsWith('ZSTD_')) {
    return damaged(wrapping, `is damaged: ${error instanceof Error ? error.message : code}`, offset)
  }
  return error
}

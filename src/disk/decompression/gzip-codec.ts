import { createGunzip } from 'node:zlib'
import { type AbortOptions, throwIfCancelled } from '../../core/abort.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { isZero } from '../../transfer/zeros.ts'
import type { Codec } from './codec.ts'
import { damaged, decompressionError } from './damaged.ts'
import { decompressorOptions, decompressStream } from './decompress-stream.ts'
import { sourcePieces } from './source-pieces.ts'

/**
 * gzip (RFC 1952): one member or many, one behind the other, and zeros behind the last, as tapes have them. Each has its
 * CRC-32 and length compared. Node cannot begin to inflate in the middle, so there are no restart points.
 */
export const gzipCodec: Codec = {
  wrapping: 'gzip',
  async *decode(source, { signal, onProgress } = {}) {
    const gunzip = createGunzip(decompressorOptions)
    try {
      yield* decompressStream(gunzip, sourcePieces(source, { signal, onProgress }))
    } catch (error) {
      throwIfCancelled(signal)
      throw decompressionError(error, 'gzip', gunzip.bytesWritten)
    }
    await checkPadding(source, gunzip.bytesWritten, { signal })
  },
}

/** The inflater stops at zeros behind a member and says nothing of what comes after them. */
async function checkPadding(source: RandomAccessSource, from: number, options: AbortOptions): Promise<void> {
  for await (const piece of sourcePieces(source, { from, ...options })) {
    if (!isZero(piece)) throw damaged('gzip', 'is followed by something else', from)
  }
}

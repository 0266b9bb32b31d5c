import { constants, deflateRawSync, zstdCompressSync } from 'node:zlib'
import { MiB } from '../../core/bytes.ts'
import type { BlockCompression } from './compress-blocks.ts'

/** A compressed stream that can be put together from blocks which were compressed apart from each other. */
export interface StreamFormat {
  readonly compression: BlockCompression
  readonly head: Uint8Array
  /** A part of the stream from as many bytes as there are. */
  compress(bytes: Uint8Array): Buffer
  /** What the stream ends with, when that much of that CRC-32 went in. */
  tail(length: number, checksum: number): Uint8Array
}

/** Of 1 MiB, since every block starts anew with what it knows; larger ones save less than 1 %. */
const blockSize = MiB

/** One member of gzip (RFC 1952): parts that end with a flush, so that the next may follow. */
export function gzipStream(level: number): StreamFormat {
  return {
    compression: { method: 'deflate', level, blockSize, keepIncompressible: false, asStream: true },
    // Deflate, no name, no time, so that the same content gives the same file; of an unknown system.
    head: Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]),
    compress: (bytes) => deflateRawSync(bytes, { level, memLevel: 9, finishFlush: constants.Z_SYNC_FLUSH }),
    tail(length, checksum) {
      // A last block of fixed codes with nothing in it.
      const tail = Buffer.from([3, 0, 0, 0, 0, 0, 0, 0, 0, 0])
      tail.writeUInt32LE(checksum, 2)
      tail.writeUInt32LE(length % 2 ** 32, 6)
      return tail
    },
  }
}

/** Frames of Zstandard (RFC 8878), each with its size and checksum. */
export function zstdStream(level: number): StreamFormat {
  const compress = (bytes: Uint8Array) =>
    zstdCompressSync(bytes, {
      params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 },
      pledgedSrcSize: bytes.length,
    })
  return {
    compression: { method: 'zstd', level, blockSize, keepIncompressible: false, asStream: true },
    head: Buffer.alloc(0),
    compress,
    // Nothing at all would be no stream.
    tail: (length) => (length === 0 ? compress(Buffer.alloc(0)) : Buffer.alloc(0)),
  }
}

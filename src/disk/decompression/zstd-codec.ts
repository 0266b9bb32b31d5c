import { constants, createZstdDecompress } from 'node:zlib'
import { throwIfCancelled } from '../../core/abort.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import type { Codec, DecodeOptions, RestartPoint } from './codec.ts'
import { decompressionError } from './damaged.ts'
import { decompressorOptions, decompressStream, type Produced } from './decompress-stream.ts'
import { sourcePieces } from './source-pieces.ts'
import { frameWalker, maximumWindowLog } from './zstd-frames.ts'

/**
 * Zstandard (RFC 8878): one frame or many, skippable frames among them passed over. Each frame that has a checksum has it
 * compared, and every frame is a restart point.
 */
export const zstdCodec: Codec = {
  wrapping: 'zstd',
  async *decode(source, options = {}) {
    const { from, signal } = options
    const decompressor = createZstdDecompress({
      ...decompressorOptions,
      params: { [constants.ZSTD_d_windowLogMax]: maximumWindowLog },
    })
    const produced: Produced = { bytes: 0 }
    const place = { compressed: from?.compressed ?? 0, plain: from?.plain ?? 0 }
    try {
      yield* decompressStream(decompressor, frameParts(source, produced, place, options), produced)
    } catch (error) {
      throwIfCancelled(signal)
      throw decompressionError(error, 'zstd', place.compressed)
    }
  },
}

/** `place` is kept at the end of what the decompressor has taken. */
async function* frameParts(
  source: RandomAccessSource,
  produced: Produced,
  place: { -readonly [Key in keyof RestartPoint]: RestartPoint[Key] },
  { signal, onProgress, onRestartPoint }: DecodeOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const walker = frameWalker(place.compressed)
  const { plain } = place
  for await (const piece of sourcePieces(source, { from: place.compressed, signal, onProgress })) {
    for (const { bytes, end } of walker.take(piece)) {
      yield bytes
      if (end === null) continue
      place.compressed = end
      place.plain = plain + produced.bytes
      onRestartPoint?.({ ...place })
    }
  }
  walker.finish()
}

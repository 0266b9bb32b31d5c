import { MiB } from '../core/bytes.ts'
import type { RandomAccessSource, StreamOptions } from './byte-source.ts'
import { TransferError } from './errors.ts'

const chunkLength = MiB

/** A `stream` for a source that has none of its own, or one that must not be begun. Memory is 1 MiB a chunk. */
export async function* streamByReading(
  source: Pick<RandomAccessSource, 'name' | 'size' | 'read'>,
  { start = 0, end = source.size, signal, transient = false }: StreamOptions = {},
): AsyncGenerator<Uint8Array, void, undefined> {
  const last = Math.min(end, source.size)
  const shared = transient ? Buffer.allocUnsafeSlow(Math.min(chunkLength, Math.max(0, last - start))) : null
  for (let position = start; position < last; ) {
    const length = Math.min(chunkLength, last - position)
    const chunk = (shared ?? Buffer.allocUnsafeSlow(length)).subarray(0, length)
    const filled = await source.read(chunk, position, { signal })
    if (filled < length) {
      throw new TransferError('SOURCE_CHANGED', `${source.name} ends at ${position + filled}.`)
    }
    yield chunk
    position += length
  }
}

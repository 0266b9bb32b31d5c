import type { AbortOptions } from '../core/abort.ts'
import { KiB, MiB } from '../core/bytes.ts'
import type { ByteRange, RandomAccessSource } from './byte-source.ts'
import { forEachNonZeroRun } from './zeros.ts'

/** Runs are told apart from holes in steps of this many bytes. */
const granule = 64 * KiB
const bufferSize = 2 * MiB

/**
 * Finds the runs of a source that hold something else than zeros by reading all of it, for sources that cannot tell
 * their holes. Time follows the size, not the data: some GiB/s for holes of a local file. Memory is 2 MiB.
 */
export async function* scanForData(
  source: Pick<RandomAccessSource, 'size' | 'read'>,
  options: AbortOptions = {},
): AsyncGenerator<ByteRange, void, undefined> {
  const buffer = Buffer.allocUnsafeSlow(Math.min(bufferSize, source.size))
  let start = 0
  let end = 0
  for (let position = 0; position < source.size; position += bufferSize) {
    const filled = await source.read(buffer, position, options)
    const finished: ByteRange[] = []
    forEachNonZeroRun(buffer.subarray(0, filled), granule, (from, to) => {
      if (position + from > end) {
        if (end > start) finished.push({ offset: start, length: end - start })
        start = position + from
      }
      end = position + to
    })
    yield* finished
  }
  if (end > start) yield { offset: start, length: end - start }
}

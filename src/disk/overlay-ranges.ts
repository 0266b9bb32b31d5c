import { type ByteRanges, rangeEnd, rangeStart } from './byte-ranges.ts'
import type { Extent } from './disk.ts'

/**
 * The runs of `lower` and all of `upper` within [0, size), in order; where they overlap there is `upper`, whose runs are
 * of `kind`.
 */
export async function* overlayRanges(
  lower: AsyncIterable<Extent>,
  { upper, kind, size }: { upper: ByteRanges; kind: Extent['kind']; size: number },
): AsyncGenerator<Extent, void, undefined> {
  let index = 0
  let covered = 0
  const next = (): Extent => {
    const offset = rangeStart(upper, index)
    covered = Math.min(rangeEnd(upper, index), size)
    index += 1
    return { offset, length: covered - offset, kind }
  }
  for await (const { offset, length, kind: lowerKind } of lower) {
    const end = offset + length
    let from = offset
    while (rangeStart(upper, index) < end) {
      from = Math.max(from, covered)
      const to = rangeStart(upper, index)
      if (to > from) yield { offset: from, length: to - from, kind: lowerKind }
      yield next()
    }
    from = Math.max(from, covered)
    if (end > from) yield { offset: from, length: end - from, kind: lowerKind }
  }
  while (rangeStart(upper, index) < size) yield next()
}

/** The changes of a disk that is nobody's view. */
export async function* noRuns(): AsyncGenerator<Extent, void, undefined> {
  // There are none.
}

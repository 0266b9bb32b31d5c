import type { Extent } from './disk.ts'

/** The same extents with neighbours of one kind made one. */
export async function* mergeExtents(
  extents: AsyncIterable<Extent> | Iterable<Extent>,
): AsyncGenerator<Extent, void, undefined> {
  let pending: Extent | undefined
  for await (const extent of extents) {
    if (pending?.kind === extent.kind) {
      pending = { ...pending, length: pending.length + extent.length }
    } else {
      if (pending) yield pending
      pending = extent
    }
  }
  if (pending) yield pending
}

import { type AbortOptions, throwIfCancelled } from '../core/abort.ts'
import { MiB } from '../core/bytes.ts'
import type { Change } from '../transfer/redo-log.ts'
import { isZero } from '../transfer/zeros.ts'
import type { Disk, Extent } from './disk.ts'
import { noRuns } from './overlay-ranges.ts'

const granule = 4096
const pieceSize = MiB

/**
 * Where a view differs from the disk it is a view of, in order. Cost follows the view's changes: nothing else is read,
 * and zeros over zeros are no difference. `data` is valid until the next one is asked for.
 */
export async function* differences(
  view: Disk,
  base: Disk,
  options: AbortOptions = {},
): AsyncGenerator<Change, void, undefined> {
  const data = Buffer.allocUnsafe(pieceSize)
  const before = Buffer.allocUnsafe(pieceSize)
  for await (const run of withinData(view.changes?.(options) ?? noRuns(), base.extents(options))) {
    throwIfCancelled(options.signal)
    for (let offset = run.offset, end = run.offset + run.length; offset < end; offset += pieceSize) {
      const length = Math.min(pieceSize, end - offset)
      await base.read(before.subarray(0, length), offset, options)
      if (run.kind === 'zero') {
        if (!isZero(before, 0, length)) yield { offset, length, data: null }
        continue
      }
      await view.read(data.subarray(0, length), offset, options)
      yield* compare(data.subarray(0, length), before.subarray(0, length), offset)
    }
  }
}

/** The changes with zeros cut down to where the base has data; both are in order. */
async function* withinData(
  changes: AsyncIterable<Extent>,
  extents: AsyncIterable<Extent>,
): AsyncGenerator<Extent, void, undefined> {
  const base = extents[Symbol.asyncIterator]()
  let current = await base.next()
  try {
    for await (const change of changes) {
      if (change.kind === 'data') {
        yield change
        continue
      }
      const end = change.offset + change.length
      while (!current.done) {
        const extent = current.value
        const from = Math.max(change.offset, extent.offset)
        const to = Math.min(end, extent.offset + extent.length)
        if (extent.kind === 'data' && to > from) yield { offset: from, length: to - from, kind: 'zero' }
        if (extent.offset + extent.length > end) break
        current = await base.next()
      }
    }
  } finally {
    await base.return?.()
  }
}

function* compare(data: Buffer, before: Buffer, offset: number): Generator<Change, void, undefined> {
  let start = -1
  for (let from = 0; from < data.length; from += granule) {
    const to = Math.min(from + granule, data.length)
    const isSame = data.compare(before, from, to, from, to) === 0
    if (!isSame && start < 0) start = from
    if (isSame && start >= 0) {
      yield { offset: offset + start, length: from - start, data: data.subarray(start, from) }
      start = -1
    }
  }
  if (start >= 0) yield { offset: offset + start, length: data.length - start, data: data.subarray(start) }
}

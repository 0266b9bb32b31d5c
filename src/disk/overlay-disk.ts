import type { AbortOptions } from '../core/abort.ts'
import { checkRange } from './check-range.ts'
import type { Disk, Extent } from './disk.ts'
import { mergeExtents } from './merge-extents.ts'
import { noRuns } from './overlay-ranges.ts'

/** A disk that stands in for the bytes of another one from `offset` on, as many as it has. */
export interface DiskWindow {
  readonly offset: number
  readonly disk: Disk
}

/**
 * A disk with parts of it replaced by other disks: a partition by its cleaned file system, for example. Closing it
 * leaves the base and the windows open.
 * @throws DiskError `DISK_READ_OUTSIDE` when a window does not lie within the disk
 */
export function withWindows(base: Disk, windows: readonly DiskWindow[]): Disk {
  const ordered = windows.filter(({ disk }) => disk.size > 0).toSorted((a, b) => a.offset - b.offset)
  let free = 0
  for (const { offset, disk } of ordered) {
    checkRange(base, offset, disk.size)
    if (offset < free) throw new RangeError(`Two windows of a disk overlap at ${offset}.`)
    free = offset + disk.size
  }

  return {
    size: base.size,

    extents: (options) => mergeExtents(overlaidExtents(base, ordered, options)),

    async read(target, offset, options) {
      checkRange(base, offset, target.length)
      for (let position = offset, end = offset + target.length; position < end; ) {
        const window = ordered.find((candidate) => endOf(candidate) > position)
        const inside = window !== undefined && window.offset <= position
        const to = Math.min(end, inside ? endOf(window) : (window?.offset ?? end))
        const part = target.subarray(position - offset, to - offset)
        if (inside) await window.disk.read(part, position - window.offset, options)
        else await base.read(part, position, options)
        position = to
      }
    },

    changes: (options) => overlaidChanges(base, ordered, options),

    close: async () => undefined,
  }
}

/** A window without changes of its own is a part of the base in its old place: nothing is different there. */
async function* overlaidChanges(
  base: Disk,
  ordered: readonly DiskWindow[],
  options: AbortOptions | undefined,
): AsyncGenerator<Extent, void, undefined> {
  let next = 0
  async function* windowsBefore(limit: number): AsyncGenerator<Extent, void, undefined> {
    for (let window = ordered[next]; window && window.offset < limit; window = ordered[next]) {
      const { offset, disk } = window
      next += 1
      for await (const run of disk.changes?.(options) ?? noRuns())
        yield { ...run, offset: offset + run.offset }
    }
  }
  for await (const { offset, length, kind } of base.changes?.(options) ?? noRuns()) {
    const end = offset + length
    yield* windowsBefore(offset + 1)
    const before = ordered[next - 1]
    let position = Math.max(offset, before ? endOf(before) : 0)
    while (position < end) {
      const window = ordered[next]
      const to = Math.min(end, window?.offset ?? end)
      if (to > position) yield { offset: position, length: to - position, kind }
      position = to
      if (!window || window.offset >= end) continue
      yield* windowsBefore(window.offset + 1)
      position = endOf(window)
    }
  }
  yield* windowsBefore(Number.POSITIVE_INFINITY)
}

/** Walks the base once; where a window begins, its extents come instead of the base's. */
async function* overlaidExtents(
  base: Disk,
  ordered: readonly DiskWindow[],
  options: Parameters<Disk['extents']>[0],
): AsyncGenerator<Extent, void, undefined> {
  let next = 0
  let position = 0
  for await (const extent of base.extents(options)) {
    const end = extent.offset + extent.length
    while (position < end) {
      const window = ordered[next]
      const to = Math.min(end, window?.offset ?? end)
      if (to > position) yield { offset: position, length: to - position, kind: extent.kind }
      position = Math.max(position, to)
      if (!window || window.offset > position) continue
      for await (const { offset, length, kind } of window.disk.extents(options)) {
        yield { offset: window.offset + offset, length, kind }
      }
      position = endOf(window)
      next += 1
    }
  }
}

function endOf({ offset, disk }: DiskWindow): number {
  return offset + disk.size
}

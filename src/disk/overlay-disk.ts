import { checkRange } from './check-range.ts'
import type { Disk, Extent } from './disk.ts'
import { mergeExtents } from './merge-extents.ts'

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

    close: async () => undefined,
  }
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

import { checkRange } from './check-range.ts'
import type { Disk, Extent } from './disk.ts'
import { noRuns } from './overlay-ranges.ts'

/**
 * A part of a disk as a disk of its own: a partition, for example. A part of a view is a view of that part. Closing it leaves the whole disk open.
 * @throws DiskError `DISK_READ_OUTSIDE` when the part does not lie within the disk
 */
export function windowDisk(disk: Disk, offset: number, length: number): Disk {
  checkRange(disk, offset, length)
  const end = offset + length
  return {
    size: length,

    async *extents(options): AsyncGenerator<Extent, void, undefined> {
      if (length === 0) return
      for await (const extent of disk.extents(options)) {
        if (extent.offset >= end) return
        const from = Math.max(extent.offset, offset)
        const to = Math.min(extent.offset + extent.length, end)
        if (to > from) yield { offset: from - offset, length: to - from, kind: extent.kind }
        if (to === end) return
      }
    },

    async read(target, position, options) {
      checkRange({ size: length }, position, target.length)
      await disk.read(target, offset + position, options)
    },

    ...(disk.changes && {
      async *changes(options): AsyncGenerator<Extent, void, undefined> {
        for await (const run of disk.changes?.(options) ?? noRuns()) {
          if (run.offset >= end) return
          const from = Math.max(run.offset, offset)
          const to = Math.min(run.offset + run.length, end)
          if (to > from) yield { offset: from - offset, length: to - from, kind: run.kind }
        }
      },
    }),

    close: async () => undefined,
  }
}

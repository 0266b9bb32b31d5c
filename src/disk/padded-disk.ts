import { roundUp } from '../core/bytes.ts'
import { checkRange } from './check-range.ts'
import type { Disk, Extent } from './disk.ts'
import { mergeExtents } from './merge-extents.ts'

/**
 * The disk filled up with zeros to a multiple of `granule` bytes, for formats that have no other sizes; the disk itself
 * where it has such a size. Closing it leaves the disk open.
 */
export function paddedDisk(disk: Disk, granule: number): Disk {
  const size = roundUp(disk.size, granule)
  if (size === disk.size) return disk
  return {
    size,

    extents: (options) => mergeExtents(paddedExtents(disk, size, options)),

    async read(target, offset, options) {
      checkRange({ size }, offset, target.length)
      const inside = Math.max(0, Math.min(target.length, disk.size - offset))
      if (inside > 0) await disk.read(target.subarray(0, inside), offset, options)
      target.fill(0, inside)
    },

    close: async () => undefined,
  }
}

async function* paddedExtents(
  disk: Disk,
  size: number,
  options: Parameters<Disk['extents']>[0],
): AsyncGenerator<Extent, void, undefined> {
  yield* disk.extents(options)
  yield { offset: disk.size, length: size - disk.size, kind: 'zero' }
}

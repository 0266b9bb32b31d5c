import { forEachNonZeroRun } from '../transfer/zeros.ts'
import { checkRange } from './check-range.ts'
import type { Disk, Extent } from './disk.ts'
import { mergeExtents } from './merge-extents.ts'

/** Sectors that hold nothing but zeros are zero runs. */
const granule = 512

/**
 * A small disk held in memory: `bytes`, followed by zeros up to `size`. The bytes are not copied, and every call looks
 * at them as they are then.
 */
export function memoryDisk(bytes: Uint8Array, size: number = bytes.length): Disk {
  if (size < bytes.length) throw new RangeError(`${bytes.length} bytes do not fit a disk of ${size}`)
  return {
    size,

    extents: () => mergeExtents(extentsOf(bytes, size)),

    async read(target, offset) {
      checkRange({ size }, offset, target.length)
      const held = bytes.subarray(offset, offset + target.length)
      target.set(held)
      target.fill(0, held.length)
    },

    close: async () => undefined,
  }
}

function extentsOf(bytes: Uint8Array, size: number): Extent[] {
  const extents: Extent[] = []
  let position = 0
  const zeroUpTo = (end: number) => {
    if (end > position) extents.push({ offset: position, length: end - position, kind: 'zero' })
  }
  forEachNonZeroRun(bytes, granule, (start, end) => {
    zeroUpTo(start)
    extents.push({ offset: start, length: end - start, kind: 'data' })
    position = end
  })
  zeroUpTo(size)
  return extents
}

import { type ByteRanges, firstRangeEndingAfter, rangeEnd, rangeStart } from './byte-ranges.ts'
import { checkRange } from './check-range.ts'
import type { Disk, Extent } from './disk.ts'
import { mergeExtents } from './merge-extents.ts'
import { noRuns, overlayRanges } from './overlay-ranges.ts'

/**
 * A disk of which some ranges read as zeros whatever it holds there: the free blocks of a file system, for example.
 * Ranges are exact to the byte and may be a million; what of them lies outside the disk is ignored. A read that is
 * masked completely does not touch the disk. Closing the mask leaves the disk open.
 */
export function maskDisk(disk: Disk, zeroRanges: ByteRanges): Disk {
  return {
    size: disk.size,

    extents: (options) => mergeExtents(maskedExtents(disk, zeroRanges, options)),

    async read(target, offset, options) {
      checkRange(disk, offset, target.length)
      const end = offset + target.length
      let index = firstRangeEndingAfter(zeroRanges, offset)
      if (rangeStart(zeroRanges, index) <= offset && rangeEnd(zeroRanges, index) >= end) {
        target.fill(0)
        return
      }
      await disk.read(target, offset, options)
      for (; rangeStart(zeroRanges, index) < end; index += 1) {
        const from = Math.max(rangeStart(zeroRanges, index), offset)
        const to = Math.min(rangeEnd(zeroRanges, index), end)
        target.fill(0, from - offset, to - offset)
      }
    },

    changes: (options) =>
      overlayRanges(disk.changes?.(options) ?? noRuns(), {
        upper: zeroRanges,
        kind: 'zero',
        size: disk.size,
      }),

    close: async () => undefined,
  }
}

/** Cuts the zero ranges out of the disk's data; both are in order, so one walk over both does it. */
async function* maskedExtents(
  disk: Disk,
  zeroRanges: ByteRanges,
  options: Parameters<Disk['extents']>[0],
): AsyncGenerator<Extent, void, undefined> {
  let index = 0
  for await (const extent of disk.extents(options)) {
    if (extent.kind === 'zero') {
      yield extent
      continue
    }
    const end = extent.offset + extent.length
    for (let position = extent.offset; position < end; ) {
      while (rangeEnd(zeroRanges, index) <= position) index += 1
      const maskStart = Math.min(Math.max(rangeStart(zeroRanges, index), position), end)
      const maskEnd = Math.min(rangeEnd(zeroRanges, index), end)
      if (maskStart > position) yield { offset: position, length: maskStart - position, kind: 'data' }
      if (maskEnd > maskStart) yield { offset: maskStart, length: maskEnd - maskStart, kind: 'zero' }
      position = maskEnd
    }
  }
}

import { type ByteRanges, firstRangeEndingAfter, rangeEnd, rangeStart } from '../../disk/byte-ranges.ts'
import { checkRange } from '../../disk/check-range.ts'
import type { Disk, Extent } from '../../disk/disk.ts'
import { mergeExtents } from '../../disk/merge-extents.ts'
import { noRuns, overlayRanges } from '../../disk/overlay-ranges.ts'

/** A disk in which some ranges, thousands of them, come from another disk of the same layout. Closes neither. */
export function patchDisk(base: Disk, patch: Disk, ranges: ByteRanges): Disk {
  return {
    size: base.size,

    extents: (options) => mergeExtents(patchedExtents(base, ranges, options)),

    async read(target, offset, options) {
      checkRange(base, offset, target.length)
      const end = offset + target.length
      let index = firstRangeEndingAfter(ranges, offset)
      const covered = rangeStart(ranges, index) <= offset && rangeEnd(ranges, index) >= end
      if (!covered) await base.read(target, offset, options)
      for (; rangeStart(ranges, index) < end; index += 1) {
        const from = Math.max(rangeStart(ranges, index), offset)
        const to = Math.min(rangeEnd(ranges, index), end)
        await patch.read(target.subarray(from - offset, to - offset), from, options)
      }
    },

    changes: (options) =>
      overlayRanges(base.changes?.(options) ?? noRuns(), { upper: ranges, kind: 'data', size: base.size }),

    close: async () => undefined,
  }
}

/** Patched ranges are data, whatever the base has there. */
async function* patchedExtents(
  base: Disk,
  ranges: ByteRanges,
  options: Parameters<Disk['extents']>[0],
): AsyncGenerator<Extent, void, undefined> {
  let index = 0
  for await (const extent of base.extents(options)) {
    const end = extent.offset + extent.length
    if (extent.kind === 'data') {
      yield extent
      continue
    }
    for (let position = extent.offset; position < end; ) {
      while (rangeEnd(ranges, index) <= position) index += 1
      const inside = rangeStart(ranges, index) <= position
      const to = Math.min(end, inside ? rangeEnd(ranges, index) : rangeStart(ranges, index))
      yield { offset: position, length: to - position, kind: inside ? 'data' : 'zero' }
      position = to
    }
  }
}

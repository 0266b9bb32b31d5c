import type { BlockTable } from '../blocks/block-map.ts'
import { DiskError } from '../errors.ts'
import type { VhdDynamicHeader } from './vhd-dynamic-header.ts'
import type { VhdFooter } from './vhd-footer.ts'
import { vhdSectorSize, vhdUnallocated } from './vhd-layout.ts'

/** "Block Allocation Table": an entry is the sector where the bitmap of the block stands, and its data behind that. */
export function vhdBlockTable(name: string, footer: VhdFooter, header: VhdDynamicHeader): BlockTable {
  const { tableOffset, neededEntries, blockSize, bitmapBytes } = header
  return {
    offset: tableOffset,
    entries: neededEntries,
    bigEndian: true,
    placeOf(entry, index) {
      if (entry === vhdUnallocated) return null
      const place = entry * vhdSectorSize + bitmapBytes
      // The last block may end where the disk does.
      const end = place + Math.min(blockSize, footer.size - index * blockSize)
      if (end <= footer.offset) return place
      const offset = tableOffset + index * 4
      throw new DiskError(
        place < footer.offset ? 'IMAGE_TRUNCATED' : 'IMAGE_OFFSET_OUT_OF_FILE',
        `${name}: by the table entry at byte ${offset}, block ${index} of the disk leaves the file.`,
        { details: { offset } },
      )
    },
  }
}

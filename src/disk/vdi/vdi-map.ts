import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import type { BlockTable } from '../blocks/block-map.ts'
import { DiskError } from '../errors.ts'
import type { VdiHeader } from './vdi-header.ts'
import { vdiBlockSize, vdiDiscarded } from './vdi-layout.ts'

/** The map of an image: an entry counts blocks from the beginning of the data. */
export function vdiMap(source: RandomAccessSource, header: VdiHeader): BlockTable {
  const { dataOffset, size, mapOffset, neededBlocks } = header
  return {
    offset: mapOffset,
    entries: neededBlocks,
    bigEndian: false,
    placeOf(entry, index) {
      if (entry >= vdiDiscarded) return null
      const place = dataOffset + entry * vdiBlockSize
      // The last block may end where the disk does.
      const end = place + Math.min(vdiBlockSize, size - index * vdiBlockSize)
      if (end <= source.size) return place
      const offset = mapOffset + index * 4
      throw new DiskError(
        place < source.size ? 'IMAGE_TRUNCATED' : 'IMAGE_OFFSET_OUT_OF_FILE',
        `${source.name}: by the map entry at byte ${offset}, block ${index} of the disk leaves the file.`,
        { details: { offset } },
      )
    },
  }
}

import { type AbortOptions, throwIfCancelled } from '../../core/abort.ts'
import type { BlockMap } from './block-map.ts'

/**
 * Where the first block lies, when every other one lies where the one before it ends: then the disk is one piece of the
 * file. Null when they do not, or there are none. Reads all of the table.
 */
export async function firstPlaceInOrder(
  map: BlockMap,
  { blocks, blockSize, signal }: AbortOptions & { blocks: number; blockSize: number },
): Promise<number | null> {
  let first: number | null = null
  for (let block = 0; block < blocks; ) {
    throwIfCancelled(signal)
    const page = await map.pageAt(block, { signal })
    for (; block < page.end; block += 1) {
      const place = page.placeOf(block)
      if (block === 0) first = place
      if (place === null || place - block * blockSize !== first) return null
    }
  }
  return first
}

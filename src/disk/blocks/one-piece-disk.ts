import { type AbortOptions, throwIfCancelled } from '../../core/abort.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { windowSource } from '../../transfer/window-source.ts'
import type { Disk } from '../disk.ts'
import { openRaw } from '../raw/raw-reader.ts'
import type { BlockMap } from './block-map.ts'

export interface OnePieceOptions extends AbortOptions {
  /** Bytes of the disk. */
  readonly size: number
  readonly blockSize: number
}

/**
 * The disk of an image that has all blocks side by side and in order, as fixed ones have: one piece of the file, with the
 * holes that the file has there. Null when they lie otherwise, or the source cannot tell holes. Reads all of the table.
 */
export async function onePieceDisk(
  source: RandomAccessSource,
  map: BlockMap,
  { size, ...options }: OnePieceOptions,
): Promise<Disk | null> {
  if (!source.dataRanges) return null
  const offset = await placeOfAll(map, { blocks: Math.ceil(size / options.blockSize), ...options })
  if (offset === null) return null
  const disk = await openRaw(windowSource(source, { name: source.name, offset, length: size }))
  return { ...disk, close: () => source.close() }
}

async function placeOfAll(
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

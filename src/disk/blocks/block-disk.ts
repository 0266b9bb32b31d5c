import type { AbortOptions } from '../../core/abort.ts'
import { checkRange } from '../check-range.ts'
import type { Disk, Extent } from '../disk.ts'
import { mergeExtents } from '../merge-extents.ts'
import type { BlockMap } from './block-map.ts'

export interface BlockDiskOptions {
  readonly size: number
  readonly blockSize: number
  readonly map: BlockMap
  /** Reads all of `target` from within one block, or from several whose data are neighbours in the file. */
  readonly readData: (target: Uint8Array, place: DataPlace, options: AbortOptions) => Promise<void>
  readonly close: () => Promise<void>
}

export interface DataPlace {
  /** Where the data of the block begin in the file. */
  readonly start: number
  /** Bytes from there to the first that is wanted. */
  readonly within: number
}

/** Reads of the file that one `read` of the disk may have under way. */
const maximumReads = 16

/** A disk cut into blocks of one size, each of which lies somewhere in the file or reads as zeros. */
export function blockDisk(options: BlockDiskOptions): Disk {
  const { size, blockSize, map, readData, close } = options

  async function read(target: Uint8Array, offset: number, { signal }: AbortOptions = {}): Promise<void> {
    checkRange({ size }, offset, target.length)
    const end = offset + target.length
    let reads: Promise<void>[] = []
    try {
      for (let position = offset; position < end; ) {
        const page = await map.pageAt(Math.floor(position / blockSize), { signal })
        const pageEnd = Math.min(end, page.end * blockSize)
        while (position < pageEnd) {
          let index = Math.floor(position / blockSize)
          const start = page.placeOf(index)
          let expected = start
          do {
            index += 1
            expected = expected === null ? null : expected + blockSize
          } while (index * blockSize < pageEnd && page.placeOf(index) === expected)
          const to = Math.min(pageEnd, index * blockSize)
          const part = target.subarray(position - offset, to - offset)
          if (start === null) part.fill(0)
          else reads.push(readData(part, { start, within: position % blockSize }, { signal }))
          position = to
          if (reads.length < maximumReads) continue
          await Promise.all(reads)
          reads = []
        }
      }
      await Promise.all(reads)
    } catch (error) {
      // Nothing may write into the caller's buffer after it has been given back.
      await Promise.allSettled(reads)
      throw error
    }
  }

  return { size, read, extents: ({ signal } = {}) => mergeExtents(blockExtents(options, { signal })), close }
}

/** Neighbours within a page are joined here, since an extent per block would cost more than looking at its entry. */
async function* blockExtents(
  { size, blockSize, map }: BlockDiskOptions,
  { signal }: AbortOptions,
): AsyncGenerator<Extent, void, undefined> {
  const blocks = Math.ceil(size / blockSize)
  for (let index = 0; index < blocks; ) {
    const page = await map.pageAt(index, { signal })
    while (index < page.end) {
      const first = index
      const isZero = page.placeOf(first) === null
      do index += 1
      while (index < page.end && (page.placeOf(index) === null) === isZero)
      const offset = first * blockSize
      const length = Math.min(index * blockSize, size) - offset
      yield { offset, length, kind: isZero ? 'zero' : 'data' }
    }
  }
}

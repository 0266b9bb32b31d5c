import { type AbortOptions, throwIfCancelled } from '../../core/abort.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { metadataBlockSize, metadataCache } from '../metadata-cache.ts'

/** Finds the blocks of a disk in the file by a table with an entry of 32 bits for each. */
export interface BlockMap {
  /** The entries at hand that begin at or before block `index` and cover it. */
  pageAt(index: number, options: AbortOptions): Promise<BlockPage>
}

export interface BlockPage {
  /** Number of the first block after this page. */
  readonly end: number
  /**
   * Where in the file the data of a block of this page begin; null where it reads as zeros.
   * @throws DiskError for an entry that leads nowhere
   */
  placeOf(index: number): number | null
}

export interface BlockTable {
  /** Where it begins in the file: a multiple of 4. */
  readonly offset: number
  /** Entries that matter: blocks of the disk. */
  readonly entries: number
  readonly bigEndian: boolean
  /** What an entry says, as `BlockPage.placeOf`. */
  readonly placeOf: (entry: number, index: number) => number | null
}

export const blockEntryBytes = 4

/** The table is paged in through a cache of 4 MiB, so that memory does not follow the disk's size. It lies in the file. */
export function openBlockMap(source: RandomAccessSource, table: BlockTable): BlockMap {
  const readBlock = metadataCache(source)
  const tableEnd = table.offset + table.entries * blockEntryBytes
  return {
    async pageAt(index, { signal }) {
      throwIfCancelled(signal)
      const position = table.offset + index * blockEntryBytes
      const blockPosition = position - (position % metadataBlockSize)
      const block = await readBlock(blockPosition, { signal })
      const pageEnd = Math.min(tableEnd, blockPosition + block.length)
      return {
        end: (pageEnd - table.offset) / blockEntryBytes,
        placeOf(wanted) {
          const at = table.offset + wanted * blockEntryBytes - blockPosition
          const entry = table.bigEndian ? block.readUInt32BE(at) : block.readUInt32LE(at)
          return table.placeOf(entry, wanted)
        },
      }
    },
  }
}

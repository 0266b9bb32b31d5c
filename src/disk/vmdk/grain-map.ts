import { type AbortOptions, throwIfCancelled } from '../../core/abort.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { DiskError } from '../errors.ts'
import { metadataBlockSize, metadataCache } from '../metadata-cache.ts'
import type { SparseHeader } from './vmdk-header.ts'
import { entryBytes, grainTableBytes, maximumDirectoryBytes, sectorSize } from './vmdk-layout.ts'

/** Part of a grain table, or the absence of one or several whole tables. */
export interface GrainPage {
  /** The bytes of the disk the page speaks of; `start` is the first byte of a grain. */
  readonly start: number
  readonly end: number
  /** Null where there is no grain table. */
  readonly entries: Buffer | null
  /** Where `entries` lies in the file, for messages. */
  readonly filePosition: number
}

/** Finds the table entries for a place on the disk. */
export interface GrainMap {
  /** The longest page at hand that begins at or before `offset` and covers it. */
  pageAt(offset: number, options: AbortOptions): Promise<GrainPage>
}

/** Entries of the grain directory. */
export function directoryEntries({ size, coverage }: Pick<SparseHeader, 'size' | 'coverage'>): number {
  return Math.ceil(size / coverage)
}

/**
 * Loads the grain directory (2 MiB for a disk of 16 TiB with the usual grains, at most 32 MiB) and pages grain tables in
 * through a cache of 4 MiB, so that memory does not follow the virtual size.
 * @throws DiskError `IMAGE_TABLES_LIMIT` | `IMAGE_OFFSET_OUT_OF_FILE` for the directory; `pageAt` the latter for tables
 */
export async function openGrainMap(
  source: RandomAccessSource,
  header: SparseHeader,
  options: AbortOptions,
): Promise<GrainMap> {
  const { size, grainSize, coverage, directoryOffset } = header
  const { name } = source
  const entries = directoryEntries(header)
  if (entries * entryBytes > maximumDirectoryBytes) {
    throw new DiskError('IMAGE_TABLES_LIMIT', `${name} has a grain directory of ${entries} entries.`)
  }
  if (directoryOffset === 0 || directoryOffset + entries * entryBytes > source.size) {
    throw outOfFile(name, 'the grain directory', directoryOffset)
  }
  const directory = Buffer.alloc(entries * entryBytes)
  await source.read(directory, directoryOffset, options)
  const readBlock = metadataCache(source)

  /** 0 where the whole table is absent. */
  function tableOffset(index: number): number {
    const offset = directory.readUInt32LE(index * entryBytes) * sectorSize
    if (offset + grainTableBytes > source.size) {
      throw outOfFile(name, `the grain table ${index}`, directoryOffset + index * entryBytes)
    }
    return offset
  }

  return {
    async pageAt(offset, { signal }) {
      throwIfCancelled(signal)
      let index = Math.floor(offset / coverage)
      const table = tableOffset(index)
      const start = index * coverage
      if (table === 0) {
        do index += 1
        while (index < entries && tableOffset(index) === 0)
        return { start, end: Math.min(index * coverage, size), entries: null, filePosition: 0 }
      }
      // A table may lie across the end of a block: then it comes in two pages.
      const entry = table + Math.floor((offset - start) / grainSize) * entryBytes
      const blockStart = entry - (entry % metadataBlockSize)
      const block = await readBlock(blockStart, { signal })
      const from = Math.max(table, blockStart)
      const to = Math.min(table + grainTableBytes, blockStart + block.length)
      const pageStart = start + ((from - table) / entryBytes) * grainSize
      return {
        start: pageStart,
        end: Math.min(pageStart + ((to - from) / entryBytes) * grainSize, size),
        entries: block.subarray(from - blockStart, to - blockStart),
        filePosition: from,
      }
    },
  }
}

function outOfFile(name: string, what: string, offset: number): DiskError {
  return new DiskError('IMAGE_OFFSET_OUT_OF_FILE', `${name}: ${what} lies outside the file.`, {
    details: { offset },
  })
}

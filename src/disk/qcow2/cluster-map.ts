import { type AbortOptions, throwIfCancelled } from '../../core/abort.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { DiskError } from '../errors.ts'
import { metadataBlockSize, metadataCache } from '../metadata-cache.ts'
import { entryError, type TablePage } from './decode-entries.ts'
import { hostOffset } from './host-offset.ts'
import type { Qcow2Header } from './qcow2-header.ts'
import { headerFields, maximumL1Bytes, tableEntry } from './qcow2-layout.ts'

/** Finds the table entries for a place in the guest's disk. */
export interface ClusterMap {
  /** The longest page at hand that begins at or before `offset` and covers it. */
  pageAt(offset: number, options: AbortOptions): Promise<TablePage>
}

/**
 * Loads the L1 table (at most 32 MiB, as in QEMU) and pages L2 tables in through a cache of 4 MiB, so that memory
 * does not follow the virtual size.
 * @throws DiskError `IMAGE_HEADER_INVALID` | `IMAGE_OFFSET_OUT_OF_FILE` for an L1 table too small for the disk, too
 *   large, misaligned or outside the file; `pageAt` the same for L2 tables
 */
export async function openClusterMap(
  source: RandomAccessSource,
  header: Qcow2Header,
  options: AbortOptions,
): Promise<ClusterMap> {
  const { clusterSize, size, l1TableOffset } = header
  const entryBytes = header.extendedL2 ? tableEntry.extendedBytes : tableEntry.bytes
  const coverage = (clusterSize / entryBytes) * clusterSize
  const l1 = await readL1(source, header, { entries: Math.ceil(size / coverage), ...options })
  const l1End = l1TableOffset + header.l1Size * tableEntry.bytes
  const readBlock = metadataCache(source)

  /** 0 where the whole table is absent. */
  function l2Offset(index: number): number {
    const position = index * tableEntry.bytes
    const high = l1.readUInt32BE(position)
    const low = l1.readUInt32BE(position + 4)
    const table = hostOffset(high, low)
    if (table === 0) return 0
    const place = `the L1 entry ${index}`
    const details = { offset: l1TableOffset + position }
    if (table % clusterSize !== 0) {
      throw entryError(source.name, 'IMAGE_ENTRY_INVALID', `${place} is not aligned to a cluster`, details)
    }
    if (table + clusterSize > source.size) {
      throw entryError(source.name, 'IMAGE_OFFSET_OUT_OF_FILE', `${place} points outside the file`, details)
    }
    if (table < l1End && table + clusterSize > l1TableOffset) {
      throw entryError(source.name, 'IMAGE_OVERLAP', `${place} points into the L1 table`, details)
    }
    return table
  }

  return {
    async pageAt(offset, { signal }) {
      throwIfCancelled(signal)
      let index = Math.floor(offset / coverage)
      const table = l2Offset(index)
      const start = index * coverage
      if (table === 0) {
        do index += 1
        while (index * coverage < size && l2Offset(index) === 0)
        return { start, end: Math.min(index * coverage, size), entries: null, filePosition: 0 }
      }
      const entryPosition = table + Math.floor((offset - start) / clusterSize) * entryBytes
      const blockPosition = entryPosition - (entryPosition % metadataBlockSize)
      const block = await readBlock(blockPosition, { signal })
      const from = Math.max(table, blockPosition)
      const to = Math.min(table + clusterSize, blockPosition + block.length)
      const firstEntry = (from - table) / entryBytes
      const pageStart = start + firstEntry * clusterSize
      const pageEnd = pageStart + ((to - from) / entryBytes) * clusterSize
      return {
        start: pageStart,
        end: Math.min(pageEnd, size),
        entries: block.subarray(from - blockPosition, to - blockPosition),
        filePosition: from,
      }
    },
  }
}

async function readL1(
  source: RandomAccessSource,
  { l1Size, l1TableOffset, clusterSize }: Qcow2Header,
  { entries, signal }: AbortOptions & { entries: number },
): Promise<Buffer> {
  const name = source.name
  const sizeField = { offset: headerFields.l1_size.offset, l1Size }
  if (l1Size * tableEntry.bytes > maximumL1Bytes) {
    throw new DiskError('IMAGE_HEADER_INVALID', `${name}: the L1 table of ${l1Size} entries is too large.`, {
      details: sizeField,
    })
  }
  if (l1Size < entries) {
    throw new DiskError(
      'IMAGE_HEADER_INVALID',
      `${name}: the L1 table has ${l1Size} entries, but a disk of this size needs ${entries}.`,
      { details: sizeField },
    )
  }
  // A table without entries is nowhere.
  if (l1Size === 0) return Buffer.alloc(0)
  const details = { offset: headerFields.l1_table_offset.offset, l1TableOffset }
  if (l1TableOffset % clusterSize !== 0) {
    throw new DiskError('IMAGE_HEADER_INVALID', `${name}: the L1 table is not aligned to a cluster.`, {
      details,
    })
  }
  if (l1TableOffset + l1Size * tableEntry.bytes > source.size) {
    throw new DiskError('IMAGE_OFFSET_OUT_OF_FILE', `${name}: the L1 table lies outside the file.`, {
      details,
    })
  }
  if (l1TableOffset < clusterSize) {
    throw new DiskError('IMAGE_OVERLAP', `${name}: the L1 table lies on the header.`, { details })
  }
  const l1 = Buffer.alloc(entries * tableEntry.bytes)
  await source.read(l1, l1TableOffset, { signal })
  return l1
}

import type { AbortOptions } from '../../core/abort.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { DiskError } from '../errors.ts'
import { fieldReader, isIntact } from './vhdx-fields.ts'
import type { VhdxHeader } from './vhdx-header.ts'
import {
  headerSectionBytes,
  regionEntryFields,
  regionGuids,
  regionTable,
  regionTableFields,
  vhdxAlignment,
} from './vhdx-layout.ts'

/** A part of the file with a purpose. */
export interface VhdxRegion {
  readonly offset: number
  readonly length: number
}

export interface VhdxRegions {
  readonly bat: VhdxRegion
  readonly metadata: VhdxRegion
  /** All of them, those that nobody knows too, and the log: where no data can be. */
  readonly all: readonly VhdxRegion[]
  /** Where the one copy of the table lies that is not intact; null when both are. */
  readonly damagedCopy: number | null
}

interface RegionEntry extends VhdxRegion {
  readonly guid: string
  readonly required: boolean
  /** Where the entry stands in the file. */
  readonly entryOffset: number
}

/**
 * Reads the region table, of which there are two copies.
 * @throws DiskError `IMAGE_CHECKSUM_WRONG` when neither is intact, `IMAGE_COPIES_DIFFER`, `IMAGE_HEADER_INVALID`,
 *   `IMAGE_UNKNOWN_FEATURE` for a region that one must know, `IMAGE_ENTRY_INVALID`, `IMAGE_OFFSET_OUT_OF_FILE`,
 *   `IMAGE_OVERLAP`
 */
export async function readVhdxRegions(
  source: RandomAccessSource,
  { logOffset, logLength }: VhdxHeader,
  options: AbortOptions = {},
): Promise<VhdxRegions> {
  const { table, offset, damagedCopy } = await readTable(source, options)
  const entries = parseEntries(source, table, offset)
  for (const { guid, required, entryOffset } of entries) {
    if (!required || Object.values<string>(regionGuids).includes(guid)) continue
    throw new DiskError('IMAGE_UNKNOWN_FEATURE', `${source.name} has a region of the unknown kind ${guid}.`, {
      details: { offset: entryOffset },
    })
  }
  const log = logLength > 0 ? [{ offset: logOffset, length: logLength }] : []
  const all = [...entries, ...log].toSorted((a, b) => a.offset - b.offset)
  all.forEach((region, index) => {
    const before = all[index - 1]
    if (!before || before.offset + before.length <= region.offset) return
    throw new DiskError('IMAGE_OVERLAP', `${source.name}: two regions overlap at byte ${region.offset}.`, {
      details: { offset: region.offset },
    })
  })
  const known = (guid: string): VhdxRegion => {
    const found = entries.find((entry) => entry.guid === guid)
    if (found) return found
    throw new DiskError('IMAGE_HEADER_INVALID', `${source.name} lacks the region ${guid}.`, {
      details: { offset },
    })
  }
  return { bat: known(regionGuids.bat), metadata: known(regionGuids.metadata), all, damagedCopy }
}

async function readTable(
  source: RandomAccessSource,
  options: AbortOptions,
): Promise<{ table: Buffer; offset: number; damagedCopy: number | null }> {
  const [firstOffset, secondOffset] = regionTable.offsets
  const read = async (offset: number) => {
    const table = Buffer.alloc(regionTable.bytes)
    await source.read(table, offset, options)
    return isIntact(table, regionTable.signature) ? table : null
  }
  const [first, second] = [await read(firstOffset), await read(secondOffset)]
  if (first && second && !usedPart(first).equals(usedPart(second))) {
    throw new DiskError('IMAGE_COPIES_DIFFER', `${source.name}: the two region tables differ.`, {
      details: { offset: secondOffset },
    })
  }
  if (first) return { table: first, offset: firstOffset, damagedCopy: second ? null : secondOffset }
  if (second) return { table: second, offset: secondOffset, damagedCopy: firstOffset }
  throw new DiskError('IMAGE_CHECKSUM_WRONG', `${source.name}: neither of the two region tables is intact.`, {
    details: { offset: firstOffset },
  })
}

/** What follows the last entry is reserved and may be anything. The checksum counts it, so it is left out of the comparison. */
function usedPart(table: Buffer): Buffer {
  const count = fieldReader(table).number(regionTableFields.entryCount)
  return table.subarray(
    regionTableFields.entryCount.offset,
    regionTable.firstEntry + Math.min(count, regionTable.maximumEntries) * regionTable.entryBytes,
  )
}

function parseEntries({ name, size }: RandomAccessSource, table: Buffer, tableOffset: number): RegionEntry[] {
  const count = fieldReader(table).number(regionTableFields.entryCount)
  if (count > regionTable.maximumEntries) {
    throw new DiskError('IMAGE_HEADER_INVALID', `${name}: the region table has ${count} entries.`, {
      details: { offset: tableOffset + regionTableFields.entryCount.offset },
    })
  }
  const entries = Array.from({ length: count }, (_, index): RegionEntry => {
    const at = regionTable.firstEntry + index * regionTable.entryBytes
    const fields = fieldReader(table, at)
    return {
      guid: fields.guid(regionEntryFields.guid),
      offset: fields.number(regionEntryFields.fileOffset),
      length: fields.number(regionEntryFields.length),
      required: (fields.number(regionEntryFields.required) & 1) !== 0,
      entryOffset: tableOffset + at,
    }
  })
  const seen = new Set<string>()
  for (const { guid, offset, length, entryOffset } of entries) {
    const isAligned = offset % vhdxAlignment === 0 && length % vhdxAlignment === 0
    if (!isAligned || offset < headerSectionBytes || length === 0 || seen.has(guid)) {
      const problem = seen.has(guid) ? 'is there twice' : 'is misplaced'
      throw new DiskError('IMAGE_ENTRY_INVALID', `${name}: the region ${guid} ${problem}.`, {
        details: { offset: entryOffset },
      })
    }
    if (offset + length > size) {
      throw new DiskError('IMAGE_OFFSET_OUT_OF_FILE', `${name}: the region ${guid} lies outside the file.`, {
        details: { offset: entryOffset },
      })
    }
    seen.add(guid)
  }
  return entries
}

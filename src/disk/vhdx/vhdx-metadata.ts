import type { AbortOptions } from '../../core/abort.ts'
import { formatSize } from '../../core/bytes.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { DiskError } from '../errors.ts'
import { fieldReader } from './vhdx-fields.ts'
import {
  fileParameters,
  type MetadataItemName,
  maximumBlockSize,
  maximumVirtualSize,
  metadataEntryFields,
  metadataFlags,
  metadataItems,
  metadataTable,
  metadataTableFields,
  minimumBlockSize,
  parentLocatorId,
  sectorSizes,
} from './vhdx-layout.ts'
import type { VhdxRegion } from './vhdx-regions.ts'

/** What the metadata say of the disk, checked for what the format allows. */
export interface VhdxMetadata {
  /** Bytes of the guest's disk. */
  readonly size: number
  readonly blockSize: number
  readonly logicalSectorSize: number
  /** Whether every block has its place in the file from the start. */
  readonly isFixed: boolean
  /** Whether it takes data from another image. */
  readonly hasParent: boolean
  /** Where the virtual size stands in the file. */
  readonly sizeOffset: number
}

interface MetadataItem {
  readonly id: string
  readonly isUser: boolean
  readonly isRequired: boolean
  /** Bytes from the start of the file. */
  readonly offset: number
  readonly length: number
  /** Where its entry stands in the file. */
  readonly entryOffset: number
}

/**
 * Reads the metadata table and the items that every image has.
 * @throws DiskError `IMAGE_HEADER_INVALID`, `IMAGE_ENTRY_INVALID`, `IMAGE_OFFSET_OUT_OF_FILE`, `IMAGE_OVERLAP`,
 *   `IMAGE_UNKNOWN_FEATURE` for an item that one must know
 */
export async function readVhdxMetadata(
  source: RandomAccessSource,
  region: VhdxRegion,
  options: AbortOptions = {},
): Promise<VhdxMetadata> {
  const { name } = source
  const items = await readItems(source, region, options)
  const knownIds: readonly string[] = [...Object.values(metadataItems).map(({ id }) => id), parentLocatorId]
  for (const { id, isUser, isRequired, entryOffset } of items) {
    if (!isRequired || (!isUser && knownIds.includes(id))) continue
    throw new DiskError('IMAGE_UNKNOWN_FEATURE', `${name} has the unknown metadata item ${id}.`, {
      details: { offset: entryOffset },
    })
  }
  const invalid = (item: MetadataItemName, problem: string, offset: number) =>
    new DiskError('IMAGE_HEADER_INVALID', `${name}: the metadata item ${item} ${problem}.`, {
      details: { offset },
    })
  const read = async (item: MetadataItemName): Promise<{ bytes: Buffer; offset: number }> => {
    const { id, bytes: length } = metadataItems[item]
    const found = items.find((candidate) => candidate.id === id && !candidate.isUser)
    if (!found) throw invalid(item, 'is missing', region.offset)
    if (found.length !== length) throw invalid(item, `has ${found.length} bytes`, found.entryOffset)
    const bytes = Buffer.alloc(length)
    await source.read(bytes, found.offset, options)
    return { bytes, offset: found.offset }
  }

  const parameters = await read('fileParameters')
  const blockSize = parameters.bytes.readUInt32LE(0)
  const flags = parameters.bytes.readUInt32LE(4)
  // A size of zero has made readers run in circles (CVE-2014-0148).
  if (!isPowerOf2(blockSize) || blockSize < minimumBlockSize || blockSize > maximumBlockSize) {
    throw invalid('fileParameters', `says that blocks have ${blockSize} bytes`, parameters.offset)
  }
  if ((flags & ~(fileParameters.leaveBlockAllocated | fileParameters.hasParent)) !== 0) {
    throw new DiskError('IMAGE_UNKNOWN_FEATURE', `${name} sets unknown flags of its file parameters.`, {
      details: { offset: parameters.offset + 4 },
    })
  }
  const logical = await read('logicalSectorSize')
  const logicalSectorSize = logical.bytes.readUInt32LE()
  if (!sectorSizes.includes(logicalSectorSize)) throw invalid('logicalSectorSize', 'is wrong', logical.offset)
  const physical = await read('physicalSectorSize')
  if (!sectorSizes.includes(physical.bytes.readUInt32LE())) {
    throw invalid('physicalSectorSize', 'is wrong', physical.offset)
  }
  await read('virtualDiskId')
  const { bytes, offset: sizeOffset } = await read('virtualDiskSize')
  const size = Number(bytes.readBigUInt64LE())
  if (size > maximumVirtualSize || size % logicalSectorSize !== 0) {
    const limit = `more than ${formatSize(maximumVirtualSize)}, or no whole sectors`
    throw invalid('virtualDiskSize', `is ${size}: ${limit}`, sizeOffset)
  }
  return {
    size,
    blockSize,
    logicalSectorSize,
    isFixed: (flags & fileParameters.leaveBlockAllocated) !== 0,
    hasParent:
      (flags & fileParameters.hasParent) !== 0 ||
      items.some(({ id, isUser }) => id === parentLocatorId && !isUser),
    sizeOffset,
  }
}

/**
 * For images that hold only what differs from another one.
 * @throws DiskError `IMAGE_BACKING_FILE`
 */
export function refuseVhdxParent(name: string, { hasParent }: VhdxMetadata): void {
  if (!hasParent) return
  throw new DiskError(
    'IMAGE_BACKING_FILE',
    `${name} holds only what differs from another image; it cannot be read alone.`,
    {
      hint: 'Make one image of it where Hyper-V has both: Convert-VHD NAME.vhdx NEW.vhdx.',
    },
  )
}

async function readItems(
  source: RandomAccessSource,
  region: VhdxRegion,
  options: AbortOptions,
): Promise<MetadataItem[]> {
  const { name } = source
  const table = Buffer.alloc(metadataTable.bytes)
  await source.read(table, region.offset, options)
  if (table.toString('latin1', 0, metadataTable.signature.length) !== metadataTable.signature) {
    throw new DiskError('IMAGE_HEADER_INVALID', `${name}: the metadata table lacks its signature.`, {
      details: { offset: region.offset },
    })
  }
  const count = fieldReader(table).number(metadataTableFields.entryCount)
  if (count > metadataTable.maximumEntries) {
    throw new DiskError('IMAGE_HEADER_INVALID', `${name}: the metadata table has ${count} entries.`, {
      details: { offset: region.offset + metadataTableFields.entryCount.offset },
    })
  }
  const items = Array.from({ length: count }, (_, index): MetadataItem => {
    const at = metadataTable.firstEntry + index * metadataTable.entryBytes
    const fields = fieldReader(table, at)
    const flags = fields.number(metadataEntryFields.flags)
    return {
      id: fields.guid(metadataEntryFields.itemId),
      isUser: (flags & metadataFlags.isUser) !== 0,
      isRequired: (flags & metadataFlags.isRequired) !== 0,
      offset: region.offset + fields.number(metadataEntryFields.offset),
      length: fields.number(metadataEntryFields.length),
      entryOffset: region.offset + at,
    }
  })
  checkItems(name, region, items)
  return items
}

function checkItems(name: string, region: VhdxRegion, items: readonly MetadataItem[]): void {
  const seen = new Set<string>()
  let free = region.offset + metadataTable.bytes
  for (const item of items.toSorted((a, b) => a.offset - b.offset)) {
    const { id, isUser, offset, length, entryOffset } = item
    const refuse = (
      code: 'IMAGE_ENTRY_INVALID' | 'IMAGE_OFFSET_OUT_OF_FILE' | 'IMAGE_OVERLAP',
      problem: string,
    ) =>
      new DiskError(code, `${name}: the metadata item ${id} ${problem}.`, {
        details: { offset: entryOffset },
      })
    const key = `${id} ${isUser}`
    if (seen.has(key)) throw refuse('IMAGE_ENTRY_INVALID', 'is there twice')
    seen.add(key)
    if (length === 0) continue
    if (length > metadataTable.maximumItemBytes) throw refuse('IMAGE_ENTRY_INVALID', `has ${length} bytes`)
    if (offset + length > region.offset + region.length) {
      throw refuse('IMAGE_OFFSET_OUT_OF_FILE', 'lies outside its region')
    }
    if (offset < free) throw refuse('IMAGE_OVERLAP', 'lies on the table or on another item')
    free = offset + length
  }
}

function isPowerOf2(value: number): boolean {
  return Number.isInteger(Math.log2(value))
}

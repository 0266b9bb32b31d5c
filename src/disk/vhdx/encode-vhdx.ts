import { MiB } from '../../core/bytes.ts'
import { putField, seal } from './vhdx-fields.ts'
import {
  fileIdentifier,
  fileParameters,
  header,
  headerFields,
  headerSectionBytes,
  type MetadataItemName,
  metadataEntryFields,
  metadataItems,
  metadataTable,
  metadataTableFields,
  regionEntryFields,
  regionGuids,
  regionTable,
  regionTableFields,
  vhdxVersion,
} from './vhdx-layout.ts'

/** The ids that every image has of its own. */
export interface VhdxIds {
  readonly fileWrite: string
  readonly dataWrite: string
  /** What the guest sees as the disk's identity: page 83 of SCSI. */
  readonly virtualDisk: string
}

export interface NewVhdx {
  /** Bytes of the guest's disk, whole sectors. */
  readonly size: number
  readonly blockSize: number
  readonly isFixed: boolean
  readonly batBytes: number
  readonly ids: VhdxIds
}

/** As Hyper-V has them: the log, which is empty, the metadata, the BAT; the blocks begin behind that. */
export const logOffset = headerSectionBytes
export const logBytes = MiB
export const metadataOffset = logOffset + logBytes
export const metadataBytes = MiB
export const batOffset = metadataOffset + metadataBytes

const creator = 'Imagewright'
const sectorSize = 512
/** Of the disks of today: guests align their partitions to it. */
const physicalSectorSize = 4096

/** The first MiB of an image: file identifier, headers, region tables. */
export function encodeHeaderSection({ batBytes, ids }: NewVhdx): Buffer {
  const section = Buffer.alloc(headerSectionBytes)
  section.write(fileIdentifier.signature, 0, 'latin1')
  section.write(creator, fileIdentifier.creatorOffset, 'utf16le')
  header.offsets.forEach((offset, index) => {
    const copy = section.subarray(offset, offset + header.bytes)
    copy.write(header.signature, 0, 'latin1')
    putField(copy, headerFields.sequenceNumber, { value: index + 1 })
    putField(copy, headerFields.fileWriteGuid, { value: ids.fileWrite })
    putField(copy, headerFields.dataWriteGuid, { value: ids.dataWrite })
    putField(copy, headerFields.version, { value: vhdxVersion })
    putField(copy, headerFields.logLength, { value: logBytes })
    putField(copy, headerFields.logOffset, { value: logOffset })
    seal(copy)
  })
  const regions = [
    { guid: regionGuids.bat, fileOffset: batOffset, length: batBytes },
    { guid: regionGuids.metadata, fileOffset: metadataOffset, length: metadataBytes },
  ]
  for (const offset of regionTable.offsets) {
    const table = section.subarray(offset, offset + regionTable.bytes)
    table.write(regionTable.signature, 0, 'latin1')
    putField(table, regionTableFields.entryCount, { value: regions.length })
    regions.forEach(({ guid, fileOffset, length }, index) => {
      const start = regionTable.firstEntry + index * regionTable.entryBytes
      putField(table, regionEntryFields.guid, { value: guid, start })
      putField(table, regionEntryFields.fileOffset, { value: fileOffset, start })
      putField(table, regionEntryFields.length, { value: length, start })
      putField(table, regionEntryFields.required, { value: 1, start })
    })
    seal(table)
  }
  return section
}

/** The metadata as far as they are not zeros: the table, and behind it the items. */
export function encodeMetadata({ size, blockSize, isFixed, ids }: NewVhdx): Buffer {
  const put = (field: { offset: number; size: 2 | 4 | 8 | 16 }, value: number | string) => (item: Buffer) =>
    putField(item, field, { value })
  const items: Readonly<Record<MetadataItemName, (item: Buffer) => void>> = {
    fileParameters(item) {
      item.writeUInt32LE(blockSize, 0)
      item.writeUInt32LE(isFixed ? fileParameters.leaveBlockAllocated : 0, 4)
    },
    virtualDiskSize: put({ offset: 0, size: 8 }, size),
    virtualDiskId: put({ offset: 0, size: 16 }, ids.virtualDisk),
    logicalSectorSize: put({ offset: 0, size: 4 }, sectorSize),
    physicalSectorSize: put({ offset: 0, size: 4 }, physicalSectorSize),
  }
  const names = Object.keys(items).filter(isMetadataItem)
  const itemBytes = names.reduce((sum, name) => sum + metadataItems[name].bytes, 0)
  const metadata = Buffer.alloc(metadataTable.bytes + itemBytes)
  metadata.write(metadataTable.signature, 0, 'latin1')
  putField(metadata, metadataTableFields.entryCount, { value: names.length })
  let offset: number = metadataTable.bytes
  names.forEach((name, index) => {
    const { id, bytes, flags } = metadataItems[name]
    const start = metadataTable.firstEntry + index * metadataTable.entryBytes
    putField(metadata, metadataEntryFields.itemId, { value: id, start })
    putField(metadata, metadataEntryFields.offset, { value: offset, start })
    putField(metadata, metadataEntryFields.length, { value: bytes, start })
    putField(metadata, metadataEntryFields.flags, { value: flags, start })
    items[name](metadata.subarray(offset, offset + bytes))
    offset += bytes
  })
  return metadata
}

function isMetadataItem(name: string): name is MetadataItemName {
  return Object.hasOwn(metadataItems, name)
}

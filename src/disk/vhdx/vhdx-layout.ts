import { KiB, MiB, TiB } from '../../core/bytes.ts'

/**
 * The on-disk structures of VHDX as tables, with the field names of the specification ([MS-VHDX], version 8.0).
 * Everything is little-endian; a field of 16 bytes is a GUID.
 */

/** Where a field lies in its structure and how wide it is, in bytes. */
export interface VhdxField {
  readonly offset: number
  readonly size: 2 | 4 | 8 | 16
}

/** "File Type Identifier" (2.2.1). */
export const fileIdentifier = { signature: 'vhdxfile', creatorOffset: 8, creatorBytes: 512 } as const

/** Everything but what lies in the first MiB begins at a multiple of this, and is as long as one. */
export const vhdxAlignment = MiB
/** File identifier, headers and region tables. */
export const headerSectionBytes = MiB

/** "Header" (2.2.2). */
export const headerFields = {
  checksum: { offset: 4, size: 4 },
  sequenceNumber: { offset: 8, size: 8 },
  fileWriteGuid: { offset: 16, size: 16 },
  dataWriteGuid: { offset: 32, size: 16 },
  logGuid: { offset: 48, size: 16 },
  logVersion: { offset: 64, size: 2 },
  version: { offset: 66, size: 2 },
  logLength: { offset: 68, size: 4 },
  logOffset: { offset: 72, size: 8 },
} as const satisfies Record<string, VhdxField>

export const header = { signature: 'head', bytes: 4 * KiB, offsets: [64 * KiB, 128 * KiB] } as const
export const vhdxVersion = 1

/** "Region Table" (2.2.3). */
export const regionTable = {
  signature: 'regi',
  bytes: 64 * KiB,
  offsets: [192 * KiB, 256 * KiB],
  firstEntry: 16,
  entryBytes: 32,
  maximumEntries: 2047,
} as const

export const regionTableFields = {
  entryCount: { offset: 8, size: 4 },
} as const satisfies Record<string, VhdxField>

export const regionEntryFields = {
  guid: { offset: 0, size: 16 },
  fileOffset: { offset: 16, size: 8 },
  length: { offset: 24, size: 4 },
  required: { offset: 28, size: 4 },
} as const satisfies Record<string, VhdxField>

export const regionGuids = {
  bat: '2dc27766-f623-4200-9d64-115e9bfd4a08',
  metadata: '8b7ca206-4790-4b9a-b8fe-575f050f886e',
} as const

/** "Log" (2.3): entries of whole sectors, and in each a header, descriptors, and a sector for every data descriptor. */
export const log = {
  sectorBytes: 4 * KiB,
  entrySignature: 'loge',
  zeroSignature: 'zero',
  dataSignature: 'desc',
  sectorSignature: 'data',
  firstDescriptor: 64,
  descriptorBytes: 32,
} as const

/** "Entry Header" (2.3.1.1). */
export const logEntryFields = {
  entryLength: { offset: 8, size: 4 },
  tail: { offset: 12, size: 4 },
  sequenceNumber: { offset: 16, size: 8 },
  descriptorCount: { offset: 24, size: 4 },
  logGuid: { offset: 32, size: 16 },
  flushedFileOffset: { offset: 48, size: 8 },
  lastFileOffset: { offset: 56, size: 8 },
} as const satisfies Record<string, VhdxField>

/** "Zero Descriptor" (2.3.1.2) and "Data Descriptor" (2.3.1.3), told apart by their signatures. */
export const logDescriptorFields = {
  trailingBytes: { offset: 4, size: 4 },
  leadingBytes: { offset: 8, size: 8 },
  zeroLength: { offset: 8, size: 8 },
  fileOffset: { offset: 16, size: 8 },
  sequenceNumber: { offset: 24, size: 8 },
} as const satisfies Record<string, VhdxField>

/** "Data Sector" (2.3.1.4): signature and sequence number stand where the descriptor keeps the sector's own bytes. */
export const logSectorFields = {
  sequenceHigh: { offset: 4, size: 4 },
  sequenceLow: { offset: 4092, size: 4 },
} as const satisfies Record<string, VhdxField>

/** "BAT Entry" (2.5.1): bits 0 to 2 the state, 3 to 19 reserved, 20 to 63 the place in MiB. */
export const batEntryBytes = 8

/** "Payload BAT Entry States" (2.5.1.1). */
export const blockStates = {
  notPresent: 0,
  undefined: 1,
  zero: 2,
  unmapped: 3,
  /** What "unmapped" was before version 1.00 of the format; QEMU wrote it until 2014. */
  unmappedBefore1: 5,
  fullyPresent: 6,
  partiallyPresent: 7,
} as const

/** "Metadata Table" (2.6.1). */
export const metadataTable = {
  signature: 'metadata',
  bytes: 64 * KiB,
  firstEntry: 32,
  entryBytes: 32,
  maximumEntries: 2047,
  maximumItemBytes: MiB,
} as const

export const metadataTableFields = {
  entryCount: { offset: 10, size: 2 },
} as const satisfies Record<string, VhdxField>

export const metadataEntryFields = {
  itemId: { offset: 0, size: 16 },
  offset: { offset: 16, size: 4 },
  length: { offset: 20, size: 4 },
  flags: { offset: 24, size: 4 },
} as const satisfies Record<string, VhdxField>

export const metadataFlags = { isUser: 1, isVirtualDisk: 2, isRequired: 4 } as const

/** "Known Metadata Items" (2.6.2) that every image has, with their length in bytes. */
export const metadataItems = {
  fileParameters: { id: 'caa16737-fa36-4d43-b3b6-33f0aa44e76b', bytes: 8, flags: 4 },
  virtualDiskSize: { id: '2fa54224-cd1b-4876-b211-5dbed83bf4b8', bytes: 8, flags: 6 },
  virtualDiskId: { id: 'beca12ab-b2e6-4523-93ef-c309e000c746', bytes: 16, flags: 6 },
  logicalSectorSize: { id: '8141bf1d-a96f-4709-ba47-f233a8faab5f', bytes: 4, flags: 6 },
  physicalSectorSize: { id: 'cda348c7-445d-4471-9cc9-e9885251c556', bytes: 4, flags: 6 },
} as const
export type MetadataItemName = keyof typeof metadataItems

/** Only in an image that takes data from a parent. */
export const parentLocatorId = 'a8d35f2d-b30b-454d-abf7-d3d84834ab0c'

/** "File Parameters" (2.6.2.1). */
export const fileParameters = { leaveBlockAllocated: 1, hasParent: 2 } as const

export const minimumBlockSize = MiB
export const maximumBlockSize = 256 * MiB
export const maximumVirtualSize = 64 * TiB
export const sectorSizes: readonly number[] = [512, 4096]

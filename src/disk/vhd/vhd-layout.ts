/**
 * The structures of VHD as tables, with the field names of Microsoft's "Virtual Hard Disk Image Format Specification"
 * (October 2006). Everything is big-endian.
 */
export interface VhdField {
  readonly offset: number
  readonly size: 1 | 2 | 4 | 8
}

/** "Hard Disk Footer Format". */
export const footerFields = {
  cookie: { offset: 0, size: 8 },
  features: { offset: 8, size: 4 },
  file_format_version: { offset: 12, size: 4 },
  data_offset: { offset: 16, size: 8 },
  time_stamp: { offset: 24, size: 4 },
  creator_application: { offset: 28, size: 4 },
  creator_version: { offset: 32, size: 4 },
  creator_host_os: { offset: 36, size: 4 },
  original_size: { offset: 40, size: 8 },
  current_size: { offset: 48, size: 8 },
  cylinders: { offset: 56, size: 2 },
  heads: { offset: 58, size: 1 },
  sectors_per_track: { offset: 59, size: 1 },
  disk_type: { offset: 60, size: 4 },
  checksum: { offset: 64, size: 4 },
} as const satisfies Readonly<Record<string, VhdField>>

/** "Unique ID": a UUID of 16 bytes, as they are. */
export const uniqueIdOffset = 68

/** "Dynamic Disk Header Format". */
export const dynamicFields = {
  cookie: { offset: 0, size: 8 },
  data_offset: { offset: 8, size: 8 },
  table_offset: { offset: 16, size: 8 },
  header_version: { offset: 24, size: 4 },
  max_table_entries: { offset: 28, size: 4 },
  block_size: { offset: 32, size: 4 },
  checksum: { offset: 36, size: 4 },
} as const satisfies Readonly<Record<string, VhdField>>

export type FooterFieldName = keyof typeof footerFields
export type DynamicFieldName = keyof typeof dynamicFields

export const footerCookie = 'conectix'
export const dynamicCookie = 'cxsparse'
export const footerBytes = 512
/** "Versions previous to Microsoft Virtual PC 2004" leave the last byte away, which is reserved. */
export const oldFooterBytes = 511
export const dynamicHeaderBytes = 1024
export const vhdSectorSize = 512

/** The high half is the major version; a reader that does not know it must not read. */
export const fileFormatVersion = 0x00010000
/** "Features": the bit that is always set. */
export const reservedFeature = 2
export const diskTypes = { fixed: 2, dynamic: 3, differencing: 4 } as const
/** "Data Offset" where nothing follows. */
export const noDataOffset = 0xffff_ffff_ffff_ffffn
/** "Time Stamp" counts seconds from here. */
export const vhdEpoch = Date.UTC(2000, 0, 1)

/** A block that is not in the file, in the block allocation table. */
export const vhdUnallocated = 0xffffffff
export const defaultVhdBlockSize = 2 * 1024 * 1024
export const minimumVhdBlockSize = 512 * 1024
export const maximumVhdBlockSize = 256 * 1024 * 1024
/** Twice what the largest disk needs with the smallest blocks. */
export const maximumTableEntries = 8 * 1024 * 1024
/** 2040 GiB: what readers take of a disk with a table, whose entries are sector numbers of 32 bits. */
export const maximumDynamicSize = 0xff000000 * vhdSectorSize
/** 32 TiB: the largest disk that Azure takes. */
export const maximumFixedSize = 32 * 1024 ** 4

/**
 * Programs whose images QEMU gives the size in "Current Size". For all others it is the product of the geometry, unless
 * that is the largest there is. Everybody else goes by "Current Size" always.
 */
export const sizeFieldCreators: readonly string[] = ['win ', 'qem2', 'd2v ', 'CTXS', 'tap\0', 'wa\0\0']

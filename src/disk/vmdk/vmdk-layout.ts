/**
 * The on-disk structures of VMDK as tables, with the field names of the specification ("Virtual Disk Format 5.0" of
 * VMware, "Hosted Sparse Extents" and "Stream-Optimized Compressed Sparse Extents"). Everything is little-endian, and
 * every place and length in a structure counts sectors of 512 bytes.
 */

export const sectorSize = 512

/** Where a header field lies and how wide it is, in bytes. */
export interface HeaderField {
  readonly offset: number
  readonly size: 1 | 2 | 4 | 8
}

/** "SparseExtentHeader", 512 bytes. */
export const headerFields = {
  magicNumber: { offset: 0, size: 4 },
  version: { offset: 4, size: 4 },
  flags: { offset: 8, size: 4 },
  capacity: { offset: 12, size: 8 },
  grainSize: { offset: 20, size: 8 },
  descriptorOffset: { offset: 28, size: 8 },
  descriptorSize: { offset: 36, size: 8 },
  numGTEsPerGT: { offset: 44, size: 4 },
  rgdOffset: { offset: 48, size: 8 },
  gdOffset: { offset: 56, size: 8 },
  overHead: { offset: 64, size: 8 },
  uncleanShutdown: { offset: 72, size: 1 },
  /** `\n \r\n`: shows that a transfer as text has changed the file. */
  newlineTest: { offset: 73, size: 4 },
  compressAlgorithm: { offset: 77, size: 2 },
} as const satisfies Record<string, HeaderField>

export type HeaderFieldName = keyof typeof headerFields

export const headerBytes = 512
/** `KDMV` */
export const vmdkMagic = 0x564d444b
/** `COWD`: sparse extents of ESX. */
export const esxSparseMagic = 0x44574f43
export const newlineTest = 0x0a0d200a
export const minimumVersion = 1
export const maximumVersion = 3

/** Flags a reader may ignore when it does not know them are in the lower half; the others it must know. */
export const headerFlags = {
  validNewlineTest: 0x1,
  redundantGrainTable: 0x2,
  /** A grain table entry of 1 is a grain of zeros. */
  zeroGrainEntry: 0x4,
  compressed: 0x1_0000,
  markers: 0x2_0000,
} as const
export const incompatibleFlags = 0xffff_0000

export const compressDeflate = 1
/** `gdOffset` of a stream: the footer says where the grain directory is. */
export const gdAtEnd = 0xffff_ffff_ffff_ffffn

/** Sectors. */
export const minimumGrainSize = 8
/** Sectors; 2 MiB. The specification has no upper bound, and no writer departs from 64 KiB. */
export const maximumGrainSize = 4096
export const entriesPerGrainTable = 512
export const entryBytes = 4
export const grainTableBytes = entriesPerGrainTable * entryBytes
/** Grain table entry for a grain of zeros, with `zeroGrainEntry`. */
export const zeroGrain = 1
/** 16 TiB need 2 MiB with the usual grains, and this much with the smallest. */
export const maximumDirectoryBytes = 32 * 1024 * 1024

/** The descriptor stands in the second sector of a file, where every reader looks for it. */
export const descriptorSector = 1
/** QEMU and OpenStack read no more of a descriptor. */
export const maximumDescriptorBytes = 1024 * 1024 - 1

/** "Compressed grain": its place on the disk and the length of its data stand before the data. */
export const grainMarkerBytes = 12
/** "Markers": whole sectors that a length of 0 tells from grains. `val` is a number of sectors that follow. */
export const markerFields = {
  val: { offset: 0, size: 8 },
  size: { offset: 8, size: 4 },
  type: { offset: 12, size: 4 },
} as const satisfies Record<string, HeaderField>

export const markerTypes = {
  endOfStream: 0,
  grainTable: 1,
  grainDirectory: 2,
  footer: 3,
  progress: 4,
} as const

/** Footer marker, footer, end-of-stream marker. */
export const footerBytes = 3 * sectorSize

/**
 * The on-disk structures of qcow2 as tables, with the field names of the specification
 * (docs/interop/qcow2.txt of QEMU). Everything is big-endian.
 */

/** Where a header field lies and how wide it is, in bytes. */
export interface HeaderField {
  readonly offset: number
  readonly size: 1 | 4 | 8
}

/** "Header": version 2 has the fields up to byte 72, version 3 all of them. */
export const headerFields = {
  magic: { offset: 0, size: 4 },
  version: { offset: 4, size: 4 },
  backing_file_offset: { offset: 8, size: 8 },
  backing_file_size: { offset: 16, size: 4 },
  cluster_bits: { offset: 20, size: 4 },
  size: { offset: 24, size: 8 },
  crypt_method: { offset: 32, size: 4 },
  l1_size: { offset: 36, size: 4 },
  l1_table_offset: { offset: 40, size: 8 },
  refcount_table_offset: { offset: 48, size: 8 },
  refcount_table_clusters: { offset: 56, size: 4 },
  nb_snapshots: { offset: 60, size: 4 },
  snapshots_offset: { offset: 64, size: 8 },
  incompatible_features: { offset: 72, size: 8 },
  compatible_features: { offset: 80, size: 8 },
  autoclear_features: { offset: 88, size: 8 },
  refcount_order: { offset: 96, size: 4 },
  header_length: { offset: 100, size: 4 },
  compression_type: { offset: 104, size: 1 },
} as const satisfies Record<string, HeaderField>

export type HeaderFieldName = keyof typeof headerFields

/** `QFI\xfb` */
export const qcow2Magic = 0x514649fb
export const version2HeaderLength = 72
/** Up to and with `header_length`; `compression_type` is in longer headers only. */
export const version3HeaderLength = 104
/** What this project and QEMU write: `compression_type` and its padding. */
export const writtenHeaderLength = 112

export const minimumClusterBits = 9
export const maximumClusterBits = 21
/** "Extended L2 Entries": subclusters of at least 512 bytes need 16 KiB clusters. */
export const minimumExtendedL2ClusterBits = 14
export const subclustersPerCluster = 32
export const maximumRefcountOrder = 6
export const maximumBackingFileSize = 1023
/** QEMU opens no image with a larger active L1 table. */
export const maximumL1Bytes = 32 * 1024 * 1024

/** "Incompatible features": a reader that does not know a set bit must refuse the image. */
export const incompatibleFeatures = {
  dirty: 1n << 0n,
  corrupt: 1n << 1n,
  externalDataFile: 1n << 2n,
  compressionType: 1n << 3n,
  extendedL2: 1n << 4n,
} as const

/** "Auto-clear features": they say that something else in the image is up to date. */
export const autoclearFeatures = { bitmaps: 1n << 0n, rawExternalData: 1n << 1n } as const

export const compatibleFeatures = { lazyRefcounts: 1n << 0n } as const

/** `compression_type` by value. */
export const compressionTypes = ['zlib', 'zstd'] as const
export type Qcow2Compression = (typeof compressionTypes)[number]

/** "Header extensions": type, length, then data padded to a multiple of 8. */
export const headerExtensions = {
  end: 0,
  backingFormat: 0xe2792aca,
  featureNames: 0x6803f857,
  bitmaps: 0x23852875,
  encryptionHeader: 0x0537be77,
  externalDataFile: 0x44415441,
} as const

/** "Feature name table": 48 bytes each of kind (0 incompatible, 1 compatible, 2 autoclear), bit number, name. */
export const featureNameEntrySize = 48
export const featureNames: readonly (readonly [kind: number, bit: number, name: string])[] = [
  [0, 0, 'dirty bit'],
  [0, 1, 'corrupt bit'],
  [0, 2, 'external data file'],
  [0, 3, 'compression type'],
  [0, 4, 'extended L2 entries'],
  [1, 0, 'lazy refcounts'],
  [2, 0, 'bitmaps'],
  [2, 1, 'raw external data'],
]

/**
 * "L1 table entry", "Standard Cluster Descriptor": the high and the low 32 bits are handled apart, since bit
 * operations on a number keep only 32 and a BigInt per entry would cost the hot paths dearly.
 */
export const tableEntry = {
  bytes: 8,
  extendedBytes: 16,
  /** Bit 63 of the entry: refcount is exactly one. */
  copiedHigh: 0x8000_0000,
  /** Bit 62: the cluster is compressed. */
  compressedHigh: 0x4000_0000,
  /** Bits 32 to 55 of the host offset. */
  offsetHigh: 0x00ff_ffff,
  /** Bits 9 to 31 of the host offset. */
  offsetLow: 0xffff_fe00,
  /** Bits 56 to 61. */
  reservedHigh: 0x3f00_0000,
  /** Bits 1 to 8 of a standard cluster descriptor. */
  reservedLow: 0x1fe,
  /** Bit 0 of a standard cluster descriptor: reads as zeros (version 3). */
  zeroLow: 1,
} as const

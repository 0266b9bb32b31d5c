/**
 * The parts of the ext2/3/4 on-disk format that are used here. Names follow the kernel's `fs/ext4/ext4.h` and
 * "Data Structures and Algorithms" of its documentation (Documentation/filesystems/ext4); all numbers are
 * little-endian, all offsets are bytes.
 */

/** One field: its offset in the structure and its width in bytes. */
export type Field = readonly [offset: number, width: 1 | 2 | 4]

/** Where the super block stands, whatever the block size. */
export const superblockOffset = 1024
export const superblockSize = 1024
export const superblockMagic = 0xef53

/** "The Super Block", struct ext4_super_block. */
export const superblockFields = {
  inodesCount: [0x00, 4],
  blocksCountLow: [0x04, 4],
  firstDataBlock: [0x14, 4],
  logBlockSize: [0x18, 4],
  blocksPerGroup: [0x20, 4],
  inodesPerGroup: [0x28, 4],
  magic: [0x38, 2],
  state: [0x3a, 2],
  revision: [0x4c, 4],
  firstInode: [0x54, 4],
  inodeSize: [0x58, 2],
  compatible: [0x5c, 4],
  incompatible: [0x60, 4],
  readOnlyCompatible: [0x64, 4],
  reservedGdtBlocks: [0xce, 2],
  journalInode: [0xe0, 4],
  journalDevice: [0xe4, 4],
  lastOrphan: [0xe8, 4],
  descriptorSize: [0xfe, 2],
  firstMetaGroup: [0x104, 4],
  blocksCountHigh: [0x150, 4],
  multiMountBlock: [0x168, 4],
  userQuotaInode: [0x240, 4],
  groupQuotaInode: [0x244, 4],
  backupGroup0: [0x24c, 4],
  backupGroup1: [0x250, 4],
  projectQuotaInode: [0x26c, 4],
  checksumSeed: [0x270, 4],
  orphanFileInode: [0x280, 4],
} as const satisfies Readonly<Record<string, Field>>

export const stateFlags = { valid: 0x1, error: 0x2 } as const

export const compatibleFeatures = {
  hasJournal: 0x4,
  sparseSuper2: 0x200,
  orphanFile: 0x1000,
} as const

export const incompatibleFeatures = {
  compression: 0x1,
  fileType: 0x2,
  recover: 0x4,
  journalDevice: 0x8,
  metaGroups: 0x10,
  extents: 0x40,
  wide: 0x80,
  multiMount: 0x100,
  flexGroups: 0x200,
  attributeInodes: 0x400,
  directoryData: 0x1000,
  checksumSeed: 0x2000,
  largeDirectory: 0x4000,
  inlineData: 0x8000,
  encryption: 0x1_0000,
  caseFolding: 0x2_0000,
} as const

export const readOnlyFeatures = {
  sparseSuper: 0x1,
  largeFile: 0x2,
  btreeDirectory: 0x4,
  hugeFile: 0x8,
  groupChecksum: 0x10,
  directoryLinks: 0x20,
  extraInodeSize: 0x40,
  quota: 0x100,
  bigalloc: 0x200,
  metadataChecksum: 0x400,
  readOnly: 0x1000,
  projectQuota: 0x2000,
  verity: 0x8000,
  orphanPresent: 0x1_0000,
} as const

/** "Block Group Descriptors", struct ext4_group_desc. The high halves exist where descriptors have 64 bytes. */
export const descriptorOffsets = {
  blockBitmapLow: 0x00,
  inodeBitmapLow: 0x04,
  inodeTableLow: 0x08,
  flags: 0x12,
  unusedInodesLow: 0x1c,
  blockBitmapHigh: 0x20,
  inodeBitmapHigh: 0x24,
  inodeTableHigh: 0x28,
  unusedInodesHigh: 0x32,
} as const

export const groupFlags = { inodesUninitialised: 0x1, blocksUninitialised: 0x2 } as const

/** "Index Nodes", struct ext4_inode. */
export const inodeOffsets = {
  mode: 0x00,
  uidLow: 0x02,
  sizeLow: 0x04,
  modified: 0x10,
  gidLow: 0x18,
  links: 0x1a,
  blocksLow: 0x1c,
  flags: 0x20,
  block: 0x28,
  generation: 0x64,
  attributesLow: 0x68,
  sizeHigh: 0x6c,
  attributesHigh: 0x76,
  uidHigh: 0x78,
  gidHigh: 0x7a,
  checksumLow: 0x7c,
  extraSize: 0x80,
  checksumHigh: 0x82,
  modifiedExtra: 0x88,
} as const

/** Bytes of `i_block`: block numbers, the root of an extent tree, a short link's target or inline data. */
export const blockAreaSize = 60
export const smallInodeSize = 128

export const inodeFlags = {
  encrypted: 0x800,
  indexed: 0x1000,
  extents: 0x8_0000,
  verity: 0x10_0000,
  inlineData: 0x1000_0000,
  caseFolded: 0x4000_0000,
} as const

export const reservedInodes = {
  badBlocks: 1,
  root: 2,
  resize: 7,
  journal: 8,
} as const

/** The file type in the upper bits of `i_mode`. */
export const modeTypes = {
  mask: 0xf000,
  fifo: 0x1000,
  characterDevice: 0x2000,
  directory: 0x4000,
  blockDevice: 0x6000,
  file: 0x8000,
  symlink: 0xa000,
  socket: 0xc000,
} as const

export const extentMagic = 0xf30a
export const extentHeaderSize = 12
export const extentEntrySize = 12
/** A longer `ee_len` marks an extent that is allocated but not written: it reads as zeros. */
export const maximumWrittenExtent = 32768

/** struct ext4_dir_entry_tail: an entry without inode, name length 0 and this file type, then the checksum. */
export const directoryTailSize = 12
export const directoryTailType = 0xde

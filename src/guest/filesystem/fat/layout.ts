/**
 * The parts of the FAT on-disk format that are used here; "FAT: General Overview of On-Disk Format", version 1.03, the
 * specification that UEFI (section 13.3) refers to. Everything is little-endian, offsets are bytes.
 */

/** Section "Boot Sector and BPB". */
export const bootSector = {
  bytesPerSector: 11,
  sectorsPerCluster: 13,
  reservedSectors: 14,
  fatCount: 16,
  rootEntries: 17,
  totalSectors16: 19,
  media: 21,
  fatSectors16: 22,
  totalSectors32: 32,
  fatSectors32: 36,
  extendedFlags: 40,
  rootCluster: 44,
  fsInfoSector: 48,
  backupSector: 50,
  signature: 510,
} as const

/** Section "FSInfo Sector Structure and Backup Boot Sector". */
export const fsInfo = {
  leadSignature: 0x4161_5252,
  structureSignatureOffset: 484,
  structureSignature: 0x6141_7272,
  freeCount: 488,
  nextFree: 492,
  trailSignatureOffset: 508,
  trailSignature: 0xaa55_0000,
} as const

/** Section "FAT Directory Structure". */
export const directoryEntry = {
  bytes: 32,
  attributes: 11,
  smallLetters: 12,
  clusterHigh: 20,
  clusterLow: 26,
  size: 28,
} as const

export const attributes = { volumeLabel: 0x08, directory: 0x10, archive: 0x20, longName: 0x0f } as const

/** Not in the specification, which reserves the byte; msdos_fs.h of Linux, CASE_LOWER_BASE and CASE_LOWER_EXT. */
export const smallLetters = { base: 0x08, extension: 0x10 } as const

/** The first byte of an entry that is free, and of one that is free and followed by nothing but free ones. */
export const freeEntry = 0xe5
export const lastFreeEntry = 0x00

/** Section "Long Directory Entries": where an entry keeps its thirteen characters. */
export const longName = {
  order: 0,
  isLast: 0x40,
  checksum: 13,
  characters: [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30],
  maximumLength: 255,
} as const

/** A directory has at most 65 536 entries. */
export const maximumDirectoryBytes = 65_536 * directoryEntry.bytes

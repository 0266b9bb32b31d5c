import type { AbortOptions } from '../../../core/abort.ts'
import { crc32c } from '../../../core/crc32c.ts'
import type { Disk } from '../../../disk/disk.ts'
import { GuestError } from '../../errors.ts'
import { decodeName } from '../name-encoding.ts'
import { damaged } from './damaged.ts'
import {
  compatibleFeatures,
  type Field,
  incompatibleFeatures,
  readOnlyFeatures,
  smallInodeSize,
  superblockFields,
  superblockMagic,
  superblockOffset,
  superblockSize,
} from './layout.ts'

/** What the super block says, checked: every number is in range for the others and for the disk. */
export interface Superblock {
  readonly type: 'ext2' | 'ext3' | 'ext4'
  readonly uuid: string
  readonly label: string
  readonly blockSize: number
  readonly blocksCount: number
  readonly firstDataBlock: number
  readonly blocksPerGroup: number
  readonly groupCount: number
  readonly inodesCount: number
  readonly inodesPerGroup: number
  readonly inodeSize: number
  readonly firstInode: number
  readonly descriptorSize: number
  readonly firstMetaGroup: number
  readonly reservedGdtBlocks: number
  readonly backupGroups: readonly number[]
  readonly compatible: number
  readonly incompatible: number
  readonly readOnlyCompatible: number
  readonly state: number
  readonly journalInode: number
  readonly lastOrphan: number
  readonly orphanFileInode: number
  readonly quotaInodes: readonly number[]
  readonly multiMountBlock: number
  /** Start value of every metadata checksum; null without the feature `metadata_csum`. */
  readonly checksumSeed: number | null
  /** Whether groups say which parts of their tables were never initialised. */
  readonly tracksInitialisation: boolean
}

/**
 * Reads and checks the super block.
 * @throws GuestError `FILESYSTEM_DAMAGED` | `FILESYSTEM_UNSUPPORTED`
 */
export async function readSuperblock(disk: Disk, options: AbortOptions): Promise<Superblock> {
  if (disk.size < superblockOffset + superblockSize) throw damaged('it is too small for a super block')
  const bytes = new Uint8Array(superblockSize)
  await disk.read(bytes, superblockOffset, options)
  return parseSuperblock(bytes, disk.size)
}

function parseSuperblock(bytes: Uint8Array, diskSize: number): Superblock {
  const fields = readFields(bytes, superblockFields)
  if (fields.magic !== superblockMagic) throw damaged('it has no ext2, ext3 or ext4 super block')
  const dynamic = fields.revision >= 1
  const features = {
    compatible: dynamic ? fields.compatible : 0,
    incompatible: dynamic ? fields.incompatible : 0,
    readOnlyCompatible: dynamic ? fields.readOnlyCompatible : 0,
  }
  refuseUnsupported(features)
  if (fields.logBlockSize > 6) throw damaged(`its block size is impossible (2^${10 + fields.logBlockSize})`)
  const blockSize = 1024 << fields.logBlockSize
  const wide = (features.incompatible & incompatibleFeatures.wide) !== 0
  const blocksCount = fields.blocksCountLow + (wide ? fields.blocksCountHigh * 2 ** 32 : 0)
  const inodeSize = dynamic ? fields.inodeSize : smallInodeSize
  const descriptorSize = wide ? fields.descriptorSize : 32
  const { firstDataBlock, blocksPerGroup, inodesPerGroup, inodesCount } = fields
  const groupCount = Math.ceil((blocksCount - firstDataBlock) / blocksPerGroup)

  check(firstDataBlock === (blockSize === 1024 ? 1 : 0), `its first data block is ${firstDataBlock}`)
  check(blocksCount > firstDataBlock + 1, `it has ${blocksCount} blocks`)
  check(
    Number.isSafeInteger(blocksCount * blockSize) && blocksCount * blockSize <= diskSize,
    `it claims ${blocksCount} blocks of ${blockSize} bytes, more than the ${diskSize} bytes there are`,
  )
  check(
    blocksPerGroup > 0 && blocksPerGroup <= 8 * blockSize && blocksPerGroup % 8 === 0,
    `it has ${blocksPerGroup} blocks per group`,
  )
  check(
    inodesPerGroup > 0 && inodesPerGroup <= 8 * blockSize && inodesPerGroup % 8 === 0,
    `it has ${inodesPerGroup} inodes per group`,
  )
  check(groupCount * inodesPerGroup === inodesCount, `it has ${inodesCount} inodes in ${groupCount} groups`)
  check(
    inodeSize >= smallInodeSize && inodeSize <= blockSize && isPowerOfTwo(inodeSize),
    `its inodes have ${inodeSize} bytes`,
  )
  check(
    isPowerOfTwo(descriptorSize) && descriptorSize >= (wide ? 64 : 32) && descriptorSize <= blockSize,
    `its group descriptors have ${descriptorSize} bytes`,
  )
  const firstInode = dynamic ? fields.firstInode : 11
  check(firstInode >= 11 && firstInode <= inodesCount, `its first inode is ${firstInode}`)
  check(fields.journalInode <= inodesCount, `its journal is inode ${fields.journalInode}`)
  check(
    fields.reservedGdtBlocks <= blockSize / 4,
    `it reserves ${fields.reservedGdtBlocks} descriptor blocks`,
  )

  const has = (feature: number): boolean => (features.readOnlyCompatible & feature) !== 0
  const hasChecksums = has(readOnlyFeatures.metadataChecksum)
  const seeded = (features.incompatible & incompatibleFeatures.checksumSeed) !== 0
  return {
    type: typeOf(features),
    uuid: formatUuid(bytes.subarray(0x68, 0x78)),
    label: decodeName(untilNul(bytes.subarray(0x78, 0x88))),
    blockSize,
    blocksCount,
    firstDataBlock,
    blocksPerGroup,
    groupCount,
    inodesCount,
    inodesPerGroup,
    inodeSize,
    firstInode,
    descriptorSize,
    firstMetaGroup: fields.firstMetaGroup,
    reservedGdtBlocks: fields.reservedGdtBlocks,
    backupGroups: [fields.backupGroup0, fields.backupGroup1],
    ...features,
    state: fields.state,
    journalInode: (features.compatible & compatibleFeatures.hasJournal) !== 0 ? fields.journalInode : 0,
    lastOrphan: fields.lastOrphan,
    orphanFileInode: (features.compatible & compatibleFeatures.orphanFile) !== 0 ? fields.orphanFileInode : 0,
    quotaInodes: has(readOnlyFeatures.quota)
      ? [fields.userQuotaInode, fields.groupQuotaInode, fields.projectQuotaInode].filter(
          (inode) => inode > 0 && inode <= inodesCount,
        )
      : [],
    multiMountBlock:
      (features.incompatible & incompatibleFeatures.multiMount) !== 0 ? fields.multiMountBlock : 0,
    checksumSeed: hasChecksums
      ? seeded
        ? fields.checksumSeed
        : crc32c(0xffff_ffff, bytes.subarray(0x68, 0x78))
      : null,
    tracksInitialisation: hasChecksums || has(readOnlyFeatures.groupChecksum),
  }
}

/** Free blocks as the super block counts them, in bytes: s_free_blocks_count_lo and _hi. */
export async function readFreeBytes(
  { disk, superblock }: { disk: Disk; superblock: Superblock },
  options: AbortOptions,
): Promise<number> {
  const bytes = Buffer.alloc(superblockSize)
  await disk.read(bytes, superblockOffset, options)
  const wide = (superblock.incompatible & incompatibleFeatures.wide) !== 0
  const blocks = bytes.readUInt32LE(0x0c) + (wide ? bytes.readUInt32LE(0x158) * 2 ** 32 : 0)
  return Math.min(blocks, superblock.blocksCount) * superblock.blockSize
}

interface Features {
  readonly compatible: number
  readonly incompatible: number
  readonly readOnlyCompatible: number
}

/**
 * An unknown compatible bit can be ignored by definition of the format. The other two kinds cannot: what they mean
 * decides which blocks are in use, and a wrong answer there would zero somebody's data.
 */
function refuseUnsupported({ incompatible, readOnlyCompatible }: Features): void {
  const { compression, journalDevice, directoryData, ...incompatibleHandled } = incompatibleFeatures
  const { bigalloc, ...readOnlyHandled } = readOnlyFeatures
  const named: readonly (readonly [boolean, string])[] = [
    [(incompatible & compression) !== 0, 'compressed files'],
    [(incompatible & journalDevice) !== 0, 'being a journal for another file system'],
    [(incompatible & directoryData) !== 0, 'data in directory entries'],
    [(readOnlyCompatible & bigalloc) !== 0, 'bigalloc (blocks allocated in clusters)'],
  ]
  const unknownIncompatible = (incompatible & ~union(incompatibleHandled)) >>> 0
  const unknownReadOnly = (readOnlyCompatible & ~union(readOnlyHandled)) >>> 0
  if (unknownIncompatible === 0 && unknownReadOnly === 0) return
  const name =
    named.find(([present]) => present)?.[1] ??
    `unknown features (incompat 0x${unknownIncompatible.toString(16)}, ro_compat 0x${unknownReadOnly.toString(16)})`
  throw new GuestError('FILESYSTEM_UNSUPPORTED', `The ext4 file system uses ${name}.`, {
    hint: 'Convert the image without cleaning, or turn the feature off in the guest.',
  })
}

/** As blkid names them: ext4 is whatever an ext3 driver could not mount. */
function typeOf({ compatible, incompatible, readOnlyCompatible }: Features): Superblock['type'] {
  const { fileType, recover, metaGroups } = incompatibleFeatures
  const { sparseSuper, largeFile, btreeDirectory } = readOnlyFeatures
  const beyondExt3 =
    (incompatible & ~(fileType | recover | metaGroups)) !== 0 ||
    (readOnlyCompatible & ~(sparseSuper | largeFile | btreeDirectory)) !== 0
  if (beyondExt3) return 'ext4'
  return (compatible & compatibleFeatures.hasJournal) !== 0 ? 'ext3' : 'ext2'
}

function readFields<Name extends string>(
  bytes: Uint8Array,
  fields: Readonly<Record<Name, Field>>,
): Record<Name, number> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const read = ([offset, width]: Field): number =>
    width === 4
      ? view.getUint32(offset, true)
      : width === 2
        ? view.getUint16(offset, true)
        : view.getUint8(offset)
  const entries = Object.entries<Field>(fields).map(([name, field]) => [name, read(field)])
  return Object.fromEntries(entries)
}

function check(holds: boolean, problem: string): void {
  if (!holds) throw damaged(problem)
}

function union(flags: Readonly<Record<string, number>>): number {
  return Object.values(flags).reduce((all, flag) => all | flag, 0)
}

function isPowerOfTwo(value: number): boolean {
  return value > 0 && (value & (value - 1)) === 0
}

function untilNul(bytes: Uint8Array): Uint8Array {
  const end = bytes.indexOf(0)
  return end < 0 ? bytes : bytes.subarray(0, end)
}

function formatUuid(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

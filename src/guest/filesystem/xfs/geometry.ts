import type { AbortOptions } from '../../../core/abort.ts'
import type { Disk } from '../../../disk/disk.ts'
import { GuestError } from '../../errors.ts'
import { damagedXfs } from './damaged-xfs.ts'

/** Where everything is in an xfs file system. Sizes are bytes unless they say blocks. */
export interface XfsGeometry {
  readonly blockSize: number
  readonly sectorSize: number
  /** Allocation groups, and the blocks of each but the last. */
  readonly groupCount: number
  readonly groupBlocks: number
  /** Of a block's number: the bits of its place in its group. */
  readonly groupBits: number
  readonly blocks: number
  readonly inodeSize: number
  readonly directoryBlockSize: number
  readonly log: { readonly offset: number; readonly length: number }
  /** Version 5: metadata describes itself, and has checksums. */
  readonly hasChecksums: boolean
  /** Directory entries tell what they name. */
  readonly hasFileTypes: boolean
  /** Inodes need not be allocated in whole chunks. */
  readonly hasSparseInodes: boolean
}

/** xfs on-disk format, "Superblocks": big-endian offsets. */
const field = {
  blockSize: 4,
  blocks: 8,
  logStart: 48,
  groupBlocks: 84,
  groupCount: 88,
  logBlocks: 96,
  version: 100,
  sectorSize: 102,
  inodeSize: 104,
  groupBits: 124,
  directoryBits: 192,
  features2: 200,
  incompatible: 216,
} as const

const fileTypes4 = 0x200
const fileTypes5 = 0x1
const sparseInodes = 0x2

/** @throws GuestError `FILESYSTEM_DAMAGED` | `FILESYSTEM_UNSUPPORTED` */
export async function readXfsGeometry(disk: Disk, options: AbortOptions): Promise<XfsGeometry> {
  const block = Buffer.alloc(512)
  await disk.read(block, 0, options)
  if (block.toString('latin1', 0, 4) !== 'XFSB') throw damagedXfs('it has no super block')
  const blockSize = block.readUInt32BE(field.blockSize)
  const blocks = Number(block.readBigUInt64BE(field.blocks))
  const groupBlocks = block.readUInt32BE(field.groupBlocks)
  const groupCount = block.readUInt32BE(field.groupCount)
  const sectorSize = block.readUInt16BE(field.sectorSize)
  const inodeSize = block.readUInt16BE(field.inodeSize)
  const groupBits = block.readUInt8(field.groupBits)
  const isPower = (value: number, from: number, to: number): boolean =>
    value >= from && value <= to && Number.isInteger(Math.log2(value))
  const isSane =
    isPower(blockSize, 512, 65536) &&
    isPower(sectorSize, 512, 32768) &&
    isPower(inodeSize, 256, 2048) &&
    inodeSize <= blockSize &&
    blocks * blockSize <= disk.size &&
    groupCount > 0 &&
    groupBlocks >= 64 &&
    groupBits < 32 &&
    groupBlocks <= 2 ** groupBits &&
    (groupCount - 1) * groupBlocks < blocks &&
    groupCount * groupBlocks >= blocks
  if (!isSane) throw damagedXfs('the numbers in its super block cannot be')
  const hasChecksums = (block.readUInt16BE(field.version) & 0xf) === 5
  const incompatible = hasChecksums ? block.readUInt32BE(field.incompatible) : 0
  const logStart = Number(block.readBigUInt64BE(field.logStart))
  if (logStart === 0) {
    throw new GuestError('FILESYSTEM_UNSUPPORTED', 'The xfs file system keeps its log on another disk.')
  }
  const geometry = {
    blockSize,
    sectorSize,
    groupCount,
    groupBlocks,
    groupBits,
    blocks,
    inodeSize,
    directoryBlockSize: blockSize * 2 ** Math.min(block.readUInt8(field.directoryBits), 16),
    hasChecksums,
    hasFileTypes: hasChecksums
      ? (incompatible & fileTypes5) !== 0
      : (block.readUInt32BE(field.features2) & fileTypes4) !== 0,
    hasSparseInodes: (incompatible & sparseInodes) !== 0,
    log: { offset: 0, length: block.readUInt32BE(field.logBlocks) * blockSize },
  }
  if (geometry.directoryBlockSize > 65536) throw damagedXfs('its directory blocks are too large')
  const log = { ...geometry.log, offset: blockOffset(geometry, logStart, geometry.log.length / blockSize) }
  return { ...geometry, log }
}

/**
 * Where a run of blocks lies: a block's number is its group's, and its place in it.
 * @throws GuestError `FILESYSTEM_DAMAGED` when it leaves its group
 */
export function blockOffset(
  { blockSize, blocks, groupBits, groupBlocks, groupCount }: Omit<XfsGeometry, 'log'>,
  number: number,
  count = 1,
): number {
  const group = Math.floor(number / 2 ** groupBits)
  const inGroup = number - group * 2 ** groupBits
  const start = group * groupBlocks + inGroup
  if (!(group < groupCount && inGroup + count <= groupBlocks && start + count <= blocks && count > 0)) {
    throw damagedXfs(`it points to block ${number}, which is outside`)
  }
  return start * blockSize
}

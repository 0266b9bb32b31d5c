import { type AbortOptions, throwIfCancelled } from '../../../core/abort.ts'
import type { Disk } from '../../../disk/disk.ts'
import { GuestError } from '../../errors.ts'
import { damagedXfs } from './damaged-xfs.ts'
import { blockOffset, readXfsGeometry, type XfsGeometry } from './geometry.ts'
import { parseXfsInode, readExtents, unusedOfInode, type XfsExtent } from './inode.ts'
import { staleOfDirectoryBlock } from './stale-directory.ts'
import { createStaleRanges, type StaleRanges } from './stale-ranges.ts'
import { freeTree, inodeTree, walkTree } from './walk-tree.ts'
import { addStaleLog } from './xfs-log.ts'

const typeMask = 0o170000
const directoryType = 0o040000
const fileType = 0o100000
const inodesPerChunk = 64
/** Directories have names in their first 32 GiB, and indexes behind. */
const directoryIndexStart = 32 * 2 ** 30

/**
 * An unmounted xfs file system with zeros in everything that no file owns: free blocks, inodes that are free or have room left,
 * names of removed entries in directories, what is behind the ends of files and in blocks never written, and the log's past. Read
 * from its own metadata; nothing of it is changed but what says nothing, and the checksums over that.
 * @throws GuestError `FILESYSTEM_DAMAGED` | `FILESYSTEM_UNSUPPORTED`
 */
export async function scrubXfs(disk: Disk, options: AbortOptions): Promise<Disk> {
  const geometry = await readXfsGeometry(disk, options)
  const stale = createStaleRanges()
  await addStaleLog(disk, geometry, stale, options)
  for (let group = 0; group < geometry.groupCount; group += 1) {
    await addFreeBlocks(disk, geometry, group, stale, options)
    await addInodes(disk, geometry, group, stale, options)
  }
  const end = geometry.blocks * geometry.blockSize
  stale.zero(end, disk.size - end)
  return stale.apply(disk)
}

/** "AG Free Space Management": the header of a group is its second sector. */
async function addFreeBlocks(
  disk: Disk,
  geometry: XfsGeometry,
  group: number,
  stale: StaleRanges,
  options: AbortOptions,
): Promise<void> {
  const base = group * 2 ** geometry.groupBits
  const header = await groupHeader(disk, geometry, { group, sector: 1, magic: 'XAGF' }, options)
  const root = base + header.readUInt32BE(16)
  for await (const record of walkTree(disk, geometry, freeTree, root, options)) {
    const count = record.readUInt32BE(4)
    stale.zero(blockOffset(geometry, base + record.readUInt32BE(0), count), count * geometry.blockSize)
  }
}

/** "AG Inode Management": the header is the third sector, and the tree has a record for each 64 inodes. */
async function addInodes(
  disk: Disk,
  geometry: XfsGeometry,
  group: number,
  stale: StaleRanges,
  options: AbortOptions,
): Promise<void> {
  const { blockSize, inodeSize, groupBits } = geometry
  const base = group * 2 ** groupBits
  const header = await groupHeader(disk, geometry, { group, sector: 2, magic: 'XAGI' }, options)
  const root = base + header.readUInt32BE(20)
  const perBlock = blockSize / inodeSize
  for await (const record of walkTree(disk, geometry, inodeTree, root, options)) {
    throwIfCancelled(options.signal)
    const first = record.readUInt32BE(0)
    const holes = geometry.hasSparseInodes ? record.readUInt16BE(4) : 0
    const free = record.readBigUInt64BE(8)
    for (let index = 0; index < inodesPerChunk; index += Math.min(perBlock, inodesPerChunk)) {
      // A bit for each four inodes that the chunk does not have.
      if ((holes & (1 << Math.floor(index / 4))) !== 0) continue
      const number = first + index
      const block = Buffer.alloc(blockSize)
      const blockStart = blockOffset(geometry, base + Math.floor(number / perBlock))
      await disk.read(block, blockStart, options)
      for (let slot = number % perBlock; slot < perBlock; slot += 1) {
        const bit = index + slot - (number % perBlock)
        if (bit >= inodesPerChunk) break
        const isFree = (free & (1n << BigInt(bit))) !== 0n
        const place = { offset: blockStart + slot * inodeSize, isFree }
        const bytes = block.subarray(slot * inodeSize, (slot + 1) * inodeSize)
        await addInode(disk, geometry, bytes, place, stale, options)
      }
    }
  }
}

async function addInode(
  disk: Disk,
  geometry: XfsGeometry,
  record: Buffer,
  { offset, isFree }: { offset: number; isFree: boolean },
  stale: StaleRanges,
  options: AbortOptions,
): Promise<void> {
  const inode = parseXfsInode(record)
  if (!inode) {
    if (isFree) return
    throw damagedXfs('an inode in use is none')
  }
  if (!isFree && !inode.isRealtime) {
    const type = inode.mode & typeMask
    const extents = readExtents(disk, geometry, record, inode, options)
    if (type === directoryType) await addDirectory(disk, geometry, extents, stale, options)
    // What is behind the end of one file may be a part of another one that shares the block.
    else if (type === fileType && !inode.isShared) await addFile(geometry, extents, inode.size, stale)
  }
  const parts: [number, number][] = isFree
    ? [[inode.fork.start, record.length]]
    : unusedOfInode(record, inode)
  stale.zeroParts(record, { offset, parts, checksumAt: inode.version === 3 ? 100 : null })
}

/** A block of a directory may be several of the file system, which need not be neighbours. */
async function addDirectory(
  disk: Disk,
  geometry: XfsGeometry,
  extents: AsyncIterable<XfsExtent>,
  stale: StaleRanges,
  options: AbortOptions,
): Promise<void> {
  const { blockSize, directoryBlockSize, hasChecksums } = geometry
  const places = new Map<number, number>()
  for await (const { logical, offset, count } of extents) {
    for (let index = 0; index < count && (logical + index) * blockSize < directoryIndexStart; index += 1) {
      places.set(logical + index, offset + index * blockSize)
    }
  }
  const perBlock = directoryBlockSize / blockSize
  for (const [logical, offset] of places) {
    if (logical % perBlock !== 0) continue
    const offsets = Array.from({ length: perBlock }, (_, index) => places.get(logical + index))
    const isOnePiece = offsets.every((place, index) => place === offset + index * blockSize)
    if (!isOnePiece) {
      throw new GuestError(
        'FILESYSTEM_UNSUPPORTED',
        'The xfs file system has a directory whose blocks are in pieces.',
      )
    }
    const block = Buffer.alloc(directoryBlockSize)
    await disk.read(block, offset, options)
    const parts = staleOfDirectoryBlock(block, geometry)
    if (parts) stale.zeroParts(block, { offset, parts, checksumAt: hasChecksums ? 4 : null })
  }
}

async function addFile(
  { blockSize }: XfsGeometry,
  extents: AsyncIterable<XfsExtent>,
  size: number,
  stale: StaleRanges,
): Promise<void> {
  for await (const { logical, offset, count, isUnwritten } of extents) {
    const used = isUnwritten ? 0 : Math.max(0, size - logical * blockSize)
    if (used < count * blockSize) stale.zero(offset + used, count * blockSize - used)
  }
}

async function groupHeader(
  disk: Disk,
  geometry: XfsGeometry,
  { group, sector, magic }: { group: number; sector: number; magic: string },
  options: AbortOptions,
): Promise<Buffer> {
  const header = Buffer.alloc(512)
  const start = blockOffset(geometry, group * 2 ** geometry.groupBits)
  await disk.read(header, start + sector * geometry.sectorSize, options)
  if (header.toString('latin1', 0, 4) !== magic) throw damagedXfs(`group ${group} has no header`)
  return header
}

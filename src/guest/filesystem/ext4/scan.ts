import type { AbortOptions } from '../../../core/abort.ts'
import { type ByteRanges, ByteRangesBuilder } from '../../../disk/byte-ranges.ts'
import { initialisedBitmaps } from './bitmaps.ts'
import { firstBlockOfGroup, hasSuperblock } from './group-descriptors.ts'
import { readOnlyFeatures } from './layout.ts'
import { readBlocks } from './read-blocks.ts'
import { createInodeCollector, type DirectoryOwner } from './scan-inodes.ts'
import type { Volume } from './volume.ts'

/** What a scan hands over. Bytes belong to the callee until it returns. */
export interface ScanVisitor {
  /** A block of metadata that is not a directory's. */
  metadata(block: number, bytes: Uint8Array): void
  directory(block: number, bytes: Uint8Array, owner: DirectoryOwner): void
}

/**
 * Groups whose bitmaps, tables and maps are handled together. Memory: their inode bitmaps (2 MiB at most with 4 KiB
 * blocks), 1 MiB of read buffer, and some 100 bytes for each directory block and each file in many pieces among them.
 */
const groupsPerBatch = 512

/**
 * Visits all metadata of a file system in few large reads: super block, descriptors, bitmaps, the used parts of
 * inode tables, block maps, attribute blocks, directories, and the files that e2fsprogs read (quota, orphan file,
 * start of the journal).
 * @returns what lies in allocated blocks and yet belongs to no file: the bytes behind the ends of files, extents
 * allocated and never written, and all of the journal behind its super block
 * @throws GuestError `FILESYSTEM_DAMAGED`
 */
export async function scanMetadata(
  volume: Volume,
  visitor: ScanVisitor,
  options: AbortOptions,
): Promise<ByteRanges> {
  const { groupCount, inodesPerGroup } = volume.superblock
  const unowned = new ByteRangesBuilder()
  const collector = createInodeCollector(volume, unowned)
  const fixed = fixedBlocks(volume)
  await readBlocks(volume, fixed, options, (bytes, index) => visitor.metadata(fixed[index] ?? 0, bytes))
  for (let first = 0; first < groupCount; first += groupsPerBatch) {
    const end = Math.min(groupCount, first + groupsPerBatch)
    const blockBitmaps = initialisedBitmaps(volume, 'block', first, end)
    await readBlocks(volume, blockBitmaps.blocks, options, (bytes, index) => {
      visitor.metadata(blockBitmaps.blocks[index] ?? 0, bytes)
    })
    const inodeBitmaps = initialisedBitmaps(volume, 'inode', first, end)
    const bitmaps = new Map<number, Uint8Array>()
    await readBlocks(volume, inodeBitmaps.blocks, options, (bytes, index) => {
      visitor.metadata(inodeBitmaps.blocks[index] ?? 0, bytes)
      bitmaps.set(inodeBitmaps.groups[index] ?? 0, bytes.slice(0, inodesPerGroup / 8))
    })
    const tables = usedTableBlocks(volume, bitmaps)
    await readBlocks(volume, tables.blocks, options, (bytes, index) => {
      visitor.metadata(tables.blocks[index] ?? 0, bytes)
      const group = tables.groups[index] ?? 0
      const firstIndex = tables.firstIndexes[index] ?? 0
      const bitmap = bitmaps.get(group)
      if (bitmap) collector.collect(bytes, { group, firstIndex, bitmap })
    })
    await collector.finish(visitor, options)
  }
  return unowned.build()
}

/** The super block, its few copies, the descriptors and the multi-mount block, ascending. */
export function fixedBlocks({ superblock, groups }: Volume): Float64Array {
  const blocks = new Set<number>([Math.floor(1024 / superblock.blockSize), ...groups.descriptorBlocks])
  if (superblock.multiMountBlock > 0) blocks.add(superblock.multiMountBlock)
  // Without sparse_super every group has a copy; e2fsck looks at the first ones only.
  const isSparse = (superblock.readOnlyCompatible & readOnlyFeatures.sparseSuper) !== 0
  const copies = isSparse ? superblock.groupCount : Math.min(superblock.groupCount, 4)
  for (let group = 1; group < copies; group += 1) {
    if (hasSuperblock(superblock, group)) blocks.add(firstBlockOfGroup(superblock, group))
  }
  return Float64Array.from(blocks).sort()
}

/** Blocks of inode tables in which at least one inode is in use, ascending. */
function usedTableBlocks(
  { superblock, groups }: Volume,
  bitmaps: ReadonlyMap<number, Uint8Array>,
): { blocks: number[]; groups: number[]; firstIndexes: number[] } {
  const { blockSize, inodeSize, inodesPerGroup } = superblock
  const inodesPerBlock = blockSize / inodeSize
  const used = { blocks: [] as number[], groups: [] as number[], firstIndexes: [] as number[] }
  const ascending = [...bitmaps.keys()].sort(
    (a, b) => (groups.inodeTable[a] ?? 0) - (groups.inodeTable[b] ?? 0),
  )
  for (const group of ascending) {
    const bitmap = bitmaps.get(group) ?? new Uint8Array()
    const limit = inodesPerGroup - (groups.unusedInodes[group] ?? 0)
    for (let index = 0; index < limit; index += inodesPerBlock) {
      if (!anySet(bitmap, index, inodesPerBlock)) continue
      used.blocks.push((groups.inodeTable[group] ?? 0) + index / inodesPerBlock)
      used.groups.push(group)
      used.firstIndexes.push(index)
    }
  }
  return used
}

/** Whether one of `count` bits is set; a power of two, aligned to itself. */
function anySet(bitmap: Uint8Array, first: number, count: number): boolean {
  if (count < 8) {
    const mask = ((1 << count) - 1) << (first & 7)
    return ((bitmap[first >>> 3] ?? 0) & mask) !== 0
  }
  for (let byte = first >>> 3; byte < (first + count) >>> 3; byte += 1) {
    if (bitmap[byte]) return true
  }
  return false
}

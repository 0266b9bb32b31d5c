import type { AbortOptions } from '../../../core/abort.ts'
import type { Disk } from '../../../disk/disk.ts'
import { damaged } from './damaged.ts'
import { compatibleFeatures, descriptorOffsets, incompatibleFeatures, readOnlyFeatures } from './layout.ts'
import type { Superblock } from './superblock.ts'

/** All group descriptors, one typed array per field: about 30 bytes per group (128 MiB of a 4 KiB-block system). */
export interface GroupDescriptors {
  readonly blockBitmap: Float64Array
  readonly inodeBitmap: Float64Array
  readonly inodeTable: Float64Array
  readonly flags: Uint8Array
  /** Inodes at the end of each group's table that were never used. */
  readonly unusedInodes: Uint32Array
  /** Blocks that hold descriptors, in order. */
  readonly descriptorBlocks: Float64Array
}

/** Checks that every table and bitmap lies inside the file system. */
export async function readGroupDescriptors(
  disk: Disk,
  superblock: Superblock,
  options: AbortOptions,
): Promise<GroupDescriptors> {
  const { groupCount, blockSize, descriptorSize, blocksCount, firstDataBlock } = superblock
  const perBlock = blockSize / descriptorSize
  const blockCount = Math.ceil(groupCount / perBlock)
  const tableBlocks = inodeTableBlocks(superblock)
  // The descriptors have to fit in the file system, so a claimed count is bounded by the disk before it is allocated.
  if (blockCount >= blocksCount) throw damaged(`it claims ${groupCount} block groups`)
  const groups: GroupDescriptors = {
    blockBitmap: new Float64Array(groupCount),
    inodeBitmap: new Float64Array(groupCount),
    inodeTable: new Float64Array(groupCount),
    flags: new Uint8Array(groupCount),
    unusedInodes: new Uint32Array(groupCount),
    descriptorBlocks: new Float64Array(blockCount),
  }
  const block = new Uint8Array(blockSize)
  const view = new DataView(block.buffer)
  for (let index = 0; index < blockCount; index += 1) {
    const number = descriptorBlock(superblock, index)
    if (number >= blocksCount) throw damaged(`block ${number} of its group descriptors lies outside`)
    groups.descriptorBlocks[index] = number
    await disk.read(block, number * blockSize, options)
    const last = Math.min(groupCount, (index + 1) * perBlock)
    for (let group = index * perBlock; group < last; group += 1) {
      parseDescriptor(view, (group % perBlock) * descriptorSize, group, groups, superblock)
    }
  }
  for (let group = 0; group < groupCount; group += 1) {
    const table = groups.inodeTable[group] ?? 0
    const lowest = Math.min(groups.blockBitmap[group] ?? 0, groups.inodeBitmap[group] ?? 0, table)
    const highest = Math.max(
      (groups.blockBitmap[group] ?? 0) + 1,
      (groups.inodeBitmap[group] ?? 0) + 1,
      table + tableBlocks,
    )
    if (lowest <= firstDataBlock || highest > blocksCount) {
      throw damaged(`the bitmaps or inode table of group ${group} lie outside`)
    }
  }
  return groups
}

export function inodeTableBlocks({ inodesPerGroup, inodeSize, blockSize }: Superblock): number {
  return Math.ceil((inodesPerGroup * inodeSize) / blockSize)
}

/**
 * Whether a copy of the super block starts the group ("Layout": sparse_super keeps copies in groups 0, 1 and the
 * powers of 3, 5 and 7; sparse_super2 in two groups of the super block's choice).
 */
export function hasSuperblock(superblock: Superblock, group: number): boolean {
  if (group === 0) return true
  const { compatible, readOnlyCompatible, backupGroups } = superblock
  if ((compatible & compatibleFeatures.sparseSuper2) !== 0) return backupGroups.includes(group)
  if (group === 1 || (readOnlyCompatible & readOnlyFeatures.sparseSuper) === 0) return true
  return [3, 5, 7].some((base) => {
    let power = base
    while (power < group) power *= base
    return power === group
  })
}

export function firstBlockOfGroup({ firstDataBlock, blocksPerGroup }: Superblock, group: number): number {
  return firstDataBlock + group * blocksPerGroup
}

/**
 * "Meta Block Groups": from `s_first_meta_bg` on, each block of descriptors stands in the first group that it
 * describes; before that, all of them follow the super block.
 */
function descriptorBlock(superblock: Superblock, index: number): number {
  const { firstDataBlock, firstMetaGroup, incompatible, blockSize, descriptorSize } = superblock
  if ((incompatible & incompatibleFeatures.metaGroups) === 0 || index < firstMetaGroup) {
    return firstDataBlock + 1 + index
  }
  const group = index * (blockSize / descriptorSize)
  return firstBlockOfGroup(superblock, group) + (hasSuperblock(superblock, group) ? 1 : 0)
}

function parseDescriptor(
  view: DataView,
  offset: number,
  group: number,
  groups: GroupDescriptors,
  { descriptorSize, tracksInitialisation, inodesPerGroup }: Superblock,
): void {
  const wide = descriptorSize >= 64
  const number = (low: number, high: number): number =>
    view.getUint32(offset + low, true) + (wide ? view.getUint32(offset + high, true) * 2 ** 32 : 0)
  groups.blockBitmap[group] = number(descriptorOffsets.blockBitmapLow, descriptorOffsets.blockBitmapHigh)
  groups.inodeBitmap[group] = number(descriptorOffsets.inodeBitmapLow, descriptorOffsets.inodeBitmapHigh)
  groups.inodeTable[group] = number(descriptorOffsets.inodeTableLow, descriptorOffsets.inodeTableHigh)
  if (!tracksInitialisation) return
  groups.flags[group] = view.getUint16(offset + descriptorOffsets.flags, true) & 0x3
  const unused =
    view.getUint16(offset + descriptorOffsets.unusedInodesLow, true) +
    (wide ? view.getUint16(offset + descriptorOffsets.unusedInodesHigh, true) * 65536 : 0)
  if (unused > inodesPerGroup) throw damaged(`group ${group} claims ${unused} unused inodes`)
  groups.unusedInodes[group] = unused
}

import type { AbortOptions } from '../../../core/abort.ts'
import { damaged } from './damaged.ts'
import { hasFlag, type Inode } from './inode.ts'
import {
  blockAreaSize,
  extentEntrySize,
  extentHeaderSize,
  extentMagic,
  inodeFlags,
  inodeOffsets,
  maximumWrittenExtent,
} from './layout.ts'
import type { Volume } from './volume.ts'

/** A run of a file's blocks, all in a row on disk. */
export interface BlockRun {
  readonly logical: number
  readonly physical: number
  readonly count: number
  /** Allocated, but reads as zeros. */
  readonly unwritten: boolean
}

/** A block of the map itself that is still to be read. */
export interface MapNode {
  readonly block: number
  /** 0 holds runs, above that more nodes. */
  readonly level: number
  /** Logical blocks that the node may speak of: [first, end). */
  readonly first: number
  readonly end: number
  readonly extents: boolean
}

/** Takes what a node of the map holds. */
export interface MapVisitor {
  run(logical: number, physical: number, count: number, unwritten: boolean): void
  node(node: MapNode): void
}

/** All runs of a file in logical order, and the blocks that its map occupies. */
export interface BlockMap {
  readonly runs: readonly BlockRun[]
  readonly mapBlocks: readonly number[]
}

/** More runs than this in one file are refused, so that a hostile map cannot take all memory. */
const maximumRuns = 4_000_000
const maximumDepth = 5

/** @throws GuestError `FILESYSTEM_DAMAGED` */
export async function readBlockMap(volume: Volume, inode: Inode, options: AbortOptions): Promise<BlockMap> {
  const runs: BlockRun[] = []
  const mapBlocks: number[] = []
  const seen = new Set<number>()
  let pending: MapNode[] = []
  const visitor: MapVisitor = {
    run(logical, physical, count, unwritten) {
      if (runs.length >= maximumRuns) throw damaged(`inode ${inode.number} is in too many pieces`)
      runs.push({ logical, physical, count, unwritten })
    },
    node(node) {
      if (seen.has(node.block)) throw damaged(`the block map of inode ${inode.number} leads back to itself`)
      seen.add(node.block)
      pending.push(node)
    },
  }
  const root = new DataView(inode.record.buffer, inode.record.byteOffset + inodeOffsets.block, blockAreaSize)
  visitMapRoot(root, inode, volume.superblock.blocksCount, visitor)
  while (pending.length > 0) {
    const level = pending
    pending = []
    for (const node of level) {
      mapBlocks.push(node.block)
      const bytes = await volume.readBlock(node.block, options)
      visitMapNode(bytes, node, inode.number, volume.superblock.blocksCount, visitor)
    }
  }
  runs.sort((a, b) => a.logical - b.logical)
  return { runs, mapBlocks }
}

/** Visits what `i_block`, the view's 60 bytes, holds. The inode must have a map: see `hasBlockMap`. */
export function visitMapRoot(
  view: DataView,
  inode: { readonly number: number; readonly flags: number },
  blocksCount: number,
  visitor: MapVisitor,
): void {
  if ((inode.flags & inodeFlags.extents) !== 0) {
    visitExtentNode(view, { level: null, first: 0, end: 2 ** 32 }, inode.number, blocksCount, visitor)
    return
  }
  visitPointers(view, { count: 12, first: 0, step: 1, level: 0 }, inode.number, blocksCount, visitor)
  // The three indirect pointers speak of 1, P and P^2 times P blocks, P being the pointers in a block; P is not known
  // here, so the node carries where it starts and `visitMapNode` derives the rest.
  for (const level of [1, 2, 3]) {
    const block = view.getUint32((11 + level) * 4, true)
    if (block === 0) continue
    checkBlock(block, 1, inode.number, blocksCount)
    visitor.node({ block, level: level - 1, first: -level, end: Number.POSITIVE_INFINITY, extents: false })
  }
}

/** Visits one block of the map. */
export function visitMapNode(
  bytes: Uint8Array,
  node: MapNode,
  inodeNumber: number,
  blocksCount: number,
  visitor: MapVisitor,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (node.extents) {
    visitExtentNode(view, node, inodeNumber, blocksCount, visitor)
    return
  }
  const perBlock = bytes.byteLength / 4
  const first = node.first >= 0 ? node.first : indirectStart(-node.first, perBlock)
  const step = perBlock ** node.level
  visitPointers(view, { count: perBlock, first, step, level: node.level }, inodeNumber, blocksCount, visitor)
}

/** Whether `i_block` is a map, and not a device number, a short link's target, or inline data. */
export function hasBlockMap(inode: Inode, kind: 'file' | 'directory' | 'symlink' | 'other'): boolean {
  if (hasFlag(inode, 'inlineData') || kind === 'other') return false
  return kind !== 'symlink' || inode.size >= blockAreaSize || hasFlag(inode, 'extents')
}

/** "Extent Tree", struct ext4_extent_header, ext4_extent_idx and ext4_extent. */
function visitExtentNode(
  view: DataView,
  range: { level: number | null; first: number; end: number },
  inodeNumber: number,
  blocksCount: number,
  visitor: MapVisitor,
): void {
  const entries = view.getUint16(2, true)
  const depth = view.getUint16(6, true)
  const capacity = Math.floor((view.byteLength - extentHeaderSize) / extentEntrySize)
  const isRoot = range.level === null
  if (
    view.getUint16(0, true) !== extentMagic ||
    entries > capacity ||
    depth > maximumDepth ||
    (!isRoot && (depth !== range.level || entries === 0))
  ) {
    throw damaged(`the extent tree of inode ${inodeNumber} is malformed`)
  }
  let lowest = range.first
  for (let index = 0; index < entries; index += 1) {
    const offset = extentHeaderSize + index * extentEntrySize
    const logical = view.getUint32(offset, true)
    // Ascending, and inside what the parent promised: so no subtree can be visited twice.
    if (logical < lowest || logical >= range.end) {
      throw damaged(`the extents of inode ${inodeNumber} overlap or are out of order`)
    }
    if (depth === 0) {
      const length = view.getUint16(offset + 4, true)
      const unwritten = length > maximumWrittenExtent
      const count = unwritten ? length - maximumWrittenExtent : length
      const physical = view.getUint16(offset + 6, true) * 2 ** 32 + view.getUint32(offset + 8, true)
      checkBlock(physical, count, inodeNumber, blocksCount)
      visitor.run(logical, physical, count, unwritten)
      lowest = logical + count
    } else {
      const block = view.getUint32(offset + 4, true) + view.getUint16(offset + 8, true) * 2 ** 32
      checkBlock(block, 1, inodeNumber, blocksCount)
      const end = index + 1 < entries ? view.getUint32(offset + extentEntrySize, true) : range.end
      visitor.node({ block, level: depth - 1, first: logical, end, extents: true })
      lowest = logical + 1
    }
  }
}

/** "Direct/Indirect Block Addressing": plain block numbers, 0 for a hole. Neighbours are joined to runs. */
function visitPointers(
  view: DataView,
  pointers: { count: number; first: number; step: number; level: number },
  inodeNumber: number,
  blocksCount: number,
  visitor: MapVisitor,
): void {
  const { count, first, step, level } = pointers
  let start = 0
  let length = 0
  let logical = 0
  for (let index = 0; index < count; index += 1) {
    const block = view.getUint32(index * 4, true)
    if (level > 0) {
      if (block === 0) continue
      checkBlock(block, 1, inodeNumber, blocksCount)
      const childFirst = first + index * step
      visitor.node({ block, level: level - 1, first: childFirst, end: childFirst + step, extents: false })
      continue
    }
    if (block !== 0) checkBlock(block, 1, inodeNumber, blocksCount)
    if (length > 0 && block === start + length) {
      length += 1
      continue
    }
    if (length > 0) visitor.run(logical, start, length, false)
    length = block === 0 ? 0 : 1
    start = block
    logical = first + index
  }
  if (length > 0) visitor.run(logical, start, length, false)
}

function indirectStart(level: number, perBlock: number): number {
  if (level === 1) return 12
  return level === 2 ? 12 + perBlock : 12 + perBlock + perBlock ** 2
}

function checkBlock(block: number, count: number, inodeNumber: number, blocksCount: number): void {
  if (block <= 0 || count <= 0 || block + count > blocksCount) {
    throw damaged(`inode ${inodeNumber} points to ${count} blocks at ${block}, which is outside`)
  }
}

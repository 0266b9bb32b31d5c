import type { AbortOptions } from '../../../core/abort.ts'
import type { ByteRangesBuilder } from '../../../disk/byte-ranges.ts'
import { firstBlockOfGroup, hasSuperblock, inodeTableBlocks } from './group-descriptors.ts'
import { groupFlags } from './layout.ts'
import { readBlocks } from './read-blocks.ts'
import type { Superblock } from './superblock.ts'
import type { Volume } from './volume.ts'

/**
 * Adds all free blocks and free inodes as byte ranges. Bitmaps that were never initialised count as free themselves,
 * and what the groups' own tables occupy never does.
 */
export async function addFreeRanges(
  volume: Volume,
  ranges: ByteRangesBuilder,
  options: AbortOptions,
): Promise<void> {
  const { superblock, groups } = volume
  const { blockSize, inodeSize, inodesPerGroup, groupCount } = superblock
  const blockBitmaps = initialisedBitmaps(volume, 'block')
  await readBlocks(volume, blockBitmaps.blocks, options, (bytes, index) => {
    const group = blockBitmaps.groups[index] ?? 0
    const start = firstBlockOfGroup(superblock, group)
    forEachClearRun(bytes, blocksInGroup(superblock, group), (first, count) => {
      ranges.add((start + first) * blockSize, count * blockSize)
    })
  })
  const inodeBitmaps = initialisedBitmaps(volume, 'inode')
  await readBlocks(volume, inodeBitmaps.blocks, options, (bytes, index) => {
    const group = inodeBitmaps.groups[index] ?? 0
    const table = (groups.inodeTable[group] ?? 0) * blockSize
    forEachClearRun(bytes, inodesPerGroup, (first, count) => {
      ranges.add(table + first * inodeSize, count * inodeSize)
    })
  })
  const fixed = new FixedBlocks(volume)
  for (let group = 0; group < groupCount; group += 1) {
    const flags = groups.flags[group] ?? 0
    if ((flags & groupFlags.inodesUninitialised) !== 0) {
      ranges.add((groups.inodeTable[group] ?? 0) * blockSize, inodesPerGroup * inodeSize)
      ranges.add((groups.inodeBitmap[group] ?? 0) * blockSize, blockSize)
    }
    if ((flags & groupFlags.blocksUninitialised) !== 0) {
      ranges.add((groups.blockBitmap[group] ?? 0) * blockSize, blockSize)
      const first = firstBlockOfGroup(superblock, group)
      fixed.forEachGap(first, first + blocksInGroup(superblock, group), (start, count) => {
        ranges.add(start * blockSize, count * blockSize)
      })
    }
  }
}

/** The bitmaps of one kind that hold something, in the order of their blocks. */
export function initialisedBitmaps(
  { groups, superblock }: Volume,
  kind: 'block' | 'inode',
  from = 0,
  to = superblock.groupCount,
): { blocks: Float64Array; groups: Uint32Array } {
  const bitmap = kind === 'block' ? groups.blockBitmap : groups.inodeBitmap
  const uninitialised = kind === 'block' ? groupFlags.blocksUninitialised : groupFlags.inodesUninitialised
  const numbers: number[] = []
  for (let group = from; group < to; group += 1) {
    if (((groups.flags[group] ?? 0) & uninitialised) === 0) numbers.push(group)
  }
  numbers.sort((a, b) => (bitmap[a] ?? 0) - (bitmap[b] ?? 0))
  return {
    blocks: Float64Array.from(numbers, (group) => bitmap[group] ?? 0),
    groups: Uint32Array.from(numbers),
  }
}

/** Calls back for each run of clear bits among the first `length`. */
export function forEachClearRun(
  bitmap: Uint8Array,
  length: number,
  callback: (first: number, count: number) => void,
): void {
  let start = -1
  for (let bit = 0; bit < length; ) {
    const byte = bitmap[bit >>> 3] ?? 0
    if ((bit & 7) === 0 && bit + 8 <= length && (byte === 0 || byte === 0xff)) {
      if (byte === 0 && start < 0) start = bit
      if (byte === 0xff && start >= 0) {
        callback(start, bit - start)
        start = -1
      }
      bit += 8
      continue
    }
    const isSet = (byte & (1 << (bit & 7))) !== 0
    if (!isSet && start < 0) start = bit
    if (isSet && start >= 0) {
      callback(start, bit - start)
      start = -1
    }
    bit += 1
  }
  if (start >= 0) callback(start, length - start)
}

function blocksInGroup({ blocksCount, blocksPerGroup, firstDataBlock }: Superblock, group: number): number {
  return Math.min(blocksPerGroup, blocksCount - firstDataBlock - group * blocksPerGroup)
}

/** Where super blocks, descriptors (reserved ones too), bitmaps and inode tables stand; of any group, in any group. */
class FixedBlocks {
  readonly #starts: Float64Array
  /** The farthest end of the runs up to each one. */
  readonly #reached: Float64Array

  constructor({ superblock, groups }: Volume) {
    const tableBlocks = inodeTableBlocks(superblock)
    const runs: [number, number][] = []
    const add = (start: number, count: number): number => runs.push([start, start + count])
    for (let group = 0; group < superblock.groupCount; group += 1) {
      const first = firstBlockOfGroup(superblock, group)
      if (hasSuperblock(superblock, group)) {
        add(first, 1 + groups.descriptorBlocks.length + superblock.reservedGdtBlocks)
      } else {
        // With meta_bg a copy of one descriptor block may stand here without a super block.
        add(first, 1)
      }
      add(groups.blockBitmap[group] ?? 0, 1)
      add(groups.inodeBitmap[group] ?? 0, 1)
      add(groups.inodeTable[group] ?? 0, tableBlocks)
    }
    runs.sort((a, b) => a[0] - b[0])
    this.#starts = Float64Array.from(runs, ([start]) => start)
    let reached = 0
    this.#reached = Float64Array.from(runs, ([, end]) => {
      reached = Math.max(reached, end)
      return reached
    })
  }

  /** Calls back for each run in [from, to) that holds none of them. */
  forEachGap(from: number, to: number, callback: (start: number, count: number) => void): void {
    let index = firstAtOrAfter(this.#starts, from)
    let position = Math.max(from, this.#reached[index - 1] ?? 0)
    while (position < to) {
      const start = Math.min(to, this.#starts[index] ?? to)
      if (start > position) callback(position, start - position)
      position = Math.max(start, this.#reached[index] ?? to)
      index += 1
    }
  }
}

function firstAtOrAfter(sorted: Float64Array, value: number): number {
  let low = 0
  let high = sorted.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((sorted[middle] ?? 0) < value) low = middle + 1
    else high = middle
  }
  return low
}

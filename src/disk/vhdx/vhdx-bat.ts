import { throwIfCancelled } from '../../core/abort.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import type { BlockMap } from '../blocks/block-map.ts'
import { DiskError } from '../errors.ts'
import { metadataBlockSize, metadataCache } from '../metadata-cache.ts'
import { batEntryBytes, blockStates, headerSectionBytes, vhdxAlignment } from './vhdx-layout.ts'
import type { VhdxMetadata } from './vhdx-metadata.ts'
import type { VhdxRegion } from './vhdx-regions.ts'

/** Where the entries of blocks stand in the table: after those of every chunk comes one for a sector bitmap. */
export interface BatGeometry {
  /** Blocks of the disk. */
  readonly blocks: number
  /** Blocks of a chunk: those whose sector bitmap fills a MiB. */
  readonly chunkRatio: number
  /** Entries that a dynamic or fixed image needs: the last is that of the last block. */
  readonly entries: number
}

/** "BAT" (2.5). */
export function batGeometry(size: number, blockSize: number, logicalSectorSize: number): BatGeometry {
  const blocks = Math.ceil(size / blockSize)
  const chunkRatio = (2 ** 23 * logicalSectorSize) / blockSize
  return { blocks, chunkRatio, entries: blocks + Math.floor(Math.max(0, blocks - 1) / chunkRatio) }
}

/** Number of the entry of a block. */
export function entryOfBlock({ chunkRatio }: BatGeometry, block: number): number {
  return block + Math.floor(block / chunkRatio)
}

/** How many of the first entries are those of blocks. */
export function blocksBeforeEntry({ chunkRatio }: BatGeometry, entry: number): number {
  const chunk = Math.floor(entry / (chunkRatio + 1))
  return chunk * chunkRatio + Math.min(entry - chunk * (chunkRatio + 1), chunkRatio)
}

/** The table of an image. */
export interface VhdxBat {
  readonly offset: number
  /** Bytes of the disk. */
  readonly size: number
  readonly blockSize: number
  readonly geometry: BatGeometry
}

/** @throws DiskError `IMAGE_HEADER_INVALID` when the region is too small for the disk */
export function vhdxBat(
  name: string,
  region: VhdxRegion,
  { size, blockSize, logicalSectorSize }: VhdxMetadata,
): VhdxBat {
  const geometry = batGeometry(size, blockSize, logicalSectorSize)
  if (geometry.entries * batEntryBytes > region.length) {
    throw new DiskError(
      'IMAGE_HEADER_INVALID',
      `${name}: the BAT has room for ${region.length / batEntryBytes} entries, and the disk needs ${geometry.entries}.`,
      { details: { offset: region.offset } },
    )
  }
  return { offset: region.offset, size, blockSize, geometry }
}

/** The lower half of the entries that most of a sparse disk has: not present, and nothing else. */
export const absentBlock = 0

const zeroStates: ReadonlySet<number> = new Set([
  blockStates.notPresent,
  blockStates.undefined,
  blockStates.zero,
  blockStates.unmapped,
  blockStates.unmappedBefore1,
])

/** What is wrong with an entry. */
export interface EntryProblem {
  readonly code: 'IMAGE_ENTRY_INVALID' | 'IMAGE_OFFSET_OUT_OF_FILE' | 'IMAGE_OVERLAP'
  readonly problem: string
}

/**
 * Where in the file the data of a block begin, by the two halves of its entry; null where it reads as zeros. What a block
 * holds that is not present is not defined, and zeros are what everybody reads.
 */
export function placeOfBlock(
  [low, high]: readonly [low: number, high: number],
  { stored, fileSize }: { stored: number; fileSize: number },
): number | null | EntryProblem {
  const state = low & 0b111
  if ((low & 0xf_fff8) !== 0) return { code: 'IMAGE_ENTRY_INVALID', problem: 'sets bits that are reserved' }
  if (state === blockStates.partiallyPresent) {
    return {
      code: 'IMAGE_ENTRY_INVALID',
      problem: 'takes a part of its block from a parent that is not there',
    }
  }
  if (state !== blockStates.fullyPresent) {
    if (zeroStates.has(state)) return null
    return { code: 'IMAGE_ENTRY_INVALID', problem: `has the unknown state ${state}` }
  }
  const place = (high * 2 ** 12 + (low >>> 20)) * vhdxAlignment
  if (place < headerSectionBytes) return { code: 'IMAGE_OVERLAP', problem: 'points to the headers' }
  const isInside = place + stored <= fileSize
  return isInside ? place : { code: 'IMAGE_OFFSET_OUT_OF_FILE', problem: 'points outside the file' }
}

/** Bytes of a block that the disk has: the last may be short, and its rest missing in the file. */
export function storedBytes({ size, blockSize }: VhdxBat, block: number): number {
  return Math.min(blockSize, size - block * blockSize)
}

/**
 * The table, paged in through a cache of 4 MiB, so that memory does not follow the disk's size. Entries of sector bitmaps
 * are not looked at: only images with a parent have such, and QEMU before 8.1 leaves old entries of blocks in their places.
 */
export function openVhdxMap(source: RandomAccessSource, bat: VhdxBat): BlockMap {
  const { offset, geometry } = bat
  const readBlock = metadataCache(source)
  return {
    async pageAt(block, { signal }) {
      throwIfCancelled(signal)
      const position = offset + entryOfBlock(geometry, block) * batEntryBytes
      const pageStart = position - (position % metadataBlockSize)
      const page = await readBlock(pageStart, { signal })
      const entriesBefore = (pageStart + page.length - offset) / batEntryBytes
      return {
        end: Math.min(geometry.blocks, blocksBeforeEntry(geometry, entriesBefore)),
        placeOf(wanted) {
          const entryOffset = offset + entryOfBlock(geometry, wanted) * batEntryBytes
          const at = entryOffset - pageStart
          const low = page.readUInt32LE(at)
          if (low === absentBlock) return null
          const stored = storedBytes(bat, wanted)
          const place = placeOfBlock([low, page.readUInt32LE(at + 4)], { stored, fileSize: source.size })
          if (place === null || typeof place === 'number') return place
          const message = `${source.name}: the BAT entry of block ${wanted} ${place.problem}.`
          throw new DiskError(place.code, message, { details: { offset: entryOffset } })
        },
      }
    },
  }
}

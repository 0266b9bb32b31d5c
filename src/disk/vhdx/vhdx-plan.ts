import { formatSize, MiB, roundUp, TiB } from '../../core/bytes.ts'
import { DiskError } from '../errors.ts'
import { batOffset } from './encode-vhdx.ts'
import { batGeometry, entryOfBlock } from './vhdx-bat.ts'
import { batEntryBytes, blockStates, maximumVirtualSize, vhdxAlignment } from './vhdx-layout.ts'

/** Decides where the blocks of a new image go: one behind the other, as they come. */
export interface VhdxPlan {
  readonly size: number
  readonly blockSize: number
  readonly blocks: number
  /** The BAT region. */
  readonly batBytes: number
  /** The place of a block in the file; the next free one when it has none yet. */
  placeOf(block: number): number
  /** The BAT as it is now, without padding. */
  bat(): Buffer
  /** Bytes of the file with all blocks that have a place. */
  fileSize(): number
}

/**
 * Up to this size blocks have 1 MiB, which Microsoft advises for guests whose file systems spread their metadata over the
 * disk, as ext4 does; they double when the disk does, so that the BAT never has more than 8 MiB.
 */
const largestWithSmallBlocks = TiB

/** In an entry, the place in MiB stands from this bit on. */
const placeShift = 20n

/**
 * Memory is that of the BAT, 8 MiB at most.
 * @throws DiskError `DISK_OPTION_INVALID` for an empty disk, or one larger than the format allows
 */
export function vhdxPlan(size: number): VhdxPlan {
  if (size === 0 || size > maximumVirtualSize) {
    throw new DiskError('DISK_OPTION_INVALID', `A VHDX image cannot hold a disk of ${formatSize(size)}.`, {
      hint:
        size === 0 ? 'It has at least one sector.' : `It holds at most ${formatSize(maximumVirtualSize)}.`,
    })
  }
  let blockSize = MiB
  while (blockSize * (largestWithSmallBlocks / MiB) < size) blockSize *= 2
  const geometry = batGeometry(size, blockSize, 512)
  const bat = Buffer.alloc(geometry.entries * batEntryBytes)
  const batBytes = roundUp(bat.length, vhdxAlignment)
  const dataOffset = batOffset + batBytes
  let placed = 0

  return {
    size,
    blockSize,
    blocks: geometry.blocks,
    batBytes,

    placeOf(block) {
      const at = entryOfBlock(geometry, block) * batEntryBytes
      const entry = bat.readBigUInt64LE(at)
      if (entry !== 0n) return Number(entry >> placeShift) * vhdxAlignment
      const place = dataOffset + placed * blockSize
      const state = BigInt(blockStates.fullyPresent)
      bat.writeBigUInt64LE((BigInt(place / vhdxAlignment) << placeShift) | state, at)
      placed += 1
      return place
    },

    bat: () => bat,
    fileSize: () => dataOffset + placed * blockSize,
  }
}

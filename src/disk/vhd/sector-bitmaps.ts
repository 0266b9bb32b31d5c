import type { AbortOptions } from '../../core/abort.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { readAll } from '../blocks/read-all.ts'
import { vhdSectorSize } from './vhd-layout.ts'

/**
 * Gives the bitmap that stands before the data of a block, which begin at `start` in the file: which sectors of it have
 * ever been written. Null where all have been, as QEMU and we always say.
 */
export type ReadSectorBitmap = (start: number, options: AbortOptions) => Promise<Buffer | null>

const maximumBitmaps = 64

/** Keeps the 64 most recently used bitmaps, 512 bytes each with the usual blocks and 64 KiB with the largest. */
export function sectorBitmaps(source: RandomAccessSource, bitmapBytes: number): ReadSectorBitmap {
  const bitmaps = new Map<number, Promise<Buffer | null>>()

  async function load(start: number, { signal }: AbortOptions): Promise<Buffer | null> {
    const bitmap = Buffer.alloc(bitmapBytes)
    await readAll(source, bitmap, { position: start - bitmapBytes, signal })
    return bitmap.every((byte) => byte === 0xff) ? null : bitmap
  }

  return (start, options) => {
    const known = bitmaps.get(start)
    const bitmap = known ?? load(start, options)
    bitmaps.delete(start)
    bitmaps.set(start, bitmap)
    if (known) return known
    // A failed or cancelled read must not be served to the next one who asks.
    bitmap.catch(() => {
      if (bitmaps.get(start) === bitmap) bitmaps.delete(start)
    })
    for (const oldest of bitmaps.keys()) {
      if (bitmaps.size <= maximumBitmaps) break
      bitmaps.delete(oldest)
    }
    return bitmap
  }
}

/**
 * Makes zeros of the sectors of `target` that were never written. It begins `within` bytes into the data of the block.
 * @returns whether there were any
 */
export function clearUnwritten(target: Uint8Array, within: number, bitmap: Buffer): boolean {
  const end = within + target.length
  let found = false
  for (let position = within; position < end; ) {
    const sector = Math.floor(position / vhdSectorSize)
    const next = Math.min(end, (sector + 1) * vhdSectorSize)
    // The first sector is the highest bit.
    if (((bitmap[sector >>> 3] ?? 0xff) & (0x80 >>> (sector & 7))) === 0) {
      target.fill(0, position - within, next - within)
      found = true
    }
    position = next
  }
  return found
}

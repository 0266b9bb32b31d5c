import type { AbortOptions } from '../../core/abort.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { vhdSectorSize } from './vhd-layout.ts'

/** The bitmaps that stand before the data of each block: which sectors have ever been written. */
export interface SectorBitmaps {
  /**
   * Makes zeros of the sectors of `target` that were never written. `start` is where the data of their block begin in the
   * file, `within` how far from there `target` does.
   */
  clearUnwritten(
    target: Uint8Array,
    place: { readonly start: number; readonly within: number },
    options: AbortOptions,
  ): Promise<void>
}

const maximumBitmaps = 64

/** A cache of the 64 most recently used bitmaps, 512 bytes each with the usual blocks and 64 KiB with the largest. */
export function sectorBitmaps(
  source: RandomAccessSource,
  bitmapBytes: number,
  onUnwritten: () => void,
): SectorBitmaps {
  const bitmaps = new Map<number, Promise<Buffer | null>>()

  /** Null where all sectors were written, as QEMU and we always say. */
  async function load(start: number, options: AbortOptions): Promise<Buffer | null> {
    const bitmap = Buffer.alloc(bitmapBytes)
    await source.read(bitmap, start - bitmapBytes, options)
    return bitmap.every((byte) => byte === 0xff) ? null : bitmap
  }

  function bitmapBefore(start: number, options: AbortOptions): Promise<Buffer | null> {
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

  return {
    async clearUnwritten(target, { start, within }, options) {
      const bitmap = await bitmapBefore(start, options)
      if (!bitmap) return
      const end = within + target.length
      for (let position = within; position < end; ) {
        const sector = Math.floor(position / vhdSectorSize)
        const next = Math.min(end, (sector + 1) * vhdSectorSize)
        const byte = bitmap[sector >>> 3] ?? 0xff
        // The first sector is the highest bit.
        if ((byte & (0x80 >>> (sector & 7))) === 0) {
          target.fill(0, position - within, next - within)
          onUnwritten()
        }
        position = next
      }
    },
  }
}

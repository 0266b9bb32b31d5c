import { KiB, MiB } from '../../core/bytes.ts'
import { isZero } from '../../transfer/zeros.ts'
import { AllocationMap } from './allocation-map.ts'

/** What is kept is kept in blocks of this many bytes. */
export const keptBlock = 64 * KiB
/** The first blocks that hold data: all of a small image, and of any other its headers, tables and first partitions. */
const maximumKept = 128
/** The end is kept for the formats and partition tables that have something there. */
const keptTail = MiB

/** What one pass over something has found out. Memory is 10 MiB at most. */
export interface Content {
  readonly size: number
  /** Bytes in blocks of 64 KiB that hold anything but zeros. */
  readonly dataSize: number
  readonly map: AllocationMap
  /** Copies from what was kept: as much of `target` as lies in the block at `position`; 0 when that was not kept. */
  copyKept(target: Uint8Array, position: number): number
}

export interface ContentScan {
  /** Takes the next bytes, and keeps them: nobody may write into them afterwards. */
  take(chunk: Uint8Array): void
  /** Bytes so far. */
  readonly size: number
  readonly dataSize: number
  /** Whether all data so far are kept. */
  readonly keepsAll: boolean
  finish(): Content
}

/** Looks at bytes as they come by, front to end. */
export function contentScan(): ContentScan {
  const map = new AllocationMap()
  const kept = new Map<number, Buffer>()
  const tail: Uint8Array[] = []
  let tailLength = 0
  let size = 0
  let dataSize = 0
  /** The block that was marked last. */
  let marked = -1

  function look(index: number, piece: Uint8Array): void {
    if (isZero(piece)) return
    if (marked !== index) {
      marked = index
      dataSize += keptBlock
      map.mark(index * keptBlock, keptBlock)
      // What came of the block before was zeros.
      if (kept.size < maximumKept) kept.set(index, Buffer.alloc(keptBlock))
    }
    kept.get(index)?.set(piece, size % keptBlock)
  }

  return {
    get size() {
      return size
    },
    get dataSize() {
      return dataSize
    },
    get keepsAll() {
      return dataSize <= maximumKept * keptBlock
    },

    take(chunk) {
      for (let from = 0; from < chunk.length; ) {
        const to = Math.min(chunk.length, from + keptBlock - (size % keptBlock))
        look(Math.floor(size / keptBlock), chunk.subarray(from, to))
        size += to - from
        from = to
      }
      tail.push(chunk)
      tailLength += chunk.length
      while (tailLength - (tail[0]?.length ?? 0) >= keptTail) tailLength -= tail.shift()?.length ?? 0
    },

    finish() {
      const end = Buffer.concat(tail)
      const tailStart = size - end.length
      return {
        size,
        dataSize,
        map,
        copyKept(target, position) {
          if (position >= tailStart) return end.copy(target, 0, position - tailStart)
          const offset = position % keptBlock
          const wanted = Math.min(target.length, keptBlock - offset)
          return kept.get(Math.floor(position / keptBlock))?.copy(target, 0, offset, offset + wanted) ?? 0
        },
      }
    },
  }
}

import { type AbortOptions, throwIfCancelled } from '../../core/abort.ts'
import { KiB } from '../../core/bytes.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'

export interface TableReader {
  /**
   * A view of `length` bytes at `position`, valid until the next call; null when that lies outside the file or the
   * budget is spent.
   */
  read(position: number, length: number): Promise<DataView | null>
  /** Whether the budget for tables is spent. */
  readonly isExhausted: boolean
}

/** Small tables often lie side by side, and one read of this size costs no more than one of 512 bytes. */
const window = 64 * KiB

/** Reads tables of a file through one buffer, at most `budget` bytes of them. */
export function tableReader(
  source: RandomAccessSource,
  { budget, signal }: AbortOptions & { budget: number },
): TableReader {
  let buffer = Buffer.alloc(window)
  let start = 0
  let end = 0
  let left = budget
  return {
    get isExhausted() {
      return left < 0
    },
    async read(position, length) {
      throwIfCancelled(signal)
      left -= length
      if (left < 0 || position + length > source.size) return null
      if (position < start || position + length > end) {
        if (buffer.length < length) buffer = Buffer.alloc(length)
        const wanted = Math.min(Math.max(length, window), source.size - position)
        const filled = await source.read(buffer.subarray(0, wanted), position, { signal })
        start = position
        end = position + filled
        if (filled < length) return null
      }
      return new DataView(buffer.buffer, buffer.byteOffset + position - start, length)
    },
  }
}

import { crc32c } from '../../../core/crc32c.ts'
import { type ByteRanges, ByteRangesBuilder } from '../../../disk/byte-ranges.ts'
import type { Disk } from '../../../disk/disk.ts'
import { maskDisk } from '../../../disk/masked-disk.ts'
import { patchDisk } from '../patched-disk.ts'

/** Collects what has to read as zeros, and the few words that follow from it: checksums, and the log's counters. */
export interface StaleRanges {
  zero(offset: number, length: number): void
  /** Zeros these parts of a structure at `offset`, and gives it the checksum that it has then. */
  zeroParts(
    bytes: Buffer,
    options: { offset: number; parts: readonly [number, number][]; checksumAt: number | null },
  ): void
  /** Four bytes that are to stand there. */
  word(offset: number, bytes: Uint8Array): void
  /** The disk with all of that. */
  apply(disk: Disk): Disk
}

export function createStaleRanges(): StaleRanges {
  const zeros = new ByteRangesBuilder()
  const words = new Map<number, Uint8Array>()

  return {
    zero: (offset, length) => zeros.add(offset, length),

    zeroParts(bytes, { offset, parts, checksumAt }) {
      const filled = parts.filter(([from, to]) => bytes.subarray(from, to).some((byte) => byte !== 0))
      if (filled.length === 0) return
      for (const [from, to] of filled) {
        zeros.add(offset + from, to - from)
        bytes.fill(0, from, to)
      }
      if (checksumAt === null) return
      // "Self-Describing Metadata": CRC-32C of the structure with zeros in its place, inverted, little-endian.
      bytes.fill(0, checksumAt, checksumAt + 4)
      const checksum = Buffer.alloc(4)
      checksum.writeUInt32LE(~crc32c(0xffff_ffff, bytes) >>> 0)
      words.set(offset + checksumAt, checksum)
    },

    word: (offset, bytes) => void words.set(offset, Uint8Array.from(bytes)),

    apply: (disk) => patchDisk(maskDisk(disk, zeros.build()), wordDisk(disk.size, words), rangesOf(words)),
  }
}

function rangesOf(words: ReadonlyMap<number, Uint8Array>): ByteRanges {
  const builder = new ByteRangesBuilder()
  for (const offset of [...words.keys()].sort((one, other) => one - other)) builder.add(offset, 4)
  return builder.build()
}

/** Gives words at their places; they are aligned to four bytes. */
function wordDisk(size: number, words: ReadonlyMap<number, Uint8Array>): Disk {
  return {
    size,
    async *extents() {
      yield { offset: 0, length: size, kind: 'data' }
    },
    async read(target, offset) {
      for (let index = 0; index < target.length; index += 1) {
        const position = offset + index
        target[index] = words.get(position - (position % 4))?.[position % 4] ?? 0
      }
    },
    close: async () => undefined,
  }
}

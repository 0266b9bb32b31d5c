import { roundUp } from '../../core/bytes.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { checkRange } from '../check-range.ts'
import type { Disk, Extent } from '../disk.ts'

const sectorSize = 512

/**
 * The disk of a raw image: its bytes are the guest's. A machine's disk has whole sectors, so a size that is no
 * multiple of 512 is rounded up and the difference reads as zeros, as QEMU does it. Extents are those of the source,
 * or one run of data where it cannot tell holes. Closing the disk closes the source.
 */
export async function openRaw(source: RandomAccessSource): Promise<Disk> {
  const size = roundUp(source.size, sectorSize)
  return {
    size,

    async *extents(options): AsyncGenerator<Extent, void, undefined> {
      const ranges = source.dataRanges?.(options) ?? [{ offset: 0, length: source.size }]
      let position = 0
      for await (const { offset, length } of ranges) {
        if (length === 0) continue
        if (offset > position) yield { offset: position, length: offset - position, kind: 'zero' }
        const end = offset + length === source.size ? size : offset + length
        yield { offset, length: end - offset, kind: 'data' }
        position = end
      }
      if (position < size) yield { offset: position, length: size - position, kind: 'zero' }
    },

    async read(target, offset, options) {
      checkRange({ size }, offset, target.length)
      const filled = await source.read(target, offset, options)
      if (filled < target.length) target.fill(0, filled)
    },

    close: () => source.close(),
  }
}

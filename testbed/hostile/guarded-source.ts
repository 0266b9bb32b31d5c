import type { RandomAccessSource } from '../../src/transfer/byte-source.ts'

/** No reader of a small image has a reason to ask for more at once. */
const maximumRead = 64 * 1024 * 1024

/** A source of bytes in memory that fails loudly, with a plain `Error`, when it is read where it has nothing. */
export function guardedSource(bytes: Buffer, name = 'image'): RandomAccessSource {
  return {
    name,
    size: bytes.length,
    async read(target, position) {
      const isInside = Number.isSafeInteger(position) && position >= 0 && position <= bytes.length
      if (!isInside) throw new Error(`A read at ${position} of a source of ${bytes.length} bytes.`)
      if (target.length > maximumRead) throw new Error(`A read of ${target.length} bytes at once.`)
      return bytes.copy(target, 0, position, Math.min(bytes.length, position + target.length))
    },
    async *stream({ start = 0, end = bytes.length } = {}) {
      yield bytes.subarray(start, end)
    },
    close: async () => undefined,
  }
}

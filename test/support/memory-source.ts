import type { RandomAccessSource } from '../../src/transfer/byte-source.ts'

export interface MemorySource extends RandomAccessSource {
  /** Calls of `read` so far. */
  readonly reads: number
  readonly closed: boolean
}

/** A source over bytes in memory, which fails a test that reads outside them. */
export function memorySource(bytes: Uint8Array, name = 'memory'): MemorySource {
  let reads = 0
  let closed = false
  return {
    name,
    size: bytes.length,
    get reads() {
      return reads
    },
    get closed() {
      return closed
    },
    async read(target, position) {
      reads += 1
      if (position < 0 || position > bytes.length) throw new Error(`read at ${position} of ${bytes.length}`)
      const part = bytes.subarray(position, position + target.length)
      target.set(part)
      return part.length
    },
    async *stream({ start = 0, end = bytes.length } = {}) {
      yield bytes.subarray(start, end)
    },
    async close() {
      closed = true
    },
  }
}

import { throwIfCancelled } from '../core/abort.ts'
import type { ByteSink } from './byte-sink.ts'

/** A sink that keeps what is written in memory. */
export interface MemorySink extends ByteSink {
  /** Makes room for so many bytes in advance. Throws when that is too much. */
  reserve(length: number): Promise<void>
  /** What was written. */
  bytes(): Buffer
}

/** At most `maximumBytes` are kept; `tooLarge` makes the error for more. */
export function memorySink(
  name: string,
  { maximumBytes, tooLarge }: { maximumBytes: number; tooLarge: () => Error },
): MemorySink {
  let buffer = Buffer.alloc(0)
  let length = 0

  async function reserve(wanted: number): Promise<void> {
    if (wanted > maximumBytes) throw tooLarge()
    if (wanted <= buffer.length) return
    const larger = Buffer.allocUnsafeSlow(Math.min(maximumBytes, Math.max(wanted, 2 * buffer.length)))
    larger.set(buffer.subarray(0, length))
    buffer = larger
  }

  return {
    name,
    reserve,
    async write(chunk, { signal } = {}) {
      throwIfCancelled(signal)
      await reserve(length + chunk.length)
      buffer.set(chunk, length)
      length += chunk.length
    },
    finish: async () => undefined,
    async abort() {
      buffer = Buffer.alloc(0)
      length = 0
    },
    bytes: () => buffer.subarray(0, length),
  }
}

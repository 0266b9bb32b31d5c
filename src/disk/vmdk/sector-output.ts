import type { AbortOptions } from '../../core/abort.ts'
import { MiB, roundUp } from '../../core/bytes.ts'
import type { ByteSink } from '../../transfer/byte-sink.ts'
import { sectorSize } from './vmdk-layout.ts'

export interface SectorOutput {
  /** Sectors put so far. */
  readonly position: number
  /** Takes pieces that belong together, filled up with zeros to whole sectors. */
  put(...pieces: Uint8Array[]): Promise<void>
  flush(): Promise<void>
}

/** Gathers small pieces into writes of 2 MiB. */
export function sectorOutput(sink: ByteSink, { signal }: AbortOptions): SectorOutput {
  const buffer = Buffer.allocUnsafeSlow(2 * MiB)
  let used = 0
  let flushed = 0

  async function flush(): Promise<void> {
    if (used === 0) return
    await sink.write(buffer.subarray(0, used), { signal })
    flushed += used
    used = 0
  }

  return {
    get position() {
      return (flushed + used) / sectorSize
    },
    flush,
    async put(...pieces) {
      for (const piece of pieces) {
        for (let from = 0; from < piece.length; ) {
          if (used === buffer.length) await flush()
          const part = piece.subarray(from, from + buffer.length - used)
          buffer.set(part, used)
          used += part.length
          from += part.length
        }
      }
      // The buffer is a whole number of sectors, so the padding always fits.
      const padded = roundUp(used, sectorSize)
      buffer.fill(0, used, padded)
      used = padded
    },
  }
}

import type { AbortOptions } from '../core/abort.ts'
import type { ByteSink } from './byte-sink.ts'
import { zeroBlock } from './zeros.ts'

/** Writes `length` zeros to any sink: as a hole where it can, from a shared block of 1 MiB elsewhere. */
export async function writeZeros(sink: ByteSink, length: number, options: AbortOptions = {}): Promise<void> {
  if (sink.writeZeros) return sink.writeZeros(length, options)
  for (let left = length; left > 0; left -= zeroBlock.length) {
    await sink.write(left < zeroBlock.length ? zeroBlock.subarray(0, left) : zeroBlock, options)
  }
}

import { type AbortOptions, throwIfCancelled } from '../../../core/abort.ts'
import type { Volume } from './volume.ts'

/** Blocks this near to each other are read together: reading on is cheaper than asking again. */
const maximumGapBytes = 32 * 1024
const maximumReadBytes = 1024 * 1024

/**
 * Reads blocks given in ascending order and hands each one over with its place in `blocks`. The bytes belong to the
 * callee until it returns.
 */
export async function readBlocks(
  volume: Volume,
  blocks: ArrayLike<number>,
  options: AbortOptions,
  visit: (bytes: Uint8Array, index: number) => void,
): Promise<void> {
  const { blockSize } = volume.superblock
  const maximumGap = maximumGapBytes / blockSize
  const maximumBlocks = Math.max(1, maximumReadBytes / blockSize)
  const buffer = new Uint8Array(maximumBlocks * blockSize)
  for (let from = 0; from < blocks.length; ) {
    throwIfCancelled(options.signal)
    const first = blocks[from] ?? 0
    let to = from + 1
    let last = first
    for (; to < blocks.length; to += 1) {
      const next = blocks[to] ?? 0
      if (next - last > maximumGap + 1 || next - first >= maximumBlocks) break
      last = next
    }
    const chunk = buffer.subarray(0, (last - first + 1) * blockSize)
    await volume.disk.read(chunk, first * blockSize, options)
    for (; from < to; from += 1) {
      const offset = ((blocks[from] ?? 0) - first) * blockSize
      visit(chunk.subarray(offset, offset + blockSize), from)
    }
  }
}

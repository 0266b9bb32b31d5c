import type { AbortOptions } from '../core/abort.ts'
import { MiB } from '../core/bytes.ts'
import { freeBuffer } from '../core/free-buffer.ts'
import type { BlockCache } from './block-cache.ts'
import type { RandomAccessSource } from './byte-source.ts'
import { TransferError } from './errors.ts'

/** Blocks that lie side by side are fetched together, up to so many bytes. */
const maximumFetch = 2 * MiB

export interface BlockRun extends AbortOptions {
  source: RandomAccessSource
  cache: BlockCache
  blockSize: number
  /** Number of the first block that is wanted. */
  first: number
  /** Number of the last block that is wanted. */
  last: number
  /** Told every block that was fetched. */
  onBlock?: (index: number, bytes: Uint8Array) => void
}

/** Fetches block `first`, and with it those after it up to `last` that are not cached either, in one request. */
export function fetchBlocks(run: BlockRun): Promise<Uint8Array> {
  const { source, cache, blockSize, first, signal, onBlock } = run
  let count = 1
  while (first + count <= run.last && (count + 1) * blockSize <= maximumFetch && !cache.has(first + count)) {
    count += 1
  }
  const position = first * blockSize
  const length = Math.min(count * blockSize, source.size - position)
  const fetched = fetchRange(source, { position, length, signal })
  const blocks = Array.from({ length: count }, async (_, index) => {
    const whole = await fetched
    // Copies, so that one block that stays does not keep the others alive.
    const bytes =
      count === 1 ? whole : Buffer.from(whole.subarray(index * blockSize, (index + 1) * blockSize))
    onBlock?.(first + index, bytes)
    return bytes
  })
  if (count > 1) void freeWhenCopied(fetched, blocks)
  for (const [index, block] of blocks.entries()) cache.put(first + index, block)
  return blocks[0] ?? Promise.reject(new Error('No block was asked for.'))
}

async function freeWhenCopied(fetched: Promise<Buffer>, copies: readonly Promise<unknown>[]): Promise<void> {
  const outcomes = await Promise.allSettled([fetched, ...copies])
  if (outcomes[0]?.status === 'fulfilled') freeBuffer(await fetched)
}

async function fetchRange(
  source: RandomAccessSource,
  { position, length, signal }: AbortOptions & { position: number; length: number },
): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(length)
  const filled = await source.read(bytes, position, { signal })
  if (filled < length) {
    throw new TransferError(
      'SOURCE_CHANGED',
      `${source.name} ends at ${position + filled} instead of ${source.size}.`,
    )
  }
  return bytes
}

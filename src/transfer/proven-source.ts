import { type AbortOptions, throwIfCancelled } from '../core/abort.ts'
import { KiB, MiB } from '../core/bytes.ts'
import { BlockCache } from './block-cache.ts'
import { blockTags } from './block-tags.ts'
import type { RandomAccessSource } from './byte-source.ts'
import type { DigestAlgorithm } from './digests.ts'
import { fetchBlocks } from './read-blocks.ts'
import { type BlockPlace, type ExpectedDigest, type Pass, startPass } from './whole-pass.ts'

/*
 * A disk reader jumps: headers, tables, file-system metadata, then mostly from front to end. A checksum is of the whole
 * container from front to end. One pass over the network serves both:
 *
 * - Before the pass begins, reads go by range in whole blocks. A tag of every block that was used is kept (`blockTags`).
 * - In the pass, reads that follow its position are taken from it. Reads elsewhere still go by range.
 * - The pass sees every block once, in order, and hands it to the digest of the whole. A block that was also read by
 *   range, before or after, must have been the same: its tag is compared.
 * - At the end the rest is passed over, and the digest of the whole compared.
 *
 * So every byte that was used is a byte of the container the checksum was made of, with nothing stored on this machine.
 */

export interface ProvenSourceOptions {
  /** The digest of the whole; left out where the stream of the source is compared by itself. */
  expected?: ExpectedDigest
  /** Which digests the stream of the source is to be compared with by itself; all of its `provenBy` when absent. */
  compare?: readonly DigestAlgorithm[]
  /** Whether whoever reads takes more time for the bytes than their digest, which then needs no thread. Default false. */
  isSlow?: boolean
  /** The error for bytes that are not those of the checksum; `what` completes a sentence about the source. */
  mismatch: (what: string) => Error
}

export interface ProvenSource extends RandomAccessSource {
  /** From now on, reads that follow the pass are served by it. Everything that jumps has best been read before. */
  beginPass(options?: PassProgress): void
  /**
   * Passes over what is left and compares. When it returns, every byte that was read is proved; nothing can be read after it.
   * @throws what `mismatch` makes
   */
  prove(options?: AbortOptions): Promise<void>
}

export interface PassProgress extends AbortOptions {
  /** Bytes passed over and in all, until the whole is proved. */
  onProgress?: (done: number, total: number) => void
}

const smallestBlock = 256 * KiB
/** More blocks than this are not kept apart: 16 MiB of tags. */
const maximumBlocks = 2 ** 20
const cacheBytes = 8 * MiB
/** A gap this short is passed over rather than jumped. */
const shortGap = 8 * MiB
/** So much read in order far ahead of the pass shows that the reader went there to stay. */
const settledAhead = 4 * MiB

/**
 * Wraps a source that is far away so that what is read of it is proved by the digest of the whole, in one pass and few
 * ranges besides. Holds up to 16 MiB of blocks, 16 MiB of tags, and 4 MiB for hashing, whatever the size.
 */
export function provenSource(source: RandomAccessSource, options: ProvenSourceOptions): ProvenSource {
  const { size } = source
  const blockSize = blockSizeFor(size)
  const blockCount = Math.ceil(size / blockSize)
  const cache = new BlockCache(cacheBytes / blockSize)
  const tags = blockTags(blockCount, (index) =>
    options.mismatch(
      `gave two different answers for the ${blockSize / KiB} KiB at byte ${index * blockSize}`,
    ),
  )
  let pass: Pass | undefined
  /** False from where on a block would be used that nothing compares any more. */
  let readable = true
  /** Reads far ahead of the pass: where the last one ended, and how much was read in order up to there. */
  const ahead = { end: 0, bytes: 0 }

  function begin(rereads: boolean, { signal, onProgress }: PassProgress): Pass {
    if (pass) throw new Error(`The pass over ${source.name} has begun already.`)
    const { expected, compare, isSlow = false, mismatch } = options
    readable = rereads
    pass = startPass(
      { source, blockSize, blockCount, expected, compare, isSlow, mismatch, signal },
      (index, bytes) => {
        // What nobody can ask for again needs no tag.
        if (rereads || tags.has(index)) tags.add(index, bytes)
        onProgress?.(index * blockSize + bytes.length, size)
      },
    )
    return pass
  }

  /** Whether the pass is where this read goes, or should go there. */
  function follows({ next }: Pass, { position, length, last }: ReadRange): boolean {
    if (last < next) return false
    if (position - next * blockSize <= shortGap) return true
    const goesOn = position >= ahead.end && position - ahead.end <= shortGap
    ahead.bytes = goesOn ? ahead.bytes + length : length
    ahead.end = position + length
    return ahead.bytes >= settledAhead
  }

  /** Fills `target`, which ends with the block at the latest. */
  async function readBlock(
    target: Uint8Array,
    { index, from }: BlockPlace,
    { joins, last, signal }: ReadRange & { joins: boolean },
  ): Promise<void> {
    const cached = cache.get(index)
    if (!cached && pass && (await pass.copy(target, { index, from }, joins))) return
    const fetch = () =>
      fetchBlocks({ source, cache, blockSize, first: index, last, signal, onBlock: tags.add })
    const block = await (cached ?? fetch())
    target.set(block.subarray(from, from + target.length))
  }

  return {
    name: source.name,
    size,
    ...(source.dataRanges && { dataRanges: source.dataRanges }),

    async read(target, position, { signal } = {}) {
      throwIfCancelled(signal)
      if (!readable) throw new Error(`${source.name} is read after its proof.`)
      const end = Math.min(position + target.length, size)
      const range = {
        position,
        length: end - position,
        last: Math.ceil(end / blockSize) - 1,
        signal,
      }
      const joins = pass !== undefined && follows(pass, range)
      for (let at = position; at < end; ) {
        const index = Math.floor(at / blockSize)
        const from = at - index * blockSize
        const part = target.subarray(at - position, Math.min(end, (index + 1) * blockSize) - position)
        await readBlock(part, { index, from }, { ...range, joins })
        at += part.length
      }
      return Math.max(0, end - position)
    },

    async *stream({ start = 0, end = size, signal } = {}) {
      if (start !== 0 || end !== size) throw new Error('Only a stream of the whole can be proved.')
      const whole = begin(false, { signal })
      while (whole.next < blockCount) yield await whole.take()
      await whole.finish()
    },

    beginPass: (passOptions = {}) => void begin(true, passOptions),

    async prove({ signal } = {}) {
      const passing = pass ?? begin(false, { signal })
      readable = false
      cache.clear()
      while (passing.next < blockCount) {
        throwIfCancelled(signal)
        await passing.advance(Math.min(blockCount, passing.next + shortGap / blockSize))
      }
      await passing.finish()
    },

    async close() {
      await pass?.close()
      await source.close()
    },
  }
}

interface ReadRange extends AbortOptions {
  position: number
  length: number
  /** Number of the last block that is wanted. */
  last: number
}

function blockSizeFor(size: number): number {
  let blockSize = smallestBlock
  while (size > blockSize * maximumBlocks) blockSize *= 2
  return blockSize
}

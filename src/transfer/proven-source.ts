import { hash } from 'node:crypto'
import { type AbortOptions, throwIfCancelled } from '../core/abort.ts'
import { KiB, MiB } from '../core/bytes.ts'
import { BlockCache } from './block-cache.ts'
import type { RandomAccessSource } from './byte-source.ts'
import type { DigestAlgorithm } from './digests.ts'
import { Hasher } from './hasher.ts'
import { fetchBlocks } from './read-blocks.ts'

/*
 * A disk reader jumps: headers, tables, file-system metadata, then mostly from front to end. A checksum is of the whole
 * container from front to end. One pass over the network serves both:
 *
 * - Before the pass begins, reads go by range in whole blocks. The SHA-256 of every block that was used is kept.
 * - In the pass, reads that follow its position are taken from it. Reads elsewhere still go by range.
 * - The pass sees every block once, in order, and hands it to the digest of the whole. A block that was also read by
 *   range, before or after, must have been the same: its SHA-256 is compared.
 * - At the end the rest is passed over, and the digest of the whole compared.
 *
 * So every byte that was used is a byte of the container the checksum was made of, with nothing stored on this machine.
 */

export interface ProvenSourceOptions {
  /** The digest of the whole; left out where the stream of the source is compared by itself (`provenBy`). */
  expected?: { algorithm: DigestAlgorithm; value: string }
  /** The error for bytes that are not those of the checksum; `what` completes a sentence about the source. */
  mismatch: (what: string) => Error
}

export interface ProvenSource extends RandomAccessSource {
  /** From now on, reads that follow the pass are served by it. Everything that jumps has best been read before. */
  beginPass(options?: AbortOptions): void
  /**
   * Passes over what is left and compares. When it returns, every byte that was read is proved; nothing can be read after it.
   * @throws what `mismatch` makes
   */
  prove(options?: ProveOptions): Promise<void>
}

export interface ProveOptions extends AbortOptions {
  /** Bytes passed over and in all. */
  onProgress?: (done: number, total: number) => void
}

const smallestBlock = 256 * KiB
/** More blocks than this are not kept apart: 8 MiB of digests. */
const maximumBlocks = 2 ** 18
const cacheBytes = 32 * MiB
/** A gap this short is passed over rather than jumped. */
const shortGap = 8 * MiB
/** So much read in order far ahead of the pass shows that the reader went there to stay. */
const settledAhead = 4 * MiB

/**
 * Wraps a source that is far away so that what is read of it is proved by the digest of the whole, in one pass and few
 * ranges besides. Holds up to 32 MiB of blocks, 8 MiB of digests, and 8 MiB for hashing, whatever the size.
 */
export function provenSource(source: RandomAccessSource, options: ProvenSourceOptions): ProvenSource {
  const { size } = source
  const blockSize = blockSizeFor(size)
  const blockCount = Math.ceil(size / blockSize)
  const cache = new BlockCache(cacheBytes / blockSize)
  const digests = blockDigests(blockCount, (index) =>
    options.mismatch(
      `gave two different answers for the ${blockSize / KiB} KiB at byte ${index * blockSize}`,
    ),
  )
  let pass: Pass | undefined
  /** False from where on a block would be used that nothing compares any more. */
  let readable = true
  /** Reads far ahead of the pass: where the last one ended, and how much was read in order up to there. */
  const ahead = { end: 0, bytes: 0 }

  function begin(rereads: boolean, signal: AbortSignal | undefined): Pass {
    if (pass) throw new Error(`The pass over ${source.name} has begun already.`)
    const { expected, mismatch } = options
    readable = rereads
    pass = startPass({ source, blockSize, blockCount, expected, mismatch, signal }, (index, bytes) => {
      // What nobody can ask for again needs no digest of its own.
      if (rereads || digests.has(index)) digests.add(index, bytes)
      if (rereads) cache.put(index, Promise.resolve(bytes))
    })
    return pass
  }

  /** Whether the pass is where this read goes, or should go there. */
  function follows(passing: Pass, index: number, { position, length }: { position: number; length: number }) {
    if (index < passing.next) return false
    if ((index - passing.next) * blockSize <= shortGap) return true
    const goesOn = position >= ahead.end && position - ahead.end <= shortGap
    ahead.bytes = goesOn ? ahead.bytes + length : length
    ahead.end = position + length
    return ahead.bytes >= settledAhead
  }

  async function blockAt(index: number, last: number, read: ReadRange): Promise<Uint8Array> {
    const cached = cache.get(index)
    if (cached) return cached
    if (pass && follows(pass, index, read)) {
      await pass.advance(index + 1)
      const passed = cache.get(index)
      if (passed) return passed
    }
    const { signal } = read
    return fetchBlocks({ source, cache, blockSize, first: index, last, signal, onBlock: digests.add })
  }

  return {
    name: source.name,
    size,
    ...(source.dataRanges && { dataRanges: source.dataRanges }),

    async read(target, position, { signal } = {}) {
      throwIfCancelled(signal)
      if (!readable) throw new Error(`${source.name} is read after its proof.`)
      const end = Math.min(position + target.length, size)
      const last = Math.ceil(end / blockSize) - 1
      for (let at = position; at < end; ) {
        const index = Math.floor(at / blockSize)
        const block = await blockAt(index, last, { position: at, length: end - at, signal })
        const from = at - index * blockSize
        const part = block.subarray(from, Math.min(block.length, from + end - at))
        target.set(part, at - position)
        at += part.length
      }
      return Math.max(0, end - position)
    },

    async *stream({ start = 0, end = size, signal } = {}) {
      if (start !== 0 || end !== size) throw new Error('Only a stream of the whole can be proved.')
      const whole = begin(false, signal)
      while (whole.next < blockCount) yield await whole.take()
      await whole.finish()
    },

    beginPass: ({ signal } = {}) => void begin(true, signal),

    async prove({ signal, onProgress } = {}) {
      const passing = pass ?? begin(false, signal)
      readable = false
      cache.clear()
      while (passing.next < blockCount) {
        throwIfCancelled(signal)
        onProgress?.(passing.next * blockSize, size)
        await passing.advance(Math.min(blockCount, passing.next + shortGap / blockSize))
      }
      onProgress?.(size, size)
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
}

interface Pass {
  /** Number of the block that comes next. */
  readonly next: number
  /** Passes over every block before number `until`. Calls take their turn. */
  advance(until: number): Promise<void>
  /** The next block itself. */
  take(): Promise<Uint8Array>
  /** After the last block: makes sure that nothing follows it, and compares. May be called twice. */
  finish(): Promise<void>
  close(): Promise<void>
}

interface PassOptions extends AbortOptions {
  source: RandomAccessSource
  blockSize: number
  blockCount: number
  expected: ProvenSourceOptions['expected']
  mismatch: ProvenSourceOptions['mismatch']
}

function startPass(
  { source, blockSize, blockCount, expected, mismatch, signal }: PassOptions,
  onBlock: (index: number, bytes: Uint8Array) => void,
): Pass {
  const chunks = source.stream({ signal })[Symbol.asyncIterator]()
  const hasher = expected ? new Hasher([expected.algorithm]) : null
  let chunk: Uint8Array = new Uint8Array()
  let next = 0
  let turn: Promise<unknown> = Promise.resolve()
  let finished: Promise<void> | undefined

  async function take(): Promise<Uint8Array> {
    const block = Buffer.allocUnsafeSlow(Math.min(blockSize, source.size - next * blockSize))
    for (let filled = 0; filled < block.length; ) {
      if (chunk.length === 0) {
        const { done, value } = await chunks.next()
        if (done) throw mismatch(`ends at byte ${next * blockSize + filled} instead of ${source.size}`)
        chunk = value
      }
      const part = chunk.subarray(0, block.length - filled)
      block.set(part, filled)
      chunk = chunk.subarray(part.length)
      filled += part.length
    }
    onBlock(next, block)
    await hasher?.update(block, { signal })
    next += 1
    return block
  }

  async function compare(): Promise<void> {
    while (chunk.length === 0) {
      const { done, value } = await chunks.next()
      if (done) break
      chunk = value
    }
    if (chunk.length > 0) throw mismatch(`goes on after its ${source.size} bytes`)
    if (!hasher || !expected) return
    const digests = await hasher.digests({ signal })
    if (digests[expected.algorithm] !== expected.value) {
      throw mismatch(`does not have the ${expected.algorithm} that was recorded for it`)
    }
  }

  return {
    get next() {
      return next
    },
    advance(until) {
      const advanced = turn.then(async () => {
        while (next < Math.min(until, blockCount)) await take()
      })
      // A pass that failed cannot go on: whoever comes next fails as well.
      turn = advanced
      advanced.catch(() => undefined)
      return advanced
    },
    take,
    finish: () => {
      finished ??= compare()
      return finished
    },
    async close() {
      await hasher?.close()
      await chunks.return?.()
    },
  }
}

const digestLength = 32

/** A SHA-256 for each block that has been seen; a second sight of it must be the same. */
function blockDigests(
  count: number,
  mismatch: (index: number) => Error,
): { has(index: number): boolean; add(index: number, bytes: Uint8Array): void } {
  const digests = Buffer.alloc(count * digestLength)
  const known = new Uint8Array(count)
  return {
    has: (index) => known[index] === 1,
    add(index, bytes) {
      const digest = hash('sha256', bytes, 'buffer')
      const place = digests.subarray(index * digestLength, (index + 1) * digestLength)
      if (known[index] === 1 && !place.equals(digest)) throw mismatch(index)
      place.set(digest)
      known[index] = 1
    },
  }
}

function blockSizeFor(size: number): number {
  let blockSize = smallestBlock
  while (size > blockSize * maximumBlocks) blockSize *= 2
  return blockSize
}

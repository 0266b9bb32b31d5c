import type { AbortOptions } from '../core/abort.ts'
import { MiB } from '../core/bytes.ts'
import type { RandomAccessSource } from './byte-source.ts'
import type { DigestAlgorithm } from './digests.ts'
import { Hasher } from './hasher.ts'
import { inlineHasher, type StreamHasher } from './inline-hasher.ts'

/** A place in a block. */
export interface BlockPlace {
  index: number
  /** Bytes from its beginning. */
  from: number
}

export interface ExpectedDigest {
  readonly algorithm: DigestAlgorithm
  /** Hexadecimal. */
  readonly value: string
}

/** What was passed last stays at hand, for reads that are under way at the same time. */
const recentBytes = 8 * MiB

/** One pass over all of a source, block by block, from front to end. */
export interface Pass {
  /** Number of the block that comes next. */
  readonly next: number
  /** Passes over every block before number `until`. Calls take their turn, as do those of `copy`. */
  advance(until: number): Promise<void>
  /**
   * Fills `target` from a block that was passed just now, or, with `advance`, that comes next or later. Gives false when it
   * is none of them.
   */
  copy(target: Uint8Array, place: BlockPlace, advance: boolean): Promise<boolean>
  /** The next block itself, valid until as many others were taken as are kept. */
  take(): Promise<Uint8Array>
  /** After the last block: makes sure that nothing follows it, and compares. May be called twice. */
  finish(): Promise<void>
  close(): Promise<void>
}

export interface PassOptions extends AbortOptions {
  source: RandomAccessSource
  blockSize: number
  blockCount: number
  /** The digest of the whole, where the source does not compare its stream by itself. */
  expected: ExpectedDigest | undefined
  compare: readonly DigestAlgorithm[] | undefined
  /** Whether whoever reads takes more time for the bytes than their digest: it needs no thread then. */
  isSlow: boolean
  mismatch: (what: string) => Error
}

/** Begins a pass; `onBlock` sees every block once, in order. */
export function startPass(
  { source, blockSize, blockCount, expected, compare, isSlow, mismatch, signal }: PassOptions,
  onBlock: (index: number, bytes: Uint8Array) => void,
): Pass {
  const chunks = source.stream({ signal, ...(compare ? { compare } : {}) })[Symbol.asyncIterator]()
  const hasher = expected ? hasherFor(expected, { isSlow }) : null
  /** Blocks that were passed last, each at its number modulo their count; overwritten in turns only. */
  const recent: { index: number; bytes: Buffer }[] = []
  const recentCount = Math.max(1, recentBytes / blockSize)
  let chunk: Uint8Array = new Uint8Array()
  let next = 0
  let turn: Promise<unknown> = Promise.resolve()
  let finished: Promise<void> | undefined

  async function take(): Promise<Uint8Array> {
    const slot = next % recentCount
    const { bytes } = recent[slot] ?? { bytes: Buffer.allocUnsafeSlow(blockSize) }
    const block = bytes.subarray(0, Math.min(blockSize, source.size - next * blockSize))
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
    recent[slot] = { index: next, bytes }
    next += 1
    return block
  }

  /** Runs when everything that was asked for before is done. A pass that failed fails whoever comes next. */
  function inTurn<T>(run: () => Promise<T>): Promise<T> {
    const result = turn.then(run)
    turn = result
    result.catch(() => undefined)
    return result
  }

  async function passTo(until: number): Promise<void> {
    while (next < Math.min(until, blockCount)) await take()
  }

  async function finish(): Promise<void> {
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
    advance: (until) => inTurn(() => passTo(until)),
    copy: (target, { index, from }, advance) =>
      inTurn(async () => {
        if (advance) await passTo(index + 1)
        const passed = recent[index % recentCount]
        if (passed?.index !== index) return false
        target.set(passed.bytes.subarray(from, from + target.length))
        return true
      }),
    take,
    finish: () => {
      finished ??= finish()
      return finished
    },
    async close() {
      await hasher?.close()
      await chunks.return?.()
    },
  }
}

function hasherFor({ algorithm }: ExpectedDigest, { isSlow }: Pick<PassOptions, 'isSlow'>): StreamHasher {
  return isSlow ? inlineHasher(algorithm) : new Hasher([algorithm])
}

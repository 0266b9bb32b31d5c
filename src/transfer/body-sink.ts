import { type AbortOptions, throwIfCancelled } from '../core/abort.ts'
import { KiB } from '../core/bytes.ts'
import { abortable } from './abortable.ts'
import type { ByteSink } from './byte-sink.ts'
import { outputClosed } from './errors.ts'
import { zeroBlock } from './zeros.ts'

/** A sink whose bytes come out at the other end, as the body of a request. */
export interface BodySink extends ByteSink {
  writeZeros(length: number, options?: AbortOptions): Promise<void>
  /**
   * What was written, in pieces of a quarter MiB or more; to be iterated once. Ends with `finish`, breaks with `abort`. A
   * piece is used again when `heldPieces` more have been asked for: a connection that takes the next one only when the one
   * before has left is done with it long before.
   */
  readonly body: AsyncIterable<Uint8Array>
  /** Bytes written so far. */
  readonly written: number
  /**
   * Makes every write fail with `error`: whoever takes the body has gone away. Without it, writes fail with
   * `OUTPUT_CLOSED` when the body is not iterated to its end.
   */
  fail(error: unknown): void
}

const pieceLength = 256 * KiB

/** How many pieces whoever takes the body may hold at the same time. */
export const heldPieces = 6

/**
 * Turns writes into a body that is pulled. A write settles when its bytes are copied and everything before them but one
 * piece has been taken, so the connection sets the pace. Memory is 2 MiB, whatever the length of the body.
 */
export function createBodySink(name: string): BodySink {
  // One is being filled, one waits, the others are with the taker.
  const ring = Array.from({ length: heldPieces + 2 }, () => Buffer.allocUnsafeSlow(pieceLength))
  let filled = 0
  let written = 0
  let slot: Uint8Array | null = null
  let ended = false
  let failure: { error: unknown } | null = null
  /** Settles at the next change of any of the above. */
  let change = Promise.withResolvers<void>()

  function changed(): void {
    const before = change
    change = Promise.withResolvers()
    before.resolve()
  }

  function fail(error: unknown): void {
    failure ??= { error }
    changed()
  }

  async function hand(bytes: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    while (slot && !failure) await abortable(change.promise, signal)
    if (failure) throw failure.error
    slot = bytes
    changed()
  }

  async function flush(signal: AbortSignal | undefined): Promise<void> {
    if (filled === 0) return
    const [full] = ring.splice(0, 1)
    if (!full) throw new Error('The ring is empty')
    ring.push(full)
    const bytes = full.subarray(0, filled)
    filled = 0
    await hand(bytes, signal)
  }

  function assertOpen(signal: AbortSignal | undefined): void {
    throwIfCancelled(signal)
    if (failure) throw failure.error
    if (ended) throw new Error(`${name} is written after its end`)
  }

  async function* body(): AsyncGenerator<Uint8Array, void, undefined> {
    try {
      for (;;) {
        while (!slot && !ended && !failure) await change.promise
        if (failure) throw failure.error
        const bytes = slot
        if (!bytes) return
        slot = null
        changed()
        yield bytes
      }
    } finally {
      // Nobody takes anything any more: who still writes must not wait for ever.
      fail(outputClosed(name))
    }
  }

  return {
    name,
    body: body(),
    get written() {
      return written
    },
    fail,

    async write(chunk, { signal } = {}) {
      assertOpen(signal)
      for (let done = 0; done < chunk.length; ) {
        const part = chunk.subarray(done, done + pieceLength - filled)
        ring[0]?.set(part, filled)
        filled += part.length
        done += part.length
        if (filled === pieceLength) await flush(signal)
      }
      written += chunk.length
    },

    async writeZeros(length, { signal } = {}) {
      assertOpen(signal)
      await flush(signal)
      for (let left = length; left > 0; left -= zeroBlock.length) {
        await hand(left < zeroBlock.length ? zeroBlock.subarray(0, left) : zeroBlock, signal)
      }
      written += length
    },

    async finish({ signal } = {}) {
      assertOpen(signal)
      await flush(signal)
      ended = true
      changed()
    },

    async abort() {
      fail(outputClosed(name))
    },
  }
}

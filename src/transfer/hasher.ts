import { type AbortOptions, throwIfCancelled } from '../core/abort.ts'
import { MiB } from '../core/bytes.ts'
import { abortable } from './abortable.ts'
import type { DigestAlgorithm, Digests } from './digests.ts'
import type { HashReply, HashRequest } from './hash-messages.ts'
import { type HashThread, startHashThread } from './hash-thread.ts'

const slotCount = 4
const slotLength = MiB

/**
 * Slots of hashers that came to their end, for the next ones: shared memory is freed late, since V8 does not count what it
 * takes. A hasher that was closed earlier may have one that somebody still fills.
 */
const idleSlots: SharedArrayBuffer[] = []
const keptSlots = 2 * slotCount

/** Shared memory to fill and then `submit`. */
export interface HashSlot {
  readonly index: number
  readonly bytes: Uint8Array
}

interface RingSlot extends HashSlot {
  /** Settles when every thread has read it, with the failure of one if there was any. */
  read: Promise<{ error: unknown } | null>
}

/**
 * Digests of one stream of bytes, each algorithm in a thread of its own, so that the main thread goes on moving the
 * data. Bytes travel through a ring of four slots of shared memory, 4 MiB for any number of algorithms; when the
 * slowest thread is four slots behind, the caller waits. `close` it, after a failure too: it ends the threads.
 */
export class Hasher {
  readonly #algorithms: readonly DigestAlgorithm[]
  readonly #threads: readonly HashThread[]
  readonly #slots: readonly SharedArrayBuffer[]
  readonly #ring: RingSlot[]
  /** Bytes of the ring's first slot that `update` has filled. */
  #filled = 0
  #zeros = 0
  #digests: Promise<Digests> | undefined

  constructor(algorithms: readonly DigestAlgorithm[]) {
    const slots = idleSlots.splice(-slotCount)
    while (slots.length < slotCount) slots.push(new SharedArrayBuffer(slotLength))
    this.#slots = slots
    this.#ring = slots.map((slot, index) => ({
      index,
      bytes: new Uint8Array(slot),
      read: Promise.resolve(null),
    }))
    this.#algorithms = [...new Set(algorithms)]
    this.#threads = this.#algorithms.map((algorithm) => startHashThread({ algorithm, slots }))
  }

  /** Takes the next bytes; they are copied, so the caller may reuse `chunk` when this settles. */
  async update(chunk: Uint8Array, options: AbortOptions = {}): Promise<void> {
    for (let done = 0; done < chunk.length; ) {
      const { bytes } = this.#filled > 0 ? this.#next() : await this.lease(options)
      const part = chunk.subarray(done, done + slotLength - this.#filled)
      bytes.set(part, this.#filled)
      this.#filled += part.length
      done += part.length
      if (this.#filled === slotLength) this.#flush()
    }
  }

  /** Takes `length` zeros; few join the bytes before them, many are only counted. */
  zeros(length: number): void {
    if (this.#filled > 0 && length < slotLength - this.#filled) {
      this.#next().bytes.fill(0, this.#filled, this.#filled + length)
      this.#filled += length
      return
    }
    this.#flush()
    this.#zeros += length
  }

  /** The slot to fill with the next bytes, when all threads have read what was in it. Call `submit` after it. */
  async lease({ signal }: AbortOptions = {}): Promise<HashSlot> {
    throwIfCancelled(signal)
    if (this.#digests) throw new Error('The digests have been taken already.')
    const slot = this.#next()
    const failed = await abortable(slot.read, signal)
    if (failed) throw failed.error
    return slot
  }

  /** Hands the leased slot, filled with `length` bytes, to the threads. */
  submit(length: number): void {
    const slot = this.#next()
    this.#ring.push(slot)
    this.#ring.shift()
    slot.read = this.#request({ slot: { index: slot.index, length }, last: false }).then(
      () => null,
      (error: unknown) => ({ error }),
    )
  }

  /** The digests of everything so far; nothing more can be added. Ends the threads. */
  digests({ signal }: AbortOptions = {}): Promise<Digests> {
    this.#digests ??= this.#takeDigests()
    return abortable(this.#digests, signal)
  }

  /** Ends the threads, whatever they are at. May be called at any time, also twice. */
  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.close()))
  }

  async #takeDigests(): Promise<Digests> {
    this.#flush()
    const replies = await this.#request({ last: true })
    await this.close()
    idleSlots.push(...this.#slots.slice(0, Math.max(0, keptSlots - idleSlots.length)))
    const digests: Partial<Record<DigestAlgorithm, string>> = {}
    for (const [index, algorithm] of this.#algorithms.entries()) {
      const digest = replies[index]?.digest
      if (digest) digests[algorithm] = digest
    }
    return digests
  }

  #flush(): void {
    if (this.#filled > 0) this.submit(this.#filled)
    this.#filled = 0
  }

  #request(request: Omit<HashRequest, 'zeros'>): Promise<HashReply[]> {
    const zeros = this.#zeros
    this.#zeros = 0
    return Promise.all(this.#threads.map((thread) => thread.request({ zeros, ...request })))
  }

  #next(): RingSlot {
    const [slot] = this.#ring
    if (!slot) throw new Error('The ring is empty.')
    return slot
  }
}

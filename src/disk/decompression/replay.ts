import { type AbortOptions, throwIfCancelled } from '../../core/abort.ts'
import { MiB } from '../../core/bytes.ts'
import { abortable } from '../../transfer/abortable.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { TransferError } from '../../transfer/errors.ts'
import type { Codec } from './codec.ts'
import type { RestartPoints } from './restart-points.ts'

/** What was given last is kept for reads that go back a little. */
const keptBehind = 4 * MiB
/** It is cheaper to go on than to begin anew for a jump ahead of less. */
const shortJump = 4 * MiB

export interface Replay {
  /** Bytes that were decompressed so far. */
  readonly decompressed: number
  /** Whether a read at `position` would have to go back. */
  goesBackFor(position: number): boolean
  /** Fills `target`; reads come one after the other. */
  read(target: Uint8Array, position: number, options: AbortOptions): Promise<void>
  close(): Promise<void>
}

interface Chunk {
  readonly start: number
  readonly bytes: Uint8Array
}

/**
 * Decompresses again for reads that go ahead, and goes back to the last restart point for those that do not. Memory is 5 MiB
 * and what the decompressor takes.
 */
export function openReplay(source: RandomAccessSource, codec: Codec, points: RestartPoints): Replay {
  let chunks: AsyncGenerator<Uint8Array, void, undefined> | undefined
  let stop = new AbortController()
  /** A step that a cancelled read has left under way. */
  let stepping: Promise<IteratorResult<Uint8Array, void>> | undefined
  let held: Chunk[] = []
  let heldBytes = 0
  /** Where the next chunk begins. */
  let ahead = 0
  let decompressed = 0

  async function end(): Promise<void> {
    stop.abort()
    await stepping?.catch(() => undefined)
    await chunks?.return()
    chunks = undefined
    stepping = undefined
    held = []
    heldBytes = 0
  }

  async function begin(position: number): Promise<void> {
    await end()
    const from = points.before(position)
    stop = new AbortController()
    ahead = from?.plain ?? 0
    chunks = codec.decode(source, { signal: stop.signal, ...(from ? { from } : {}) })
  }

  async function step(running: NonNullable<typeof chunks>, signal: AbortSignal | undefined): Promise<void> {
    stepping ??= running.next().finally(() => {
      stepping = undefined
    })
    const { value, done } = await abortable(stepping, signal)
    if (done) {
      throw new TransferError('SOURCE_CHANGED', `${source.name} decompresses to less than it did before.`)
    }
    held.push({ start: ahead, bytes: value })
    heldBytes += value.length
    ahead += value.length
    decompressed += value.length
    while (heldBytes - (held[0]?.bytes.length ?? 0) >= keptBehind)
      heldBytes -= held.shift()?.bytes.length ?? 0
  }

  const goesBackFor = (position: number) => position < (held[0]?.start ?? ahead)

  return {
    get decompressed() {
      return decompressed
    },
    goesBackFor,

    async read(target, position, { signal }) {
      for (let done = 0; done < target.length; ) {
        throwIfCancelled(signal)
        const at = position + done
        const chunk = held.findLast(({ start }) => start <= at)
        if (chunk && at < chunk.start + chunk.bytes.length) {
          const part = chunk.bytes.subarray(at - chunk.start).subarray(0, target.length - done)
          target.set(part, done)
          done += part.length
          continue
        }
        const jump = (points.before(at)?.plain ?? 0) - ahead
        if (!chunks || goesBackFor(at) || jump > shortJump) await begin(at)
        if (chunks) await step(chunks, signal)
      }
    },

    close: end,
  }
}

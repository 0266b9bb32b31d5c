import { type AbortOptions, throwIfCancelled } from '../core/abort.ts'
import { KiB, MiB } from '../core/bytes.ts'
import { abortable } from './abortable.ts'
import { BlockCache } from './block-cache.ts'
import { openRangeWindow, type RangeWindow, WindowClosed } from './range-window.ts'

/** Opens the bytes from `start` to `end` (exclusive) as a stream. */
export type OpenRange = (start: number, end: number, signal: AbortSignal) => AsyncIterable<Uint8Array>

export interface RangeReader {
  /** As in RandomAccessSource. */
  read(target: Uint8Array, position: number, options?: AbortOptions): Promise<number>
  close(): Promise<void>
}

/** Reads smaller than this come out of blocks of this size that are kept. */
const blockLength = 64 * KiB
const keptBlocks = 128
/** Runs of reads that are followed at once. */
const followedRuns = 4
const longestWindow = 256 * MiB

/** Reads that follow one another. */
interface Run {
  /** Where the next read of the run begins. */
  next: number
  /** Where what was asked of the server ends. */
  end: number
  length: number
  window: RangeWindow | null
}

/**
 * Reads at any place of something that is read in ranges, each of which costs a round trip. A read that goes on where an
 * earlier one ended takes its bytes from one long range, which doubles as long as that lasts: a copy is a few
 * requests, and scattered reads transfer at most twice of what is asked for, in blocks of 64 KiB. Memory is 8 MiB for
 * blocks.
 */
export function rangeReader(size: number, openRange: OpenRange): RangeReader {
  const blocks = new BlockCache(keptBlocks)
  let runs: Run[] = []
  let closed = false

  /** Fills `target`, which lies within the source. */
  async function fetch(target: Uint8Array, position: number, signal: AbortSignal | undefined): Promise<void> {
    const run = runs.find(({ next }) => next === position) ?? {
      next: position,
      end: position,
      length: 0,
      window: null,
    }
    runs = [run, ...runs.filter((other) => other !== run)]
    for (const old of runs.splice(followedRuns)) old.window?.release()
    const parts: Promise<void>[] = []
    const windows = new Set<RangeWindow>()
    for (let done = 0; done < target.length; ) {
      const window = windowOf(run, target.length - done)
      const part = target.subarray(done, done + run.end - run.next)
      windows.add(window)
      parts.push(window.take(part))
      done += part.length
      run.next += part.length
    }
    const stop = () => {
      for (const window of windows) window.close()
    }
    signal?.addEventListener('abort', stop, { once: true })
    // All have settled before this does: nothing writes into the target afterwards.
    const outcomes = await Promise.allSettled(parts)
    signal?.removeEventListener('abort', stop)
    throwIfCancelled(signal)
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (!failed) return
    runs = runs.filter((other) => other !== run)
    // Closed because of another read of the run, which was cancelled.
    if (failed.reason instanceof WindowClosed && !closed) return fetch(target, position, signal)
    throw failed.reason
  }

  function windowOf(run: Run, wanted: number): RangeWindow {
    if (run.window && run.next < run.end) return run.window
    run.length = Math.max(wanted, Math.min(run.length * 2, longestWindow))
    const start = run.next
    const end = Math.min(start + run.length, size)
    run.end = end
    run.window = openRangeWindow(end - start, (signal) => openRange(start, end, signal))
    return run.window
  }

  /** The block of this number, fetched once for all who ask for it at the same time. */
  function blockAt(index: number): Promise<Uint8Array> {
    const known = blocks.get(index)
    if (known) return known
    const start = index * blockLength
    const bytes = Buffer.allocUnsafeSlow(Math.min(blockLength, size - start))
    const fetched = fetch(bytes, start, undefined).then(() => bytes)
    blocks.put(index, fetched)
    return fetched
  }

  return {
    async read(target, position, { signal } = {}) {
      throwIfCancelled(signal)
      if (closed) throw new Error('The source is read after it was closed')
      const wanted = target.subarray(0, Math.max(0, size - position))
      if (wanted.length >= blockLength) {
        await fetch(wanted, position, signal)
        return wanted.length
      }
      for (let done = 0; done < wanted.length; ) {
        const index = Math.floor((position + done) / blockLength)
        const block = await abortable(blockAt(index), signal)
        const part = block.subarray(position + done - index * blockLength).subarray(0, wanted.length - done)
        wanted.set(part, done)
        done += part.length
      }
      return wanted.length
    },

    async close() {
      closed = true
      for (const { window } of runs) window?.close()
      blocks.clear()
    },
  }
}

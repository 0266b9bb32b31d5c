import type { Writable } from 'node:stream'
import { type AbortOptions, throwIfCancelled } from '../core/abort.ts'
import { abortable } from './abortable.ts'
import type { ByteSink } from './byte-sink.ts'
import { outputClosed, outputError } from './errors.ts'

/**
 * A sink over standard output or any other Writable. A write settles when the stream has taken the bytes over, so the
 * slower side sets the pace and nothing piles up. What was sent before an `abort` cannot be taken back; the stream is
 * destroyed, so that its reader sees it break off.
 *
 * Writing throws `OUTPUT_CLOSED` when the reader goes away.
 */
export function createStreamSink(writable: Writable, name: string): ByteSink {
  let failure: unknown
  /** Calls that wait for the stream. */
  const waiting = new Set<PromiseWithResolvers<void>>()

  function breakWith(error: unknown): void {
    failure ??= error
    for (const { reject } of waiting) reject(failure)
  }

  const onClose = () => breakWith(outputClosed(name))
  writable.on('error', (error) => breakWith(outputError(error, name)))
  writable.on('close', onClose)

  /** Calls `act` with a callback in Node's manner; ends early when the stream breaks or the signal fires. */
  async function settled(
    act: (callback: (error?: Error | null) => void) => void,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    throwIfCancelled(signal)
    if (failure) throw failure
    const done = Promise.withResolvers<void>()
    waiting.add(done)
    act((error) => (error ? done.reject(outputError(error, name)) : done.resolve()))
    try {
      await abortable(done.promise, signal)
    } finally {
      waiting.delete(done)
    }
  }

  return {
    name,

    // A copy: a stream that only passes chunks on, such as PassThrough, has taken them over long before their bytes are
    // used, and writers of formats use their buffers again.
    write: (chunk, { signal }: AbortOptions = {}) =>
      settled((callback) => writable.write(Buffer.from(chunk), callback), signal),

    async finish({ signal }: AbortOptions = {}) {
      await settled((callback) => writable.end(callback), signal)
      writable.off('close', onClose)
    },

    async abort() {
      if (!writable.writableFinished) writable.destroy()
    },
  }
}

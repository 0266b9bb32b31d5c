import type { AbortOptions } from '../core/abort.ts'
import { abortable } from './abortable.ts'

/** A stream whose beginning has been looked at. Ends the stream on disposal, whether all of it was taken or not. */
export interface PeekedStream extends Disposable {
  /** The first bytes, as many as were asked for or a little more; fewer when there are no more. */
  readonly head: Buffer
  /** Everything, the head included; to be iterated once. Stops waiting when the signal fires. */
  readonly chunks: AsyncIterable<Uint8Array>
}

/** Reads the first `length` bytes of a stream and holds them. */
export async function peekStream(
  stream: AsyncIterable<Uint8Array>,
  { length, signal }: AbortOptions & { length: number },
): Promise<PeekedStream> {
  const iterator = stream[Symbol.asyncIterator]()
  const first: Buffer[] = []

  function end(): void {
    // Not waited for: a stream that never gives its next piece never ends either.
    iterator.return?.().catch(() => undefined)
  }

  async function* chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    yield* first
    for (;;) {
      const { value, done } = await abortable(iterator.next(), signal)
      if (done) return
      yield value
    }
  }

  try {
    for (let held = 0; held < length; ) {
      const { value, done } = await abortable(iterator.next(), signal)
      if (done) break
      first.push(Buffer.from(value))
      held += value.length
    }
  } catch (error) {
    end()
    throw error
  }
  return { head: Buffer.concat(first), chunks: chunks(), [Symbol.dispose]: end }
}

/** A range that is read from front to end, in takes that queue up. */
export interface RangeWindow {
  /** Fills `target` with the next bytes. Settles only when nothing will be written into it any more. */
  take(target: Uint8Array): Promise<void>
  /** Ends the stream; takes that wait fail with WindowClosed. */
  close(): void
  /** Ends the stream when the takes that wait have had theirs. Nothing may be taken after it. */
  release(): void
}

/** The window was closed before the bytes had come. */
export class WindowClosed extends Error {}

/** `open` is called with the first take; its stream must give `length` bytes, and no more are taken. */
export function openRangeWindow(
  length: number,
  open: (signal: AbortSignal) => AsyncIterable<Uint8Array>,
): RangeWindow {
  const controller = new AbortController()
  let chunks: AsyncIterator<Uint8Array> | undefined
  let rest: Uint8Array = new Uint8Array()
  let left = length
  let queue: Promise<void> = Promise.resolve()

  async function fill(target: Uint8Array): Promise<void> {
    chunks ??= open(controller.signal)[Symbol.asyncIterator]()
    for (let done = 0; done < target.length; ) {
      if (controller.signal.aborted) throw new WindowClosed()
      if (rest.length === 0) {
        const { value, done: ended } = await chunks.next()
        if (ended) throw new Error('A range ended before its last byte')
        rest = value
      }
      const part = rest.subarray(0, target.length - done)
      target.set(part, done)
      rest = rest.subarray(part.length)
      done += part.length
    }
    left -= target.length
    // Told of its end, the stream gives its connection back for the next range.
    if (left === 0) chunks.next().catch(() => undefined)
  }

  return {
    take(target) {
      const taken = queue.then(() => fill(target))
      queue = taken
      return taken.catch((error: unknown) => {
        throw controller.signal.aborted ? new WindowClosed() : error
      })
    },

    release() {
      queue.then(close, close)
    },

    close,
  }

  function close(): void {
    controller.abort()
    // Where no take is under way nobody else would end the stream. One that is under way ends with the signal.
    queue
      .then(
        () => chunks?.return?.(),
        () => chunks?.return?.(),
      )
      .catch(() => undefined)
  }
}

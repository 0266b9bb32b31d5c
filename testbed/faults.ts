import { setTimeout as delay } from 'node:timers/promises'

/** `request`: what the client sends; `answer`: what it gets. Offsets and counts are bytes of the body. */
export type Direction = 'request' | 'answer'

export type FaultEffect =
  /** An answer of the proxy's own; the server never sees the request. */
  | {
      readonly kind: 'answer'
      readonly status: number
      readonly headers?: Readonly<Record<string, string>>
      readonly body?: string
    }
  /** Both connections are broken when so many bytes have passed. After 0 bytes of an answer: not even its headers. */
  | { readonly kind: 'cut'; readonly direction: Direction; readonly after: number }
  /** The byte at this offset has another value. */
  | { readonly kind: 'flip'; readonly direction: Direction; readonly at: number }
  /** Milliseconds before anything passes, and how fast it passes then. */
  | {
      readonly kind: 'slow'
      readonly direction: Direction
      readonly latency?: number
      readonly bytesPerSecond?: number
    }
  /** The answer announces so many bytes more than it has, or fewer. */
  | { readonly kind: 'wrong-length'; readonly difference: number }
  /** The server is not told that a range was asked for: it answers 200 with everything. */
  | { readonly kind: 'no-ranges' }

export interface Fault {
  /** Which requests; all by default. */
  readonly method?: string
  /** Of the path with its query. */
  readonly path?: RegExp
  /** Matching requests that pass first. Default 0. */
  readonly skip?: number
  /** How often it strikes then. Default 1. One that would strike behind the end of a body does not strike. */
  readonly times?: number
  readonly effect: FaultEffect
}

/** An effect on one request, and whom to tell when it strikes. */
export interface Strike {
  readonly effect: FaultEffect
  readonly struck: () => void
}

/** Broken off on purpose. */
export class CutHere extends Error {}

/** The bytes of a body as they come out of the faults, in the order these were given. */
export async function* disturb(
  body: AsyncIterable<Uint8Array>,
  strikes: readonly Strike[],
  direction: Direction,
): AsyncGenerator<Uint8Array> {
  let stream = body
  for (const { effect, struck } of strikes) {
    if (!('direction' in effect) || effect.direction !== direction) continue
    if (effect.kind === 'cut') stream = cutAfter(stream, effect.after, struck)
    if (effect.kind === 'flip') stream = flipAt(stream, effect.at, struck)
    if (effect.kind === 'slow') stream = slowDown(stream, effect, struck)
  }
  yield* stream
}

async function* cutAfter(
  body: AsyncIterable<Uint8Array>,
  after: number,
  struck: () => void,
): AsyncGenerator<Uint8Array> {
  let left = after
  for await (const chunk of body) {
    if (chunk.length >= left) {
      struck()
      yield chunk.subarray(0, left)
      // What has passed arrives before the end does.
      await delay(50)
      throw new CutHere()
    }
    left -= chunk.length
    yield chunk
  }
}

async function* flipAt(
  body: AsyncIterable<Uint8Array>,
  at: number,
  struck: () => void,
): AsyncGenerator<Uint8Array> {
  let offset = 0
  for await (const chunk of body) {
    const index = at - offset
    const byte = chunk[index]
    if (byte !== undefined) {
      struck()
      chunk[index] = byte ^ 0xff
    }
    offset += chunk.length
    yield chunk
  }
}

async function* slowDown(
  body: AsyncIterable<Uint8Array>,
  { latency = 0, bytesPerSecond = Number.POSITIVE_INFINITY }: { latency?: number; bytesPerSecond?: number },
  struck: () => void,
): AsyncGenerator<Uint8Array> {
  struck()
  await delay(latency)
  // A tenth of a second's worth at a time.
  const portion = Math.max(1, Math.floor(Math.min(bytesPerSecond / 10, 2 ** 30)))
  for await (const chunk of body) {
    for (let at = 0; at < chunk.length; at += portion) {
      const part = chunk.subarray(at, at + portion)
      await delay((1000 * part.length) / bytesPerSecond)
      yield part
    }
  }
}

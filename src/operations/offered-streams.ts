import { randomUUID } from 'node:crypto'

/*
 * A job is described by JSON, and a stream is not: the stream waits here under a name that the job is given. A job that is
 * resumed by another process finds nothing, and says so.
 */

const offered = new Map<string, AsyncIterable<Uint8Array>>()

/** Keeps a stream for the job that is told the name. */
export function offerStream(stream: AsyncIterable<Uint8Array>): string {
  const name = randomUUID()
  offered.set(name, stream)
  return name
}

/** The stream, once: it cannot be read again. */
export function takeStream(name: string): AsyncIterable<Uint8Array> | null {
  const stream = offered.get(name) ?? null
  offered.delete(name)
  return stream
}

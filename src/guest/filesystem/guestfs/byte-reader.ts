import type { Readable } from 'node:stream'

/**
 * Gives a stream's bytes in pieces of the lengths that are asked for. One call at a time; the stream is only read on while
 * somebody waits.
 * @throws Error when the stream ends before
 */
export function createByteReader(stream: Readable): (length: number) => Promise<Buffer> {
  const chunks = stream[Symbol.asyncIterator]()
  let parts: Buffer[] = []
  let held = 0
  return async (length) => {
    while (held < length) {
      const { done, value } = await chunks.next()
      if (done) throw new Error('The other side has closed the connection.')
      const chunk = Buffer.from(value)
      parts.push(chunk)
      held += chunk.length
    }
    const joined = parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts)
    const rest = joined.subarray(length)
    parts = rest.length > 0 ? [rest] : []
    held = rest.length
    return joined.subarray(0, length)
  }
}

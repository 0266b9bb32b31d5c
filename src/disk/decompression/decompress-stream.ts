import type { Transform } from 'node:stream'

/** Bytes of the pieces that a decompressor gives, and of what it may hold ready while the one before is looked at. */
const pieceSize = 256 * 1024

/** For the constructors of node:zlib. Their work is done in threads of libuv, beside the caller's. */
export const decompressorOptions = { chunkSize: pieceSize, readableHighWaterMark: 4 * pieceSize } as const

/** What a decompressor has made of all that it was fed so far; exact whenever the next piece is asked for. */
export interface Produced {
  bytes: number
}

/**
 * Feeds a decompressor of node:zlib piece by piece and gives what comes out. When it asks for the next piece, it has taken all
 * of the one before, so that the feeder may reuse it. Ends when the decompressor says so, whether or not there is more
 * to feed.
 */
export async function* decompressStream(
  decompressor: Transform,
  pieces: AsyncIterable<Uint8Array>,
  produced: Produced = { bytes: 0 },
): AsyncGenerator<Uint8Array, void, undefined> {
  const stopped = Promise.withResolvers<'stopped'>()
  decompressor.once('close', () => stopped.resolve('stopped'))
  let given = 0

  async function feed(): Promise<void> {
    for await (const piece of pieces) {
      const written = new Promise<'written'>((resolve, reject) => {
        decompressor.write(piece, (error) => (error ? reject(error) : resolve('written')))
      })
      if ((await Promise.race([written, stopped.promise])) === 'stopped') return
      produced.bytes = given + decompressor.readableLength
    }
    decompressor.end()
  }

  // What the feeder throws comes out at the other end; what the decompressor throws does so by itself.
  const feeding = feed().catch((error: unknown) => {
    decompressor.destroy(error instanceof Error ? error : new Error(String(error)))
  })
  try {
    for await (const piece of decompressor) {
      given += piece.length
      yield piece
    }
  } finally {
    decompressor.destroy()
    await feeding
  }
}

import type { AbortOptions } from '../core/abort.ts'
import { MiB } from '../core/bytes.ts'
import type { ByteSink } from './byte-sink.ts'

const pieceLength = MiB

export interface WriteStreamOptions extends AbortOptions {
  /** Bytes taken from the stream so far. */
  onProgress?: (done: number) => void
}

/**
 * Writes a stream of small chunks, as they come from a network, into a sink in pieces of 1 MiB, one being written while the
 * next is gathered. Gives the number of bytes. Memory is two pieces.
 */
export async function writeStream(
  chunks: AsyncIterable<Uint8Array>,
  sink: ByteSink,
  { signal, onProgress }: WriteStreamOptions = {},
): Promise<number> {
  let [gathering, writing] = [Buffer.allocUnsafeSlow(pieceLength), Buffer.allocUnsafeSlow(pieceLength)]
  let filled = 0
  let done = 0
  /** Of the piece before; rejections are told when it is waited for. */
  let written: Promise<{ error: unknown } | null> = Promise.resolve(null)

  async function settle(): Promise<void> {
    const failed = await written
    if (failed) throw failed.error
  }

  async function hand(): Promise<void> {
    await settle()
    written = sink.write(gathering.subarray(0, filled), { signal }).then(
      () => null,
      (error: unknown) => ({ error }),
    )
    ;[gathering, writing] = [writing, gathering]
    filled = 0
  }

  try {
    for await (const chunk of chunks) {
      for (let taken = 0; taken < chunk.length; ) {
        const part = chunk.subarray(taken, taken + pieceLength - filled)
        gathering.set(part, filled)
        filled += part.length
        taken += part.length
        if (filled === pieceLength) await hand()
      }
      done += chunk.length
      onProgress?.(done)
    }
    if (filled > 0) await hand()
    await settle()
    return done
  } finally {
    // Nothing may be under way when the caller goes on to finish or abort the sink.
    await written
  }
}

import type { AbortOptions } from '../../core/abort.ts'
import { MiB } from '../../core/bytes.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { TransferError } from '../../transfer/errors.ts'

const pieceLength = MiB

export interface SourcePiecesOptions extends AbortOptions {
  /** Bytes from the start of the source. */
  from?: number
  onProgress?: ((done: number) => void) | undefined
}

/**
 * The bytes of a source in order, the next piece being read while the caller has one. A piece is valid until the next is
 * asked for. Memory is 2 MiB.
 */
export async function* sourcePieces(
  source: RandomAccessSource,
  { from = 0, signal, onProgress }: SourcePiecesOptions = {},
): AsyncGenerator<Buffer, void, undefined> {
  const { size } = source
  const length = Math.min(pieceLength, Math.max(0, size - from))
  let [current, next] = [Buffer.allocUnsafeSlow(length), Buffer.allocUnsafeSlow(length)]
  const read = async (buffer: Buffer, position: number): Promise<{ piece: Buffer } | { error: unknown }> => {
    try {
      const wanted = Math.min(pieceLength, Math.max(0, size - position))
      const filled = wanted === 0 ? 0 : await source.read(buffer.subarray(0, wanted), position, { signal })
      if (filled < wanted) throw endsEarly(source.name, position + filled)
      return { piece: buffer.subarray(0, wanted) }
    } catch (error) {
      return { error }
    }
  }
  let position = from
  let reading = read(current, position)
  try {
    for (;;) {
      const outcome = await reading
      if ('error' in outcome) throw outcome.error
      const { piece } = outcome
      if (piece.length === 0) return
      position += piece.length
      reading = read(next, position)
      yield piece
      onProgress?.(position)
      ;[current, next] = [next, current]
    }
  } finally {
    // It writes into a buffer, and the source may be closed next.
    await reading
  }
}

function endsEarly(name: string, position: number): TransferError {
  return new TransferError('SOURCE_CHANGED', `${name} ends at ${position} now.`)
}

import { type AbortOptions, throwIfCancelled } from '../core/abort.ts'
import { KiB, MiB } from '../core/bytes.ts'
import { freeBuffer } from '../core/free-buffer.ts'
import type { ByteRange } from '../transfer/byte-source.ts'
import { type ByteRanges, eachRange } from './byte-ranges.ts'
import { dataRuns } from './data-runs.ts'
import type { Disk } from './disk.ts'

export interface ReadAheadOptions extends AbortOptions {
  /** Bytes of the largest piece; a multiple of `alignment`. Few and large is what ext4 likes best. Default 2 MiB. */
  bufferSize?: number
  /** Reads under way while the caller holds a piece. Memory is `(inFlight + 1) * bufferSize`. Default 2. */
  inFlight?: number
  /** As in `dataRuns`; every piece starts and ends on it, the disk's end apart. Default 64 KiB. */
  alignment?: number
  /** What to read, when the caller has it already; by default `dataRuns(disk)`. */
  runs?: ByteRanges
}

export interface DiskPiece {
  readonly offset: number
  /** Valid until the next piece is asked for. */
  readonly data: Uint8Array
}

interface Slot {
  readonly buffer: Buffer
  piece: DiskPiece
  /** Settles with the read's error, so that a failure waits for its turn. */
  reading: Promise<{ error: unknown } | null>
}

/**
 * Reads the data runs of a disk in order, a few pieces ahead of the caller; zero runs are passed over. The caller's
 * pace is the limit. Leaving the loop early waits for the reads under way, since they fill shared buffers.
 */
export async function* readAhead(
  disk: Disk,
  options: ReadAheadOptions = {},
): AsyncGenerator<DiskPiece, void, undefined> {
  const { bufferSize = 2 * MiB, inFlight = 2, alignment = 64 * KiB, signal } = options
  const pieces = cut(
    options.runs ? eachRange(options.runs) : dataRuns(disk, { alignment, signal }),
    bufferSize,
  )
  const idle: Buffer[] = []
  const queue: Slot[] = []
  let exhausted = false

  async function fill(): Promise<void> {
    while (!exhausted && queue.length < inFlight) {
      const next = await pieces.next()
      if (next.done) {
        exhausted = true
        return
      }
      queue.push(startReading(disk, idle.pop() ?? Buffer.allocUnsafeSlow(bufferSize), next.value, signal))
    }
  }

  try {
    for (;;) {
      throwIfCancelled(signal)
      await fill()
      const slot = queue.shift()
      if (!slot) return
      const failed = await slot.reading
      if (failed) throw failed.error
      // One more read starts before the caller gets this piece, so that reading goes on while it works.
      await fill()
      yield slot.piece
      idle.push(slot.buffer)
    }
  } finally {
    await Promise.all(queue.map((slot) => slot.reading))
    for (const buffer of [...idle, ...queue.map((slot) => slot.buffer)]) freeBuffer(buffer)
    await pieces.return()
  }
}

function startReading(disk: Disk, buffer: Buffer, range: ByteRange, signal: AbortSignal | undefined): Slot {
  const data = buffer.subarray(0, range.length)
  const reading = disk.read(data, range.offset, { signal }).then(
    () => null,
    (error: unknown) => ({ error }),
  )
  return { buffer, piece: { offset: range.offset, data }, reading }
}

/** Cuts runs at multiples of `size`, counted from the disk's start. */
async function* cut(
  runs: AsyncIterable<ByteRange> | Iterable<ByteRange>,
  size: number,
): AsyncGenerator<ByteRange, void, undefined> {
  for await (const { offset, length } of runs) {
    const end = offset + length
    for (let from = offset; from < end; ) {
      const to = Math.min(end, from - (from % size) + size)
      yield { offset: from, length: to - from }
      from = to
    }
  }
}

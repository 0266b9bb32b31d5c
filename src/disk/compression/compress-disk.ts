import { type AbortOptions, throwIfCancelled } from '../../core/abort.ts'
import { freeBuffer } from '../../core/free-buffer.ts'
import { abortable } from '../../transfer/abortable.ts'
import type { ByteRanges } from '../byte-ranges.ts'
import type { Disk } from '../disk.ts'
import { readAhead } from '../read-ahead.ts'
import type { BlockCompressor, CompressedBatch } from './block-compressor.ts'

export interface CompressDiskOptions extends AbortOptions {
  compressor: BlockCompressor
  /** The data of the disk, widened to blocks. */
  runs: ByteRanges
}

export interface CompressedBlock {
  /** Counted from the start of the disk. */
  readonly index: number
  readonly bytes: Uint8Array
  /** Whether it was kept as it is, since it did not become smaller. */
  readonly isPlain: boolean
}

/** Blocks that were compressed together. They need not be neighbours on the disk. */
export interface CompressedPiece {
  /** Ascending, without those of zeros. Valid until the next piece is asked for. */
  readonly blocks: readonly CompressedBlock[]
  /** Bytes of the disk that went in, zeros included. */
  readonly guestBytes: number
}

/** A batch at work. */
interface Work {
  readonly indexes: readonly number[]
  readonly guestBytes: number
  readonly compressed: Promise<CompressedBatch>
}

/**
 * Compresses the data of a disk block by block in parallel and gives it in order, so that the same disk always gives
 * the same pieces. The last block of a disk is filled up with zeros. Leaving the loop early waits for the threads.
 * Memory is 2 buffers for each batch in flight, and 3 of `readAhead`.
 */
export async function* compressDisk(
  disk: Disk,
  options: CompressDiskOptions,
): AsyncGenerator<CompressedPiece, void, undefined> {
  const { compressor, signal } = options
  const idle: Uint8Array<ArrayBuffer>[] = []
  const queue: Work[] = []

  async function* takeOldest(): AsyncGenerator<CompressedPiece, void, undefined> {
    const work = queue.shift()
    if (!work) return
    const batch = await abortable(work.compressed, signal)
    yield { blocks: blocksOf(work.indexes, batch, compressor), guestBytes: work.guestBytes }
    idle.push(new Uint8Array(batch.input.buffer), batch.output)
  }

  try {
    for await (const { indexes, guestBytes, input } of batches(disk, { ...options, idle })) {
      throwIfCancelled(signal)
      const output = idle.pop() ?? new Uint8Array(compressor.bufferSize)
      const compressed = compressor.compress({ input, output })
      // A failure is reported in its turn; until then it must not count as unhandled.
      compressed.catch(() => undefined)
      queue.push({ indexes, guestBytes, compressed })
      if (queue.length >= compressor.inFlight) yield* takeOldest()
    }
    while (queue.length > 0) yield* takeOldest()
  } finally {
    await Promise.allSettled(queue.map((work) => work.compressed))
    for (const buffer of idle) freeBuffer(buffer)
  }
}

function blocksOf(
  indexes: readonly number[],
  { input, output, sizes }: CompressedBatch,
  { compression: { blockSize, keepIncompressible } }: BlockCompressor,
): CompressedBlock[] {
  const blocks: CompressedBlock[] = []
  let used = 0
  for (const [place, index] of indexes.entries()) {
    const size = sizes[place] ?? 0
    if (size === 0) continue
    const isPlain = keepIncompressible && size === blockSize
    const from = isPlain ? place * blockSize : used
    blocks.push({ index, isPlain, bytes: (isPlain ? input : output).subarray(from, from + size) })
    if (!isPlain) used += size
  }
  return blocks
}

interface InputBatch {
  indexes: number[]
  guestBytes: number
  input: Uint8Array<ArrayBuffer>
}

/** Gathers the data runs of the disk, however short, into full batches. */
async function* batches(
  disk: Disk,
  { compressor, runs, signal, idle }: CompressDiskOptions & { idle: Uint8Array<ArrayBuffer>[] },
): AsyncGenerator<InputBatch, void, undefined> {
  const { batchSize, bufferSize } = compressor
  const { blockSize } = compressor.compression
  let buffer: Uint8Array<ArrayBuffer> | undefined
  let batch: Omit<InputBatch, 'input'> = { indexes: [], guestBytes: 0 }

  for await (const { offset, data } of readAhead(disk, {
    bufferSize: batchSize,
    alignment: blockSize,
    runs,
    signal,
  })) {
    for (let from = 0; from < data.length; ) {
      buffer ??= idle.pop() ?? new Uint8Array(bufferSize)
      const filled = batch.indexes.length * blockSize
      const part = data.subarray(from, from + batchSize - filled)
      const blocks = Math.ceil(part.length / blockSize)
      buffer.set(part, filled)
      buffer.fill(0, filled + part.length, filled + blocks * blockSize)
      for (let place = 0; place < blocks; place += 1) batch.indexes.push((offset + from) / blockSize + place)
      batch.guestBytes += part.length
      from += part.length
      if (filled + blocks * blockSize < batchSize) continue
      yield { ...batch, input: buffer.subarray(0, batchSize) }
      buffer = undefined
      batch = { indexes: [], guestBytes: 0 }
    }
  }
  if (buffer) yield { ...batch, input: buffer.subarray(0, batch.indexes.length * blockSize) }
}

import { crc32 } from 'node:zlib'
import { throwIfCancelled } from '../../core/abort.ts'
import { KiB } from '../../core/bytes.ts'
import { abortable } from '../../transfer/abortable.ts'
import type { ByteSink } from '../../transfer/byte-sink.ts'
import { type CompressedBatch, openBlockCompressor } from './block-compressor.ts'
import { crc32OfZeros, joinCrc32 } from './crc32-join.ts'
import type { StreamFormat } from './stream-format.ts'

/** What is on its way into the stream, in order. */
type Part =
  | { readonly kind: 'block'; readonly compressed: Promise<CompressedBatch> }
  | { readonly kind: 'zeros'; blocks: number }

/** Small pieces are written together. */
const outputSize = 256 * KiB

/**
 * A sink that compresses on all cores what is written into it, and writes that into another one, in order: the same
 * content always gives the same stream. Long runs of zeros cost next to no time. `finish` ends the stream and its
 * threads, and leaves the other sink to whoever made that; so does `abort`. Memory is 2 MiB for each of the blocks
 * in flight, and the threads' own.
 */
export function compressingSink(sink: ByteSink, format: StreamFormat): ByteSink {
  const { blockSize } = format.compression
  const compressor = openBlockCompressor(format.compression)
  const idle: Uint8Array<ArrayBuffer>[] = []
  const queue: Part[] = []
  const output = Buffer.allocUnsafeSlow(outputSize)
  output.set(format.head)
  let outputFilled = format.head.length
  let input: Uint8Array<ArrayBuffer> | null = null
  let filled = 0
  let length = 0
  let checksum = 0
  let zeroBlock: { bytes: Buffer; checksum: number } | null = null

  const buffer = () => idle.pop() ?? new Uint8Array(compressor.bufferSize)

  async function put(bytes: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    if (outputFilled + bytes.length > outputSize) {
      await sink.write(output.subarray(0, outputFilled), { signal })
      outputFilled = 0
    }
    if (bytes.length > outputSize) return sink.write(bytes, { signal })
    output.set(bytes, outputFilled)
    outputFilled += bytes.length
  }

  /** Puts a part of the stream, from so many bytes of this CRC-32. */
  async function putPart(
    bytes: Uint8Array,
    plain: { length: number; checksum: number },
    signal: AbortSignal | undefined,
  ): Promise<void> {
    checksum = joinCrc32(checksum, plain.checksum, plain.length)
    length += plain.length
    await put(bytes, signal)
  }

  async function putZeros(blocks: number, signal: AbortSignal | undefined): Promise<void> {
    zeroBlock ??= { bytes: format.compress(Buffer.alloc(blockSize)), checksum: crc32OfZeros(blockSize) }
    const { bytes, checksum: zeroChecksum } = zeroBlock
    for (let left = blocks; left > 0; left -= 1) {
      throwIfCancelled(signal)
      await putPart(bytes, { length: blockSize, checksum: zeroChecksum }, signal)
    }
  }

  async function putOldest(signal: AbortSignal | undefined): Promise<void> {
    const [part] = queue
    if (part?.kind === 'zeros') await putZeros(part.blocks, signal)
    if (part?.kind === 'block') {
      const { input: taken, output: compressed, sizes, checksums } = await abortable(part.compressed, signal)
      const [size = 0] = sizes
      if (size === 0) await putZeros(1, signal)
      else {
        const plain = { length: blockSize, checksum: checksums?.[0] ?? 0 }
        await putPart(compressed.subarray(0, size), plain, signal)
      }
      idle.push(new Uint8Array(taken.buffer), compressed)
    }
    queue.shift()
  }

  async function hand(block: Uint8Array<ArrayBuffer>, signal: AbortSignal | undefined): Promise<void> {
    const compressed = compressor.compress({ input: block.subarray(0, blockSize), output: buffer() })
    // A failure is told in its turn; until then it must not count as unhandled.
    compressed.catch(() => undefined)
    queue.push({ kind: 'block', compressed })
    input = null
    filled = 0
    while (queue.length >= compressor.inFlight) await putOldest(signal)
  }

  /** Has `fill` fill the block at hand, and the next, until `count` bytes are in. */
  async function gather(
    count: number,
    fill: (room: Uint8Array) => void,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    for (let rest = count; rest > 0; ) {
      throwIfCancelled(signal)
      input ??= buffer()
      const room = input.subarray(filled, Math.min(blockSize, filled + rest))
      fill(room)
      filled += room.length
      rest -= room.length
      if (filled === blockSize) await hand(input, signal)
    }
  }

  return {
    name: sink.name,

    async write(chunk, { signal } = {}) {
      let taken = 0
      await gather(
        chunk.length,
        (room) => {
          room.set(chunk.subarray(taken, taken + room.length))
          taken += room.length
        },
        signal,
      )
    },

    async writeZeros(zeros, { signal } = {}) {
      const zero = (room: Uint8Array) => room.fill(0)
      const first = Math.min(zeros, (blockSize - filled) % blockSize)
      await gather(first, zero, signal)
      const blocks = Math.floor((zeros - first) / blockSize)
      if (blocks > 0) queue.push({ kind: 'zeros', blocks })
      await gather(zeros - first - blocks * blockSize, zero, signal)
    },

    async finish({ signal } = {}) {
      while (queue.length > 0) await putOldest(signal)
      if (input && filled > 0) {
        const rest = input.subarray(0, filled)
        await putPart(format.compress(rest), { length: filled, checksum: crc32(rest) }, signal)
      }
      await put(format.tail(length, checksum), signal)
      await sink.write(output.subarray(0, outputFilled), { signal })
      await compressor.close()
    },

    async abort() {
      await compressor.close()
    },
  }
}

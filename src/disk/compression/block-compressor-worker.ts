import { parentPort, workerData } from 'node:worker_threads'
import { type BlockCompression, compressBlocks } from './compress-blocks.ts'

/** One batch on its way to a worker and back; its buffers are handed over, not copied. */
export interface CompressorRequest {
  readonly id: number
  readonly input: Uint8Array<ArrayBuffer>
  readonly output: Uint8Array<ArrayBuffer>
}

export interface CompressorAnswer extends CompressorRequest {
  readonly sizes: Uint32Array<ArrayBufferLike>
  /** CRC-32 of each block, when they become a stream. */
  readonly checksums: Uint32Array<ArrayBufferLike> | null
}

const compression: BlockCompression = workerData

parentPort?.on('message', ({ id, input, output }: CompressorRequest) => {
  const checksums = compression.asStream ? new Uint32Array(input.length / compression.blockSize) : null
  const sizes = compressBlocks(input, output, compression, checksums ?? undefined)
  const answer: CompressorAnswer = { id, input, output, sizes, checksums }
  parentPort?.postMessage(answer, [input.buffer, output.buffer])
})

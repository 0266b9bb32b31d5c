import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { MiB } from '../../core/bytes.ts'
import { siblingModule } from '../../transfer/sibling-module.ts'
import type { CompressorAnswer, CompressorRequest } from './block-compressor-worker.ts'
import { type BlockCompression, compressBound } from './compress-blocks.ts'

/** Blocks to be compressed: `input` is theirs one behind the other, `output` a whole buffer of `bufferSize`. */
export interface BlockBatch {
  readonly input: Uint8Array<ArrayBuffer>
  readonly output: Uint8Array<ArrayBuffer>
}

export interface CompressedBatch extends BlockBatch {
  /** As `compressBlocks` gives them; the data lie in `output`, those of blocks kept as they are in `input`. */
  readonly sizes: Uint32Array<ArrayBufferLike>
  /** CRC-32 of each block, when they become a stream. */
  readonly checksums: Uint32Array<ArrayBufferLike> | null
}

export interface BlockCompressor {
  readonly compression: BlockCompression
  /** Bytes of a full batch: several blocks, since a message to a thread costs as much as a small one. */
  readonly batchSize: number
  /** Bytes of a buffer that holds a full batch, and also what becomes of it. */
  readonly bufferSize: number
  /** Batches that keep all threads busy; more only take memory. */
  readonly inFlight: number
  /** Batches come back in any order. Their buffers belong to the compressor until then. */
  compress(batch: BlockBatch): Promise<CompressedBatch>
  close(): Promise<void>
}

/** More threads than a disk or a network could feed only cost memory. */
const maximumThreads = 8

/**
 * A thread keeps next to nothing of its own, and V8 collects what a block leaves behind, a few small objects, when they near
 * the limit: measured, 10 MiB a thread less than with twice as much, at the same speed.
 */
const resourceLimits = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 16 }

/** A thread per core, at most 8, compressing blocks. Memory is about 15 MiB a thread and 2 batches. */
export function openBlockCompressor(compression: BlockCompression): BlockCompressor {
  const { blockSize } = compression
  const batchSize = Math.max(MiB, blockSize)
  const waiting = new Map<number, PromiseWithResolvers<CompressedBatch>>()
  const threads = Math.min(availableParallelism(), maximumThreads)
  const workers = Array.from({ length: threads }, startWorker)
  let nextId = 0
  let failure: Error | null = null

  function startWorker(): Worker {
    const worker = new Worker(siblingModule('block-compressor-worker', import.meta.url), {
      workerData: compression,
      execArgv: [],
      resourceLimits,
    })
    worker.on('message', (answer: CompressorAnswer) => {
      waiting.get(answer.id)?.resolve(answer)
      waiting.delete(answer.id)
    })
    worker.on('error', (error: Error) => fail(error))
    worker.on('exit', (code) => fail(new Error(`A compressing thread stopped with code ${code}`)))
    return worker
  }

  function fail(error: Error): void {
    failure ??= error
    for (const { reject } of waiting.values()) reject(failure)
    waiting.clear()
  }

  return {
    compression,
    batchSize,
    bufferSize: (batchSize / blockSize) * compressBound(blockSize),
    inFlight: threads + 2,
    async compress({ input, output }) {
      if (failure) throw failure
      const id = nextId
      nextId += 1
      const answer = Promise.withResolvers<CompressedBatch>()
      waiting.set(id, answer)
      const request: CompressorRequest = { id, input, output }
      // Batches are alike, so turns are as good as asking who is idle.
      workers[id % threads]?.postMessage(request, [input.buffer, output.buffer])
      return answer.promise
    },
    async close() {
      await Promise.all(workers.map((worker) => worker.terminate()))
    },
  }
}

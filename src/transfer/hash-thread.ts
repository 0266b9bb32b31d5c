import { Worker } from 'node:worker_threads'
import { TransferError } from './errors.ts'
import type { HashReply, HashRequest, HashWorkerData } from './hash-messages.ts'
import { siblingModule } from './sibling-module.ts'

export interface HashThread {
  /** Settles when the thread has done it; requests are done in order. Rejects with `HASHING_FAILED`. */
  request(request: HashRequest): Promise<HashReply>
  close(): Promise<void>
}

/** Starts a thread that computes one digest. It keeps the process alive only while a request is under way. */
export function startHashThread(data: HashWorkerData): HashThread {
  const worker = new Worker(siblingModule('hash-worker', import.meta.url), {
    workerData: data,
    execArgv: [],
    // It has next to nothing of its own; what V8 would set aside for it is 2 MiB more.
    resourceLimits: { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 16 },
  })
  const waiting: PromiseWithResolvers<HashReply>[] = []
  let failure: TransferError | undefined

  function fail(cause: unknown): void {
    failure ??= new TransferError('HASHING_FAILED', `The ${data.algorithm} thread failed.`, { cause })
    for (const { reject } of waiting.splice(0)) reject(failure)
  }

  worker.unref()
  worker.on('error', fail)
  worker.on('exit', () => fail(new Error('The thread has ended.')))
  worker.on('message', (reply: HashReply) => {
    waiting.shift()?.resolve(reply)
    if (waiting.length === 0) worker.unref()
  })

  return {
    async request(request) {
      if (failure) throw failure
      const reply = Promise.withResolvers<HashReply>()
      waiting.push(reply)
      worker.ref()
      worker.postMessage(request)
      return reply.promise
    },

    async close() {
      await worker.terminate()
    },
  }
}

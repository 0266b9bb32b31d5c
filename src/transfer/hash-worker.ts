import { createHash } from 'node:crypto'
import { parentPort, workerData } from 'node:worker_threads'
import type { HashReply, HashRequest, HashWorkerData } from './hash-messages.ts'
import { zeroBlock } from './zeros.ts'

/** The thread of one algorithm; `hash-thread.ts` is its other end. */
const port = parentPort
if (!port) throw new Error('This module runs as a worker thread.')

const { algorithm, slots }: HashWorkerData = workerData
const views = slots.map((slot) => new Uint8Array(slot))
const hash = createHash(algorithm)

port.on('message', ({ zeros, slot, last }: HashRequest) => {
  for (let left = zeros; left > 0; left -= zeroBlock.length) {
    hash.update(left < zeroBlock.length ? zeroBlock.subarray(0, left) : zeroBlock)
  }
  const view = slot && views[slot.index]
  if (view) hash.update(view.subarray(0, slot.length))
  const reply: HashReply = { digest: last ? hash.digest('hex') : null }
  port.postMessage(reply)
})

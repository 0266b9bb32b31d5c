import { Worker } from 'node:worker_threads'
import { siblingModule } from '../../transfer/sibling-module.ts'
import { damaged } from './damaged.ts'
import type { XzReply, XzRequest } from './xz-worker.ts'

/** A thread that decompresses one xz file after the other. */
export interface XzThread {
  /**
   * Begins to decompress at once, up to `ahead` bytes before they are asked for.
   * @throws DiskError `IMAGE_STREAM_DAMAGED`
   */
  decompress(pieces: AsyncGenerator<Uint8Array, void, undefined>, ahead: number): XzRun
  close(): Promise<void>
}

export interface XzRun {
  /** The next bytes; null at the end. */
  next(): Promise<Uint8Array | null>
  /** Waits for what is still being read. */
  close(): Promise<void>
}

/** It has next to nothing of its own: the dictionary is memory of WebAssembly, chunks go away with their message. */
const resourceLimits = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 16 }

export function startXzThread(): XzThread {
  const worker = new Worker(siblingModule('xz-worker', import.meta.url), { execArgv: [], resourceLimits })
  let listen: (reply: XzReply) => void = () => undefined
  let fail: (error: unknown) => void = () => undefined
  worker.on('message', (reply: XzReply) => listen(reply))
  worker.on('error', (error) => fail(error))
  worker.on('exit', () => fail(new Error('The xz thread has ended.')))
  const say = (request: XzRequest, transfer: ArrayBuffer[] = []) => worker.postMessage(request, transfer)

  return {
    decompress(pieces, ahead) {
      const ready: Uint8Array[] = []
      let end: { error: unknown } | 'ended' | null = null
      let news = Promise.withResolvers<void>()
      const finish = (how: { error: unknown } | 'ended'): void => {
        end ??= how
        news.resolve()
      }
      fail = (error) => finish({ error })
      listen = (reply) => {
        if (reply.kind === 'want') void feed()
        else if (reply.kind === 'end') finish('ended')
        else if (reply.kind === 'failed') finish({ error: damaged('xz', describe(reply)) })
        else {
          ready.push(reply.bytes)
          news.resolve()
        }
      }

      async function feed(): Promise<void> {
        try {
          const { value, done } = await pieces.next()
          // A copy, since the piece is only lent, and this one goes to the thread.
          const bytes = done ? null : new Uint8Array(value)
          say({ kind: 'piece', bytes }, bytes ? [bytes.buffer] : [])
        } catch (error) {
          finish({ error })
        }
      }

      say({ kind: 'begin', ahead })
      return {
        async next() {
          for (;;) {
            const chunk = ready.shift()
            if (chunk) {
              say({ kind: 'taken', length: chunk.length })
              return chunk
            }
            if (end === 'ended') return null
            if (end) throw end.error
            news = Promise.withResolvers()
            await news.promise
          }
        },

        async close() {
          await pieces.return()
        },
      }
    },

    async close() {
      await worker.terminate()
    },
  }
}

/** Return codes of XZ Embedded (xz.h). */
function describe({ code, message }: { code: number | null; message: string }): string {
  if (code === 7) return 'is damaged, or a checksum in it is wrong'
  if (code === 8) return 'has a block that ends too early'
  return code === null ? `is damaged: ${message}` : `cannot be decompressed (code ${code})`
}

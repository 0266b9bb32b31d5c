import { ReadableStream } from 'node:stream/web'
import { parentPort } from 'node:worker_threads'
import xz from 'xz-decompress'

/** What the thread is told. One file after the other. */
export type XzRequest =
  /** A file begins; that many bytes may be ahead of what was taken. */
  | { readonly kind: 'begin'; readonly ahead: number }
  /** The bytes that were wanted; null at the end. */
  | { readonly kind: 'piece'; readonly bytes: Uint8Array<ArrayBuffer> | null }
  | { readonly kind: 'taken'; readonly length: number }

/** What it says. */
export type XzReply =
  | { readonly kind: 'want' }
  | { readonly kind: 'chunk'; readonly bytes: Uint8Array }
  | { readonly kind: 'end' }
  /** `code` of XZ Embedded, where it has one. */
  | { readonly kind: 'failed'; readonly code: number | null; readonly message: string }

let wanted = Promise.withResolvers<Uint8Array | null>()
let room = Promise.withResolvers<void>()
let ahead = 0
let outstanding = 0

function say(reply: XzReply, transfer: ArrayBuffer[] = []): void {
  parentPort?.postMessage(reply, transfer)
}

parentPort?.on('message', (request: XzRequest) => {
  if (request.kind === 'piece') wanted.resolve(request.bytes)
  else if (request.kind === 'taken') outstanding -= request.length
  else ahead = request.ahead
  room.resolve()
  if (request.kind === 'begin') void decompress()
})

async function decompress(): Promise<void> {
  const input = new ReadableStream<Uint8Array>({
    async pull(controller) {
      wanted = Promise.withResolvers()
      say({ kind: 'want' })
      const bytes = await wanted.promise
      if (bytes) controller.enqueue(bytes)
      else controller.close()
    },
  })
  try {
    for await (const bytes of new xz.XzReadableStream(input)) {
      while (outstanding > 0 && outstanding + bytes.length > ahead) {
        room = Promise.withResolvers()
        await room.promise
      }
      outstanding += bytes.length
      const { buffer } = bytes
      if (bytes.length > 0) say({ kind: 'chunk', bytes }, buffer instanceof ArrayBuffer ? [buffer] : [])
    }
    say({ kind: 'end' })
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error)
    const code = /error code (\d+)$/.exec(message)?.[1]
    say({ kind: 'failed', code: code === undefined ? null : Number(code), message })
  }
}

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { request } from 'undici'
import type { HttpAnswer } from '../../src/transfer/http-source.ts'
import { listen } from '../../testbed/listen.ts'

/** What became of one request: where it began, and how many bytes were sent before something happened. */
export interface Served {
  readonly range: string | null
}

/** Answers a request in its own way; gives false to leave it to the server. */
export type Misbehaviour = (
  turn: { number: number; start: number; end: number; range: string | null },
  response: ServerResponse,
) => boolean

/** A server of one thing, which may misbehave. `get` asks it as an `HttpSource` does. */
export interface RangeServer extends AsyncDisposable {
  readonly url: string
  readonly served: Served[]
  get(
    headers: Readonly<Record<string, string>>,
    options?: { signal?: AbortSignal | undefined },
  ): Promise<HttpAnswer>
}

export async function rangeServer(
  content: Buffer,
  { ranges = true, misbehave = () => false }: { ranges?: boolean; misbehave?: Misbehaviour } = {},
): Promise<RangeServer> {
  const served: Served[] = []
  const server = createServer((incoming: IncomingMessage, response: ServerResponse) => {
    const range = incoming.headers.range ?? null
    const asked = ranges && range ? /^bytes=(\d+)-(\d+)$/.exec(range) : null
    const start = asked ? Number(asked[1]) : 0
    const end = asked ? Math.min(Number(asked[2]) + 1, content.length) : content.length
    served.push({ range })
    if (misbehave({ number: served.length, start, end, range }, response)) return
    if (asked && start >= content.length) {
      response.writeHead(416).end()
      return
    }
    const headers = {
      'content-length': String(end - start),
      ...(asked ? { 'content-range': `bytes ${start}-${end - 1}/${content.length}` } : {}),
    }
    response.writeHead(asked ? 206 : 200, headers).end(content.subarray(start, end))
  })
  const url = `http://127.0.0.1:${await listen(server)}/thing`
  return {
    url,
    served,
    async get(headers, { signal } = {}) {
      const answer = await request(url, { headers: { ...headers }, signal: signal ?? null })
      return {
        status: answer.statusCode,
        headers: Object.fromEntries(
          Object.entries(answer.headers).map(([name, value]) => [name, value?.toString()]),
        ),
        async *stream({ signal: streamSignal } = {}) {
          const stop = () => answer.body.destroy()
          streamSignal?.addEventListener('abort', stop, { once: true })
          yield* answer.body
        },
        discard: async () => void (await answer.body.dump().catch(() => undefined)),
      }
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Sends the headers of a whole answer, `length` bytes of it, and cuts the connection. */
export function cutAfter(
  response: ServerResponse,
  { content, start, end, length }: { content: Buffer; start: number; end: number; length: number },
): true {
  const partial = start > 0 || end < content.length
  response.writeHead(partial ? 206 : 200, {
    'content-length': String(end - start),
    ...(partial ? { 'content-range': `bytes ${start}-${end - 1}/${content.length}` } : {}),
  })
  response.write(content.subarray(start, start + length), () => setTimeout(() => response.destroy(), 10))
  return true
}

import {
  Agent,
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  request,
  type ServerResponse,
} from 'node:http'
import type { Socket } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { CutHere, disturb, type Fault, type Strike } from './faults.ts'
import { listen } from './listen.ts'

/** One request that passed, or was meant to. Bytes of the bodies, as the client sent and got them. */
export interface Exchange {
  readonly method: string
  /** With its query. */
  readonly path: string
  /** Null when the client got no answer. */
  readonly status: number | null
  readonly sent: number
  readonly received: number
}

/** Stands between a client and a server that speaks HTTP, does what it is told, and keeps count. */
export interface FaultProxy extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`; paths are the server's own. */
  readonly url: string
  /** From now on. Gives how often it has struck so far. */
  inject(fault: Fault): () => number
  /** No more faults. */
  heal(): void
  /** What has ended, oldest first. */
  readonly exchanges: readonly Exchange[]
  /** Bytes of the connections, headers and all, since the last `reset`. */
  wire(): { fromClient: number; toClient: number }
  /** Forgets exchanges and counts. */
  reset(): void
}

interface Script {
  readonly fault: Fault
  seen: number
  hits: number
}

/** Starts a proxy on a free loopback port, in front of a server at `upstream` (`http://HOST:PORT`). */
export async function startFaultProxy(upstream: string): Promise<FaultProxy> {
  const target = new URL(upstream)
  const agent = new Agent({ keepAlive: true })
  const sockets = new Set<Socket>()
  let scripts: Script[] = []
  const exchanges: Exchange[] = []
  let ended = { fromClient: 0, toClient: 0 }
  let base = { fromClient: 0, toClient: 0 }

  const strikesAt = ({ method, url = '' }: IncomingMessage): Strike[] =>
    scripts.flatMap((script) => {
      const { fault } = script
      if (fault.method && fault.method !== method) return []
      if (fault.path && !fault.path.test(url)) return []
      script.seen += 1
      if (script.seen <= (fault.skip ?? 0) || script.hits >= (fault.times ?? 1)) return []
      const struck = () => {
        script.hits += 1
      }
      return [{ effect: fault.effect, struck }]
    })

  const server = createServer((incoming, response) => {
    const record: Passage['record'] = { sent: 0, received: 0, status: null }
    // A request that was read to its end, or given up, no longer tells.
    const { socket } = incoming
    response.once('close', () => {
      exchanges.push({ method: incoming.method ?? '', path: incoming.url ?? '', ...record })
    })
    pass({ incoming, response, target, agent, record, strikes: strikesAt(incoming) }).catch(() => {
      // Whatever broke, on purpose or not: the client sees a broken connection.
      socket.destroy()
    })
  })
  // A long upload may wait for its slow server.
  server.requestTimeout = 0
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => {
      sockets.delete(socket)
      ended = sum(ended, socket)
    })
  })
  const total = () => [...sockets].reduce(sum, ended)
  const url = `http://127.0.0.1:${await listen(server)}`

  return {
    url,
    exchanges,
    inject(fault) {
      const script = { fault, seen: 0, hits: 0 }
      scripts.push(script)
      return () => script.hits
    },
    heal() {
      scripts = []
    },
    wire() {
      const { fromClient, toClient } = total()
      return { fromClient: fromClient - base.fromClient, toClient: toClient - base.toClient }
    },
    reset() {
      exchanges.length = 0
      base = total()
    },
    async [Symbol.asyncDispose]() {
      agent.destroy()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function sum(counts: { fromClient: number; toClient: number }, socket: Socket) {
  return {
    fromClient: counts.fromClient + socket.bytesRead,
    toClient: counts.toClient + socket.bytesWritten,
  }
}

interface Passage {
  incoming: IncomingMessage
  response: ServerResponse
  target: URL
  agent: Agent
  record: { sent: number; received: number; status: number | null }
  strikes: readonly Strike[]
}

async function pass({ incoming, response, target, agent, record, strikes }: Passage): Promise<void> {
  for (const { effect, struck } of strikes) {
    if (effect.kind !== 'answer') continue
    struck()
    record.status = effect.status
    // What the client is sending is taken first, so that it is free to read.
    for await (const chunk of incoming) record.sent += chunk.length
    response.writeHead(effect.status, { 'content-type': 'text/plain', ...effect.headers })
    response.end(effect.body ?? '')
    return
  }
  const { method, url: path } = incoming
  const headers = headersFor(incoming, strikes)
  const outgoing = request({ agent, host: target.hostname, port: target.port, method, path, headers })
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.once('response', resolve).once('error', reject)
  })
  // The race below tells of it; after that nobody waits for it any more.
  answered.catch(() => undefined)
  // A client that has gone takes its request with it.
  response.once('close', () => outgoing.destroy())
  const body = disturb(counted(incoming, record, 'sent'), strikes, 'request')
  const failed = pipeline(Readable.from(body), outgoing).then(
    () => new Promise<never>(() => undefined),
    // A server may answer, and stop reading, before it has got everything.
    (error: unknown) => (error instanceof CutHere ? Promise.reject(error) : answered),
  )
  const answer = await Promise.race([answered, failed])
  await giveAnswer(answer, { response, record, strikes })
}

function headersFor(incoming: IncomingMessage, strikes: readonly Strike[]): IncomingHttpHeaders {
  const headers = { ...incoming.headers }
  const noRanges = strikes.find(({ effect }) => effect.kind === 'no-ranges')
  if (noRanges && headers.range) {
    noRanges.struck()
    delete headers.range
  }
  return headers
}

async function giveAnswer(
  answer: IncomingMessage,
  { response, record, strikes }: Pick<Passage, 'response' | 'record' | 'strikes'>,
): Promise<void> {
  const headers = { ...answer.headers }
  let wrongLength = false
  for (const { effect, struck } of strikes) {
    if (effect.kind === 'cut' && effect.direction === 'answer' && effect.after === 0) {
      struck()
      answer.destroy()
      throw new CutHere()
    }
    if (effect.kind === 'wrong-length') {
      struck()
      headers['content-length'] = String(Number(headers['content-length'] ?? 0) + effect.difference)
      headers.connection = 'close'
      wrongLength = true
    }
  }
  record.status = answer.statusCode ?? 0
  response.writeHead(record.status, headers)
  await pipeline(Readable.from(counted(disturb(answer, strikes, 'answer'), record, 'received')), response)
  // Bytes that were announced and do not exist cannot be waited for on an open connection.
  if (wrongLength) response.socket?.destroySoon()
}

async function* counted(
  body: AsyncIterable<Uint8Array>,
  record: Passage['record'],
  what: 'sent' | 'received',
): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    record[what] += chunk.length
    yield chunk
  }
}

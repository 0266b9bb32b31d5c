import { createHash } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type GlanceImages, glanceImages } from '../../../src/clouds/openstack/glance-images.ts'
import type { OpenStackSession } from '../../../src/clouds/openstack/session.ts'
import { listen } from '../../../testbed/listen.ts'
import { openWire } from './open-wire.ts'

/** An image as the server keeps it. */
export interface ServedImage {
  record: Record<string, unknown>
  data: Buffer | null
}

/** One request for or with data. `number` counts them from 1. */
export interface DataRequest {
  readonly number: number
  readonly method: 'GET' | 'PUT'
  readonly image: ServedImage
  readonly incoming: IncomingMessage
  readonly response: ServerResponse
}

/** Answers in its own way; gives false to leave it to the server. */
export type Fault = (request: DataRequest) => boolean | Promise<boolean>

/**
 * As much of Keystone and Glance as the faults on the wire need, from their API references: tokens, records, data with
 * ranges. What Glance itself does is tested against Glance itself.
 */
export interface GlanceServer extends AsyncDisposable {
  readonly images: Map<string, ServedImage>
  readonly session: OpenStackSession
  readonly service: GlanceImages
  /** Where Keystone is, and Glance. */
  readonly origin: string
  /** Requests as `METHOD path?query`, tokens left out. */
  readonly log: string[]
  /** Answers a request for a list; nothing by default. */
  list: (query: URLSearchParams) => { images: unknown[]; next?: string }
  fault: Fault
  /** No token given so far is worth anything any more. */
  expireTokens(): void
  /** Puts an active image there. */
  add(data: Buffer, changes?: Record<string, unknown>): string
}

const id = (number: number) => `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`

export async function startGlanceServer(): Promise<GlanceServer> {
  const images = new Map<string, ServedImage>()
  const log: string[] = []
  let tokens = 0
  let oldest = 1
  let transfers = 0

  const server = createServer((incoming, response) => {
    serve(incoming, response).catch(() => response.destroy())
  })
  const port = await listen(server)
  const origin = `http://127.0.0.1:${port}`

  const session = openWire(port, { attempts: 3, firstDelay: 1, longestDelay: 50 })

  async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET' } = incoming
    const url = new URL(incoming.url ?? '/', origin)
    const path = decodeURIComponent(url.pathname)
    if (path === '/v3/auth/tokens') return giveToken(incoming, response)
    if (path === '/v3' || path === '/v3/')
      return answer(response, 200, { version: { id: 'v3.14', status: 'stable' } })
    // Whoever asks for its versions does without the answer.
    if (path.startsWith('/v2/')) log.push(`${method} ${path.replace(/^\/v2\//, '')}${url.search}`)
    const token = Number(incoming.headers['x-auth-token'])
    if (!(token >= oldest && token <= tokens)) {
      incoming.resume()
      return answer(response, 401, {})
    }
    const [, , , imageId, action] = path.split('/')
    if (path === '/v2/images' && method === 'POST') return create(incoming, response)
    if (path === '/v2/images') return answer(response, 200, glance.list(url.searchParams))
    const image = images.get(imageId ?? '')
    if (!image) {
      incoming.resume()
      return answer(response, 404, {})
    }
    if (action === 'file' && (method === 'GET' || method === 'PUT')) {
      transfers += 1
      const request: DataRequest = { number: transfers, method, image, incoming, response }
      if (await glance.fault(request)) return
      return method === 'GET' ? send(request) : receive(request)
    }
    if (method === 'GET') return answer(response, 200, image.record)
    if (method === 'DELETE') {
      images.delete(imageId ?? '')
      response.writeHead(204).end()
    }
  }

  async function giveToken(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    await bodyOf(incoming)
    tokens += 1
    response.setHeader('x-subject-token', String(tokens))
    const endpoints = [{ interface: 'public', region: 'one', region_id: 'one', url: origin }]
    answer(response, 201, {
      token: {
        user: { id: 'u', name: 'alice' },
        project: { id: 'p', name: 'alpha', domain: { id: 'default', name: 'Default' } },
        roles: [{ id: 'r', name: 'member' }],
        methods: ['password'],
        issued_at: new Date().toISOString(),
        expires_at: new Date(Date.now() + 3_600_000).toISOString(),
        catalog: [{ type: 'image', name: 'glance', id: 'g', endpoints }],
      },
    })
  }

  async function create(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const wanted: Record<string, unknown> = JSON.parse((await bodyOf(incoming)).toString())
    const key = String(wanted.id)
    if (images.has(key)) return answer(response, 409, {})
    const record = newRecord(key, wanted)
    images.set(key, { record, data: null })
    answer(response, 201, record)
  }

  const glance: GlanceServer = {
    origin,
    images,
    session,
    list: () => ({ images: [] }),
    service: glanceImages(session),
    log,
    fault: () => false,
    expireTokens() {
      oldest = tokens + 1
    },
    add(data, changes = {}) {
      const key = id(images.size + 1)
      const image: ServedImage = { record: newRecord(key, {}), data: null }
      store(image, data)
      Object.assign(image.record, changes)
      images.set(key, image)
      return key
    },
    async [Symbol.asyncDispose]() {
      await session.close()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
  return glance
}

/** What Glance does with a body that came to its end. */
export function store(image: ServedImage, data: Buffer): void {
  image.data = data
  Object.assign(image.record, {
    status: 'active',
    size: data.length,
    checksum: createHash('md5').update(data).digest('hex'),
    os_hash_algo: 'sha512',
    os_hash_value: createHash('sha512').update(data).digest('hex'),
  })
}

export async function bodyOf(incoming: IncomingMessage): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(incoming))
}

export function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', 'x-openstack-request-id': 'req-1' })
  response.end(JSON.stringify(body))
}

/** The range that was asked for, and the headers of its answer. */
export function rangeOf({ image, incoming }: DataRequest) {
  const data = image.data ?? Buffer.alloc(0)
  const match = /^bytes=(\d+)-(\d+)$/.exec(incoming.headers.range ?? '')
  const start = match ? Number(match[1]) : 0
  const end = match ? Math.min(Number(match[2]) + 1, data.length) : data.length
  const headers = {
    'content-type': 'application/octet-stream',
    'content-length': String(end - start),
    'content-md5': String(image.record.checksum),
    ...(match ? { 'content-range': `bytes ${start}-${end - 1}/${data.length}` } : {}),
  }
  return { data, start, end, status: match ? 206 : 200, headers }
}

/** Sends the head of an answer and `length` bytes, and cuts the connection. */
export function cutAnswer(request: DataRequest, length: number): true {
  const { data, start, status, headers } = rangeOf(request)
  request.response.writeHead(status, headers)
  request.response.write(data.subarray(start, start + length), () => {
    setTimeout(() => request.response.destroy(), 5)
  })
  return true
}

function send(request: DataRequest): void {
  const { data, start, end, status, headers } = rangeOf(request)
  request.response.writeHead(status, headers).end(data.subarray(start, end))
}

async function receive({ image, incoming, response }: DataRequest): Promise<void> {
  image.record.status = 'saving'
  try {
    store(image, await bodyOf(incoming))
  } catch {
    image.record.status = 'queued'
    return
  }
  response.writeHead(204).end()
}

/** The record of an image without data. */
export function newRecord(key: string, wanted: Record<string, unknown>): Record<string, unknown> {
  const now = new Date().toISOString()
  return {
    name: 'an image',
    disk_format: 'raw',
    container_format: 'bare',
    visibility: 'private',
    ...wanted,
    id: key,
    status: 'queued',
    owner: 'p',
    created_at: now,
    updated_at: now,
    min_disk: 0,
    min_ram: 0,
    protected: false,
    os_hidden: false,
    tags: [],
    size: null,
    checksum: null,
    os_hash_algo: null,
    os_hash_value: null,
  }
}

import { createServer } from 'node:http'
import { request } from 'undici'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type FaultProxy, startFaultProxy } from '../../testbed/fault-proxy.ts'
import { listen } from '../../testbed/listen.ts'

const content = Buffer.from(Array.from({ length: 100_000 }, (_, index) => index % 251))
let uploads: (Buffer | null)[]
let stop: () => Promise<void>
let proxy: FaultProxy

beforeEach(async () => {
  uploads = []
  const server = createServer(async (incoming, response) => {
    if (incoming.method === 'PUT') {
      try {
        uploads.push(Buffer.concat(await Array.fromAsync(incoming)))
        response.writeHead(204).end()
      } catch {
        uploads.push(null)
      }
      return
    }
    const range = /^bytes=(\d+)-(\d+)$/.exec(incoming.headers.range ?? '')
    const part = range ? content.subarray(Number(range[1]), Number(range[2]) + 1) : content
    response.writeHead(range ? 206 : 200, { 'content-length': part.length }).end(part)
  })
  proxy = await startFaultProxy(`http://127.0.0.1:${await listen(server)}`)
  stop = async () => {
    await proxy[Symbol.asyncDispose]()
    server.closeAllConnections()
    server.close()
  }
})
afterEach(() => stop())

async function get(path = '/image', headers: Record<string, string> = {}) {
  const { statusCode, headers: answered, body } = await request(`${proxy.url}${path}`, { headers })
  return { status: statusCode, headers: answered, bytes: Buffer.from(await body.arrayBuffer()) }
}

function put(body: Buffer) {
  return request(`${proxy.url}/image`, { method: 'PUT', body })
}

test('lets everything pass unchanged, and counts it', async () => {
  expect((await get('/image?x=1')).bytes.equals(content)).toBe(true)
  expect((await get('/image', { range: 'bytes=10-19' })).bytes.equals(content.subarray(10, 20))).toBe(true)
  expect((await put(content)).statusCode).toBe(204)
  expect(uploads[0]?.equals(content)).toBe(true)
  await expect
    .poll(() => proxy.exchanges)
    .toEqual([
      { method: 'GET', path: '/image?x=1', status: 200, sent: 0, received: content.length },
      { method: 'GET', path: '/image', status: 206, sent: 0, received: 10 },
      { method: 'PUT', path: '/image', status: 204, sent: content.length, received: 0 },
    ])
  expect(proxy.wire().toClient).toBeGreaterThan(content.length)
  expect(proxy.wire().toClient).toBeLessThan(content.length + 2000)
  expect(proxy.wire().fromClient).toBeGreaterThan(content.length)
  proxy.reset()
  expect([proxy.exchanges, proxy.wire()]).toEqual([[], { fromClient: 0, toClient: 0 }])
})

test('answers in place of the server, as often as it is told, where it is told', async () => {
  const answer = { kind: 'answer', status: 503, headers: { 'retry-after': '7' }, body: 'busy' } as const
  const hits = proxy.inject({ method: 'GET', path: /^\/image/, skip: 1, times: 2, effect: answer })
  expect((await get('/other')).status).toBe(200)
  expect((await get()).status).toBe(200)
  const { status, headers, bytes } = await get()
  expect([status, headers['retry-after'], bytes.toString()]).toEqual([503, '7', 'busy'])
  expect((await get()).status).toBe(503)
  expect((await get()).status).toBe(200)
  expect(hits()).toBe(2)
})

test('answers an upload that the server never sees', async () => {
  proxy.inject({ method: 'PUT', effect: { kind: 'answer', status: 500 } })
  expect((await put(content)).statusCode).toBe(500)
  expect(uploads).toEqual([])
})

test('breaks off an answer after so many bytes', async () => {
  proxy.inject({ effect: { kind: 'cut', direction: 'answer', after: 1234 } })
  await expect(get()).rejects.toThrow()
  await expect
    .poll(() => proxy.exchanges, { timeout: 30_000 })
    .toMatchObject([{ status: 200, received: 1234 }])
  expect((await get()).status).toBe(200)
})

test('waits for a body that is long enough to be broken off', async () => {
  const hits = proxy.inject({ effect: { kind: 'cut', direction: 'answer', after: 1234 } })
  expect((await get('/image', { range: 'bytes=0-999' })).bytes).toHaveLength(1000)
  expect(hits()).toBe(0)
  await expect(get()).rejects.toThrow()
  expect(hits()).toBe(1)
})

test('swallows a whole answer, though the server has done what it was asked', async () => {
  proxy.inject({ effect: { kind: 'cut', direction: 'answer', after: 0 } })
  await expect(put(content)).rejects.toThrow()
  expect(uploads[0]?.equals(content)).toBe(true)
  await expect.poll(() => proxy.exchanges, { timeout: 30_000 }).toMatchObject([{ status: null }])
})

test('breaks off an upload after so many bytes, on both sides', async () => {
  proxy.inject({ effect: { kind: 'cut', direction: 'request', after: 1234 } })
  await expect(put(content)).rejects.toThrow()
  await expect.poll(() => uploads, { timeout: 30_000 }).toEqual([null])
})

test.each(['request', 'answer'] as const)('changes one byte of the %s', async (direction) => {
  proxy.inject({ effect: { kind: 'flip', direction, at: 70_000 } })
  let got: Buffer | null | undefined
  if (direction === 'answer') {
    got = (await get()).bytes
  } else {
    await put(Buffer.from(content))
    got = uploads[0]
  }
  expect([...(got ?? [])].flatMap((byte, index) => (byte === content[index] ? [] : [index]))).toEqual([
    70_000,
  ])
})

test('is slow, at the start and on the way', async () => {
  const started = performance.now()
  const slow = { kind: 'slow', direction: 'answer', latency: 100, bytesPerSecond: 500_000 } as const
  proxy.inject({ effect: slow })
  expect((await get()).bytes.equals(content)).toBe(true)
  expect(performance.now() - started).toBeGreaterThan(290)
})

test.each([-10, 10])('announces %i bytes more than it sends', async (difference) => {
  proxy.inject({ effect: { kind: 'wrong-length', difference } })
  if (difference > 0) await expect(get()).rejects.toThrow()
  else expect((await get()).bytes).toHaveLength(content.length + difference)
})

test('hides from the server that a range was asked for', async () => {
  proxy.inject({ effect: { kind: 'no-ranges' } })
  const { status, bytes } = await get('/image', { range: 'bytes=10-19' })
  expect([status, bytes.length]).toEqual([200, content.length])
})

test('does nothing any more once healed', async () => {
  proxy.inject({ times: 100, effect: { kind: 'answer', status: 500 } })
  proxy.heal()
  expect((await get()).status).toBe(200)
})

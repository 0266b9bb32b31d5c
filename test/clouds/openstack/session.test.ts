import { createServer } from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { z } from 'zod'
import { listen } from '../../../testbed/listen.ts'
import { type FakeCloud, password, sendJson, startFakeCloud } from './fake-cloud.ts'

const anything = z.unknown()

/** Answers the requests for images with these, one after the other; the last one again and again. */
function answerImages(
  cloud: FakeCloud,
  ...answers: ((response: Parameters<FakeCloud['answer']>[1]) => void)[]
): void {
  cloud.answer = ({ path }, response) => {
    if (!path.startsWith('/image')) return false
    const answer = answers.length > 1 ? answers.shift() : answers[0]
    answer?.(response)
    return true
  }
}

const fine = (response: Parameters<FakeCloud['answer']>[1]) => sendJson(response, 200, { fine: true })
const status = (code: number, headers: Record<string, string> = {}) => {
  return (response: Parameters<FakeCloud['answer']>[1]) => response.writeHead(code, headers).end()
}
const images = (cloud: FakeCloud) => cloud.seen.filter(({ path }) => path.startsWith('/image'))

it('sends the token, the query and JSON, and gives status, headers and the id of the request', async () => {
  await using cloud = await startFakeCloud()
  answerImages(cloud, (response) => {
    response.setHeader('x-two', ['a', 'b'])
    sendJson(response, 201, { id: 'i1' })
  })
  const answer = await cloud.session().request('image', {
    method: 'POST',
    path: 'images/a%2Fb',
    query: { name: 'in:"a b"', limit: 2, marker: undefined },
    json: { x: 1 },
    headers: { 'content-type': 'application/special+json' },
  })
  expect(answer).toMatchObject({ status: 201, requestId: 'req-2', headers: { 'x-two': 'a, b' } })
  expect(await answer.json(z.object({ id: z.string() }))).toEqual({ id: 'i1' })
  expect(images(cloud)).toMatchObject([
    {
      method: 'POST',
      path: '/image/v2/images/a%2Fb?name=in%3A%22a+b%22&limit=2',
      headers: { 'x-auth-token': 'token-1', 'content-type': 'application/special+json' },
      body: '{"x":1}',
    },
  ])
})

it('signs in again, once, when a token is refused in the middle', async () => {
  await using cloud = await startFakeCloud()
  const session = cloud.session()
  await (await session.request('image', { path: 'images' })).discard()
  cloud.revoke()
  const answers = await Promise.all(
    ['a', 'b', 'c'].map((path) => session.request('image', { method: 'POST', path, json: {} })),
  )
  expect(answers.map((answer) => answer.status)).toEqual([200, 200, 200])
  expect(cloud.signIns()).toHaveLength(2)
})

it('gives up when a new token is refused as well', async () => {
  await using cloud = await startFakeCloud()
  answerImages(cloud, (response) => sendJson(response, 401, { error: { message: 'No.' } }))
  await expect(cloud.session().request('image', { path: 'images' })).rejects.toMatchObject({
    code: 'CLOUD_SIGN_IN_FAILED',
    details: { status: 401 },
  })
  expect(cloud.signIns()).toHaveLength(2)
})

it('renews a token before it ends', async () => {
  await using cloud = await startFakeCloud()
  cloud.lifetime = 400
  const session = cloud.session()
  await session.account()
  await session.account()
  expect(cloud.signIns()).toHaveLength(1)
  await wait(250)
  await session.account()
  expect(cloud.signIns()).toHaveLength(2)
})

it.each([-86_400_000, 86_400_000])(
  'does not mind that the clock of the cloud is %i ms off',
  async (ahead) => {
    await using cloud = await startFakeCloud()
    Object.assign(cloud, { ahead, lifetime: 300 })
    const session = cloud.session()
    await session.account()
    await session.account()
    expect(cloud.signIns()).toHaveLength(1)
    await wait(200)
    await session.account()
    expect(cloud.signIns()).toHaveLength(2)
  },
)

it('does not send a stream a second time, and has a new token for the next request', async () => {
  await using cloud = await startFakeCloud()
  const session = cloud.session()
  await session.account()
  cloud.revoke()
  const upload = session.request('image', { method: 'PUT', path: 'images/1/file', body: chunks('abc') })
  await expect(upload).rejects.toMatchObject({ code: 'CLOUD_SIGN_IN_FAILED' })
  expect(images(cloud)).toHaveLength(1)
  expect(await session.request('image', { path: 'images' })).toMatchObject({ status: 200 })
})

it.each([500, 502, 503, 504])('asks again after %i', async (code) => {
  await using cloud = await startFakeCloud()
  answerImages(cloud, status(code), status(code), fine)
  const answer = await cloud.session().request('image', { path: 'images' })
  expect(await answer.json(anything)).toEqual({ fine: true })
})

it('gives up after a few tries, with the id of the last request', async () => {
  await using cloud = await startFakeCloud()
  answerImages(cloud, (response) => sendJson(response, 503, { message: 'No host to be found.' }))
  await expect(cloud.session().request('image', { path: 'images/1' })).rejects.toMatchObject({
    code: 'CLOUD_FAILED',
    message: 'Cloud "campus" failed at image GET images/1: No host to be found. (503, request req-5)',
    details: { status: 503, requestId: 'req-5', service: 'image' },
  })
  expect(images(cloud)).toHaveLength(4)
})

it('does not repeat what might have been done: POST, PATCH and streams', async () => {
  await using cloud = await startFakeCloud()
  answerImages(cloud, status(503))
  const session = cloud.session()
  for (const request of [
    { method: 'POST', json: {} },
    { method: 'PATCH', json: [] },
    { method: 'PUT', body: chunks('x') },
  ] as const) {
    await expect(session.request('image', { path: 'images', ...request })).rejects.toMatchObject({
      code: 'CLOUD_FAILED',
    })
  }
  expect(images(cloud)).toHaveLength(3)
  answerImages(cloud, status(503), fine)
  const post = { method: 'POST', path: 'images', json: {}, repeatable: true } as const
  expect(await session.request('image', post)).toMatchObject({ status: 200 })
})

it('waits as long as it is told after 429, also with a POST', async () => {
  await using cloud = await startFakeCloud()
  answerImages(cloud, status(429, { 'retry-after': '1' }), fine)
  const started = Date.now()
  await (await cloud.session().request('image', { method: 'POST', path: 'images', json: {} })).discard()
  expect(Date.now() - started).toBeGreaterThanOrEqual(990)
  expect(images(cloud)).toHaveLength(2)
})

it('does not wait for hours, and understands dates', async () => {
  await using cloud = await startFakeCloud()
  const session = cloud.session()
  answerImages(cloud, status(429, { 'retry-after': '7200' }))
  await expect(session.request('image', { path: 'images' })).rejects.toMatchObject({
    code: 'CLOUD_FAILED',
    hint: expect.stringContaining('how often'),
  })
  expect(images(cloud)).toHaveLength(1)
  answerImages(cloud, status(503, { 'retry-after': 'Wed, 21 Oct 2015 07:28:00 GMT' }), fine)
  expect(await session.request('image', { path: 'images' })).toMatchObject({ status: 200 })
})

it('repeats what is safe after a broken connection, and asks anew for an answer that breaks off', async () => {
  await using cloud = await startFakeCloud()
  const breakOff = (response: Parameters<FakeCloud['answer']>[1]) => {
    response.writeHead(200, { 'content-length': '100' }).write('{"half": ')
    setTimeout(() => response.destroy(), 5)
  }
  answerImages(cloud, (response) => response.destroy(), breakOff, fine)
  const session = cloud.session()
  expect(await (await session.request('image', { path: 'images' })).json(anything)).toEqual({ fine: true })
  expect(images(cloud)).toHaveLength(3)
  answerImages(cloud, (response) => response.destroy())
  const post = session.request('image', { method: 'POST', path: 'images', json: {} })
  await expect(post).rejects.toMatchObject({ code: 'CLOUD_UNREACHABLE' })
  expect(images(cloud)).toHaveLength(4)
})

it('says that a stream broke, and gives what came before', async () => {
  await using cloud = await startFakeCloud()
  answerImages(cloud, (response) => {
    response.writeHead(200, { 'content-length': '100' }).write('half')
    setTimeout(() => response.destroy(), 20)
  })
  const answer = await cloud.session().request('image', { path: 'images/1/file' })
  let got = ''
  const read = async () => {
    for await (const chunk of answer.stream()) got += Buffer.from(chunk).toString()
  }
  await expect(read()).rejects.toMatchObject({ code: 'CLOUD_UNREACHABLE' })
  expect(got).toBe('half')
})

it.each<[number, string, unknown, string]>([
  [400, 'CLOUD_REFUSED', { badRequest: { message: 'Bad name.' } }, 'Bad name.'],
  [403, 'CLOUD_FORBIDDEN', { forbidden: { message: 'Not yours.' } }, 'Not yours.'],
  [403, 'CLOUD_QUOTA', { forbidden: { message: 'Quota exceeded for instances' } }, 'Quota exceeded'],
  [404, 'CLOUD_NOT_FOUND', { itemNotFound: { message: 'No such.' } }, 'No such.'],
  [409, 'CLOUD_CONFLICT', { NeutronError: { type: 'X', message: 'In use.' } }, 'In use.'],
  [409, 'CLOUD_QUOTA', { NeutronError: { message: "Quota exceeded for resources: ['port']." } }, 'Quota'],
  [410, 'CLOUD_NOT_FOUND', '', 'without a reason'],
  [413, 'CLOUD_QUOTA', { overLimit: { message: 'Too big.' } }, 'Too big.'],
  [
    415,
    'CLOUD_REFUSED',
    '<html><head><title>415</title></head><body><h1>415 Unsupported</h1>Use &quot;raw&quot;.<br /><br />\n</body></html>',
    'Use "raw". (415',
  ],
  [501, 'CLOUD_REFUSED', '', 'without a reason'],
  [302, 'CLOUD_REFUSED', '', 'without a reason'],
])('tells what a refusal means: %i is %s', async (code, expected, body, words) => {
  await using cloud = await startFakeCloud()
  answerImages(cloud, (response) => {
    response.writeHead(code, { location: 'https://elsewhere.example/secret' })
    response.end(typeof body === 'string' ? body : JSON.stringify(body))
  })
  const error: unknown = await cloud
    .session()
    .request('image', { path: 'images/1' })
    .catch((reason: unknown) => reason)
  expect(error).toMatchObject({ code: expected, message: expect.stringContaining(words) })
})

it('follows nobody elsewhere with the token', async () => {
  await using other = await startFakeCloud()
  await using cloud = await startFakeCloud()
  answerImages(cloud, status(302, { location: `${other.origin}/image/v2/images` }))
  await expect(cloud.session().request('image', { path: 'images' })).rejects.toMatchObject({
    code: 'CLOUD_REFUSED',
    hint: expect.stringContaining(other.origin),
  })
  expect(other.seen).toEqual([])
})

it('leaves answers to the caller that asked for them', async () => {
  await using cloud = await startFakeCloud()
  answerImages(cloud, status(404))
  const answer = await cloud.session().request('image', { path: 'images/1', accept: [404] })
  expect(answer.status).toBe(404)
  await answer.discard()
})

it('refuses answers that make no sense, or no end', async () => {
  await using cloud = await startFakeCloud()
  const session = cloud.session()
  answerImages(cloud, (response) => response.end('<html>'))
  const page = await session.request('image', { path: 'images' })
  await expect(page.json(anything)).rejects.toMatchObject({ code: 'CLOUD_ANSWER_INVALID' })
  answerImages(cloud, (response) => sendJson(response, 200, { images: [{ id: 7 }] }))
  const strange = await session.request('image', { path: 'images' })
  await expect(
    strange.json(z.object({ images: z.array(z.object({ id: z.string() })) })),
  ).rejects.toMatchObject({
    code: 'CLOUD_ANSWER_INVALID',
    message: expect.stringContaining('at "images.0.id"'),
  })
  let sent = 0
  answerImages(cloud, (response) => {
    const more = () => {
      while (!response.destroyed && response.write(Buffer.alloc(1024 * 1024, '1'))) sent += 1
    }
    response.on('drain', more)
    more()
  })
  const endless = await session.request('image', { path: 'images' })
  await expect(endless.json(anything)).rejects.toMatchObject({ code: 'CLOUD_ANSWER_INVALID' })
  expect(sent).toBeLessThan(64)
})

it('sends a stream as fast as it is taken, and what the stream throws as it is', async () => {
  await using cloud = await startFakeCloud()
  const session = cloud.session()
  const request = { method: 'PUT', path: 'images/1/file' } as const
  await (await session.request('image', { ...request, body: chunks('one', 'two') })).discard()
  expect(images(cloud).at(-1)?.body).toBe('onetwo')
  const failure = new Error('the disk is gone')
  async function* failing(): AsyncGenerator<Uint8Array> {
    yield Buffer.from('some')
    throw failure
  }
  await expect(session.request('image', { ...request, body: failing() })).rejects.toBe(failure)
})

it('stops sending when the server has refused already', async () => {
  const server = createServer((incoming, response) => {
    if (incoming.url?.startsWith('/image')) return sendJson(response, 413, { message: 'Too big.' })
    sendJson(response, 404, {})
  })
  const endpoint = `http://127.0.0.1:${await listen(server)}/image/v2`
  await using cloud = await startFakeCloud()
  const session = cloud.session(cloud.settings({}, { services: { image: { endpoint } } }))
  const stopped = Promise.withResolvers<void>()
  async function* endless(): AsyncGenerator<Uint8Array> {
    try {
      for (;;) yield Buffer.alloc(65_536)
    } finally {
      stopped.resolve()
    }
  }
  const upload = session.request('image', { method: 'PUT', path: 'images/1/file', body: endless() })
  await expect(upload).rejects.toMatchObject({ code: 'CLOUD_QUOTA' })
  await stopped.promise
  server.closeAllConnections()
  server.close()
})

it('closes the connection of a stream that is not read to its end', async () => {
  await using cloud = await startFakeCloud()
  const closed = Promise.withResolvers<void>()
  answerImages(cloud, (response) => {
    response.on('close', () => closed.resolve())
    response.writeHead(200)
    const more = () => {
      while (!response.destroyed && response.write(Buffer.alloc(65_536))) {
        // Until the reader has enough.
      }
    }
    response.on('drain', more)
    more()
  })
  const answer = await cloud.session().request('image', { path: 'images/1/file' })
  for await (const _ of answer.stream()) break
  await closed.promise
})

it.each(['before the answer', 'in the middle of it', 'while it waits to try again'])(
  'stops when it is cancelled: %s',
  async (moment) => {
    await using cloud = await startFakeCloud()
    const controller = new AbortController()
    const { signal } = controller
    let cancelled = 0
    answerImages(cloud, (response) => {
      if (moment.startsWith('in')) response.writeHead(200).write('some')
      if (moment.startsWith('while')) response.writeHead(503, { 'retry-after': '3' }).end()
      setTimeout(() => {
        cancelled = Date.now()
        controller.abort()
      }, 20)
    })
    const work = async () => {
      const answer = await cloud.session().request('image', { path: 'images/1/file', signal })
      for await (const _ of answer.stream()) {
        // Nothing more will come.
      }
    }
    await expect(work()).rejects.toMatchObject({ code: 'CANCELLED' })
    expect(Date.now() - cancelled).toBeLessThan(2_500)
    expect(images(cloud)).toHaveLength(1)
  },
)

it('keeps secrets out of errors, even when the server repeats them', async () => {
  await using cloud = await startFakeCloud()
  cloud.answer = ({ path, body, headers }, response) => {
    if (path === '/v3/auth/tokens') return false
    sendJson(response, 400, {
      error: { message: `You sent ${headers['x-auth-token']} after ${password}${body}` },
    })
    return true
  }
  const error = await refusedBy(cloud)
  cloud.answer = ({ body }, response) => {
    sendJson(response, 401, { error: { message: `Bad: ${body}` } })
    return true
  }
  const atSignIn = await refusedBy(cloud)
  for (const shown of [inspected(error), inspected(atSignIn)]) {
    expect(shown).toContain('[secret]')
    expect(shown).not.toContain(password)
    expect(shown).not.toContain('token-1')
  }
})

async function refusedBy(cloud: FakeCloud): Promise<unknown> {
  return cloud
    .session()
    .request('image', { path: 'images' })
    .catch((error: unknown) => error)
}

function inspected(error: unknown): string {
  return `${JSON.stringify(error)} ${error instanceof Error ? `${error.message} ${error.stack}` : ''}`
}

async function* chunks(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text)
}

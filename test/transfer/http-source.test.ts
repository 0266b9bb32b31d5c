import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { isRandomAccess, type RandomAccessSource } from '../../src/transfer/byte-source.ts'
import { contentRange } from '../../src/transfer/content-range.ts'
import { type HttpSourceOptions, openHttpSource } from '../../src/transfer/http-source.ts'
import { cutAfter, type RangeServer, rangeServer } from '../support/range-server.ts'

const KiB = 1024
const content = randomBytes(3_000_001)

function open(server: RangeServer, options: Partial<HttpSourceOptions> = {}) {
  return openHttpSource({ name: 'the thing', size: content.length, get: server.get, pause: 1, ...options })
}

async function openRandom(
  server: RangeServer,
  options?: Partial<HttpSourceOptions>,
): Promise<RandomAccessSource> {
  const source = await open(server, options)
  if (!isRandomAccess(source)) throw new Error('It reads no ranges')
  return source
}

async function bytesOf(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(chunks))
}

describe('a source behind an HTTP server', () => {
  it('streams all, and any part', async () => {
    await using server = await rangeServer(content)
    const source = await openRandom(server)
    expect((await bytesOf(source.stream())).equals(content)).toBe(true)
    const part = await bytesOf(source.stream({ start: 1_000_000, end: 1_500_001 }))
    expect(part.equals(content.subarray(1_000_000, 1_500_001))).toBe(true)
    expect((await bytesOf(source.stream({ start: 2_999_000, end: 9_999_999 }))).length).toBe(1001)
    expect(await bytesOf(source.stream({ start: 5, end: 5 }))).toHaveLength(0)
    await source.close()
  })

  it('reads at any place, and less at the end', async () => {
    await using server = await rangeServer(content)
    const source = await openRandom(server)
    for (const [position, length] of [
      [0, 512],
      [2_999_990, 100],
      [64 * KiB - 10, 20],
      [1_234_567, 400_000],
      [0, 3_000_001],
      [3_000_001, 10],
    ] as const) {
      const target = Buffer.alloc(length)
      const filled = await source.read(target, position)
      expect(filled).toBe(Math.max(0, Math.min(length, content.length - position)))
      expect(target.subarray(0, filled).equals(content.subarray(position, position + filled))).toBe(true)
    }
    await source.close()
  })

  it('reads at many places at once without mixing them up', async () => {
    await using server = await rangeServer(content)
    const source = await openRandom(server)
    const positions = Array.from({ length: 60 }, (_, i) => (i * 49_999) % 2_900_000)
    await Promise.all(
      positions.map(async (position, i) => {
        const target = Buffer.alloc(i % 2 ? 1000 : 100_000)
        await source.read(target, position)
        expect(target.equals(content.subarray(position, position + target.length))).toBe(true)
      }),
    )
    await source.close()
  })

  it('takes reads that follow one another from few requests, and scattered ones from small ranges', async () => {
    await using server = await rangeServer(content)
    const source = await openRandom(server)
    const target = Buffer.alloc(100_000)
    for (let position = 0; position < content.length; position += target.length)
      await source.read(target, position)
    // One to see that there are ranges, then windows that double.
    expect(server.served.length).toBeLessThanOrEqual(8)
    const before = server.served.length
    const small = Buffer.alloc(512)
    await source.read(small, 2_000_000)
    await source.read(small, 2_001_000)
    await source.read(small, 500_000)
    expect(server.served.slice(before).map(({ range }) => range)).toEqual([
      `bytes=${30 * 64 * KiB}-${31 * 64 * KiB - 1}`,
      `bytes=${7 * 64 * KiB}-${8 * 64 * KiB - 1}`,
    ])
    await source.close()
  })

  it('is a stream only where the server ignores ranges', async () => {
    await using server = await rangeServer(content, { ranges: false })
    const source = await open(server)
    expect(isRandomAccess(source)).toBe(false)
    expect((await bytesOf(source.stream())).equals(content)).toBe(true)
    const part = await bytesOf(source.stream({ start: 1_000_000, end: 1_500_001 }))
    expect(part.equals(content.subarray(1_000_000, 1_500_001))).toBe(true)
  })

  it.each([400, 416, 501])('is a stream only where the server answers %i to a range', async (status) => {
    await using server = await rangeServer(content, {
      misbehave: ({ range }, response) => {
        if (range) response.writeHead(status).end()
        return range !== null
      },
    })
    const source = await open(server)
    expect(isRandomAccess(source)).toBe(false)
    expect((await bytesOf(source.stream())).equals(content)).toBe(true)
  })

  it('goes on where the connection broke, after a look whether the thing is the same', async () => {
    let looks = 0
    await using server = await rangeServer(content, {
      misbehave: ({ number, start, end }, response) =>
        number > 1 && number < 5 && cutAfter(response, { content, start, end, length: 700_000 }),
    })
    const source = await open(server, {
      revalidate: async () => {
        looks += 1
      },
    })
    expect((await bytesOf(source.stream())).equals(content)).toBe(true)
    expect(looks).toBe(3)
    expect(server.served.slice(1).map(({ range }) => Number(/\d+/.exec(range ?? 'bytes=0')?.[0]))).toEqual([
      0, 700_000, 1_400_000, 2_100_000,
    ])
  })

  it('goes on in the middle of a read too', async () => {
    await using server = await rangeServer(content, {
      misbehave: ({ number, start, end }, response) =>
        number === 2 && cutAfter(response, { content, start, end, length: 100_000 }),
    })
    const source = await openRandom(server)
    const target = Buffer.alloc(500_000)
    expect(await source.read(target, 1_000_000)).toBe(500_000)
    expect(target.equals(content.subarray(1_000_000, 1_500_000))).toBe(true)
    await source.close()
  })

  it('reads over what came before where there are no ranges', async () => {
    await using server = await rangeServer(content, {
      ranges: false,
      misbehave: ({ number }, response) =>
        number === 2 && cutAfter(response, { content, start: 0, end: content.length, length: 1_700_000 }),
    })
    const source = await open(server)
    expect((await bytesOf(source.stream())).equals(content)).toBe(true)
  })

  it('fetches the rest of a body that ends too early although it was announced so', async () => {
    await using server = await rangeServer(content, {
      misbehave: ({ number }, response) => {
        if (number !== 2) return false
        response.writeHead(200, { 'content-length': '1000000' }).end(content.subarray(0, 1_000_000))
        return true
      },
    })
    expect((await bytesOf((await open(server)).stream())).equals(content)).toBe(true)
  })

  it('stops when the thing is not the same any more', async () => {
    await using server = await rangeServer(content, {
      misbehave: ({ number, start, end }, response) =>
        number === 2 && cutAfter(response, { content, start, end, length: 700_000 }),
    })
    const revalidate = async () => {
      throw new Error('another one')
    }
    await expect(bytesOf((await open(server, { revalidate })).stream())).rejects.toThrow('another one')
  })

  it.each([
    ['another size', { 'content-range': `bytes 0-9/${content.length + 1}` }, 'SOURCE_CHANGED'],
    ['another place', { 'content-range': `bytes 1-10/${content.length}` }, 'SOURCE_ANSWER_INVALID'],
    ['more than was asked for', { 'content-range': `bytes 0-10/${content.length}` }, 'SOURCE_ANSWER_INVALID'],
    ['no range', {}, 'SOURCE_ANSWER_INVALID'],
    ['a range that is none', { 'content-range': 'bytes 9-0/10' }, 'SOURCE_ANSWER_INVALID'],
  ])('refuses a part of %s', async (_, headers: Record<string, string>, code) => {
    await using server = await rangeServer(content, {
      misbehave: ({ number }, response) => {
        if (number === 1) return false
        response.writeHead(206, headers).end(content.subarray(0, 10))
        return true
      },
    })
    const source = await open(server)
    await expect(bytesOf(source.stream({ start: 0, end: 10 }))).rejects.toMatchObject({ code })
  })

  it('refuses a body announced longer than the thing', async () => {
    await using server = await rangeServer(content, {
      misbehave: ({ number }, response) => {
        if (number === 1) return false
        response.writeHead(200).end(Buffer.concat([content, content]))
        return true
      },
    })
    // Chunked, so nothing is announced: what is too much is never given.
    expect((await bytesOf((await open(server)).stream())).equals(content)).toBe(true)
    await using other = await rangeServer(Buffer.concat([content, content]), { ranges: false })
    await expect(bytesOf((await open(other)).stream())).rejects.toMatchObject({ code: 'SOURCE_CHANGED' })
  })

  it('gives up when the stream breaks again and again without getting on', async () => {
    await using server = await rangeServer(content, {
      misbehave: ({ number, start, end }, response) =>
        number > 1 && cutAfter(response, { content, start, end, length: 10 }),
    })
    const source = await open(server)
    await expect(bytesOf(source.stream())).rejects.toMatchObject({ code: 'SOURCE_INTERRUPTED' })
    expect(server.served).toHaveLength(7)
  })

  it('stops at once when it is cancelled, also while it waits for bytes', async () => {
    await using server = await rangeServer(content, {
      misbehave: ({ number, start, end }, response) => {
        if (number === 1) return false
        response.writeHead(start === 0 ? 200 : 206, {
          'content-length': String(end - start),
          'content-range': `bytes ${start}-${end - 1}/${content.length}`,
        })
        response.write(content.subarray(start, start + 1000))
        return true
      },
    })
    const source = await openRandom(server)
    const stream = AbortSignal.timeout(50)
    await expect(bytesOf(source.stream({ signal: stream }))).rejects.toMatchObject({ code: 'CANCELLED' })
    const read = AbortSignal.timeout(50)
    await expect(source.read(Buffer.alloc(100_000), 5, { signal: read })).rejects.toMatchObject({
      code: 'CANCELLED',
    })
    await source.close()
  })

  it('does not let a read that is cancelled spoil another', async () => {
    let held = true
    await using server = await rangeServer(content, {
      misbehave: ({ number, start, end }, response) => {
        if (number === 1 || !held) return false
        response.writeHead(206, {
          'content-length': String(end - start),
          'content-range': `bytes ${start}-${end - 1}/${content.length}`,
        })
        response.write(content.subarray(start, start + 1000))
        return true
      },
    })
    const source = await openRandom(server)
    const cancel = new AbortController()
    const [first, second] = [Buffer.alloc(100_000), Buffer.alloc(100_000)]
    const reads = [source.read(first, 0, { signal: cancel.signal }), source.read(second, 100_000)]
    setTimeout(() => {
      held = false
      cancel.abort()
    }, 30)
    // The second is on a request of its own, which this server holds up for ever: close it as a third read would.
    await expect(reads[0]).rejects.toMatchObject({ code: 'CANCELLED' })
    const closed = expect(reads[1]).rejects.toThrow()
    await source.close()
    await closed
  })
})

describe('contentRange', () => {
  it.each([
    ['bytes 0-0/1', { start: 0, end: 1, size: 1 }],
    ['bytes 5-9/*', { start: 5, end: 10, size: null }],
    ['bytes 5-9/9', null],
    ['bytes 9-5/100', null],
    ['bytes */100', null],
    ['items 0-1/2', null],
    ['bytes 0-99999999999999999999/*', null],
    [undefined, null],
  ])('reads %j', (header, expected) => {
    expect(contentRange(header)).toEqual(expected)
  })
})

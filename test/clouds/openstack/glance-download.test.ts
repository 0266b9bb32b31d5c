import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { isRandomAccess } from '../../../src/transfer/byte-source.ts'
import {
  answer,
  cutAnswer,
  type DataRequest,
  type GlanceServer,
  rangeOf,
  startGlanceServer,
} from './glance-server.ts'

const content = randomBytes(1_500_000)

let glance: GlanceServer

beforeEach(async () => {
  glance = await startGlanceServer()
})
afterEach(() => glance[Symbol.asyncDispose]())

async function download(id: string): Promise<Buffer> {
  const source = await glance.service.open(id)
  try {
    return Buffer.concat(await Array.fromAsync(source.stream()))
  } finally {
    await source.close()
  }
}

/** The number-th request for data, of which the first only asks whether there are ranges. */
const onTransfer = (number: number, fault: (request: DataRequest) => boolean) => (request: DataRequest) =>
  request.number === number && fault(request)

describe('what is downloaded from Glance', () => {
  it('is compared with the checksums, and says so', async () => {
    const source = await glance.service.open(glance.add(content))
    expect(isRandomAccess(source)).toBe(true)
    expect(source.provenBy).toEqual(['md5', 'sha512'])
    expect(Buffer.concat(await Array.fromAsync(source.stream())).equals(content)).toBe(true)
    const part = Buffer.concat(await Array.fromAsync(source.stream({ start: 10, end: 1000 })))
    expect(part.equals(content.subarray(10, 1000))).toBe(true)
    await source.close()
  })

  it('says that nothing proves it where the cloud has no checksums', async () => {
    const id = glance.add(content, { checksum: null, os_hash_algo: null, os_hash_value: null })
    const source = await glance.service.open(id)
    expect(source.provenBy).toBeUndefined()
    expect(Buffer.concat(await Array.fromAsync(source.stream())).equals(content)).toBe(true)
  })

  it('is whole although the connection is cut again and again', async () => {
    glance.fault = (request) => request.number > 1 && request.number < 5 && cutAnswer(request, 400_000)
    expect((await download(glance.add(content))).equals(content)).toBe(true)
  })

  it('is refused at the end when a byte was flipped on the way', async () => {
    const id = glance.add(content)
    glance.fault = onTransfer(2, (request) => {
      const { data, status, headers } = rangeOf(request)
      const flipped = Buffer.from(data)
      flipped.writeUInt8(flipped.readUInt8(777_777) ^ 1, 777_777)
      request.response.writeHead(status, headers).end(flipped)
      return true
    })
    await expect(download(id)).rejects.toMatchObject({ name: 'CloudError', code: 'IMAGE_CORRUPT' })
  })

  it('is refused when only the newer of the checksums is wrong', async () => {
    const id = glance.add(content, { os_hash_value: '0'.repeat(128) })
    await expect(download(id)).rejects.toMatchObject({ code: 'IMAGE_CORRUPT' })
  })

  it('is refused at once when the server announces another MD5', async () => {
    const id = glance.add(content)
    glance.fault = onTransfer(2, (request) => {
      const { data, status, headers } = rangeOf(request)
      request.response.writeHead(status, { ...headers, 'content-md5': '0'.repeat(32) }).end(data)
      return true
    })
    await expect(download(id)).rejects.toMatchObject({ code: 'IMAGE_CORRUPT' })
  })

  it('is whole when the server announces too short a body', async () => {
    const id = glance.add(content)
    glance.fault = onTransfer(2, (request) => {
      const { data, status, headers } = rangeOf(request)
      request.response.writeHead(status, { ...headers, 'content-length': '1000' }).end(data.subarray(0, 1000))
      return true
    })
    expect((await download(id)).equals(content)).toBe(true)
  })

  it('goes on when the token is worth nothing any more half way', async () => {
    glance.fault = onTransfer(2, (request) => {
      glance.expireTokens()
      return cutAnswer(request, 500_000)
    })
    expect((await download(glance.add(content))).equals(content)).toBe(true)
  })

  it.each([
    [503, { 'retry-after': '0' }],
    [500, {}],
    [429, { 'retry-after': '0' }],
  ])('waits out a %i in the middle', async (status, headers: Record<string, string>) => {
    glance.fault = (request) => {
      if (request.number === 2) return cutAnswer(request, 500_000)
      if (request.number !== 3) return false
      request.response.writeHead(status, headers).end()
      return true
    }
    expect((await download(glance.add(content))).equals(content)).toBe(true)
  })

  it('ends with the cloud’s own words when a server goes on failing', async () => {
    glance.fault = (request) => {
      answer(request.response, 503, { message: 'the store is away' })
      return true
    }
    await expect(download(glance.add(content))).rejects.toMatchObject({
      code: 'CLOUD_FAILED',
      message: expect.stringContaining('the store is away'),
    })
  })

  it('is whole where the store reads no ranges', async () => {
    glance.fault = (request) => {
      if (!request.incoming.headers.range) return request.number === 2 && cutAnswer(request, 600_000)
      answer(request.response, 400, { message: 'random access is not supported' })
      return true
    }
    const id = glance.add(content)
    expect(isRandomAccess(await glance.service.open(id))).toBe(false)
    expect((await download(id)).equals(content)).toBe(true)
  })

  it('stops when the image is deleted, deactivated or another one meanwhile', async () => {
    const cases: [change: (id: string) => void, code: string][] = [
      [(id) => glance.images.delete(id), 'IMAGE_NOT_FOUND'],
      [
        (id) => Object.assign(glance.images.get(id)?.record ?? {}, { status: 'deactivated' }),
        'IMAGE_CORRUPT',
      ],
      [
        (id) => Object.assign(glance.images.get(id)?.record ?? {}, { checksum: '1'.repeat(32) }),
        'IMAGE_CORRUPT',
      ],
    ]
    for (const [change, code] of cases) {
      const id = glance.add(content)
      glance.fault = (request) => {
        if (request.incoming.headers.range === 'bytes=0-0') return false
        change(id)
        return cutAnswer(request, 100_000)
      }
      await expect(download(id)).rejects.toMatchObject({ code })
    }
  })

  it.each([
    ['no bytes', { size: 0, block_device_mapping: '[{}]' }, 'IMAGE_HAS_NO_DATA'],
    ['only a record', { status: 'queued', size: null }, 'IMAGE_HAS_NO_DATA'],
    ['data on its way', { status: 'saving', size: null }, 'IMAGE_HAS_NO_DATA'],
    ['data that may not be read', { status: 'deactivated' }, 'IMAGE_STATE'],
    ['been deleted', { status: 'pending_delete' }, 'IMAGE_NOT_FOUND'],
  ])('is nothing when the image has %s', async (_, changes, code) => {
    await expect(glance.service.open(glance.add(content, changes))).rejects.toMatchObject({ code })
  })

  it('is nothing when the store has lost the data', async () => {
    glance.fault = (request) => {
      request.response.writeHead(204).end()
      return true
    }
    await expect(download(glance.add(content))).rejects.toMatchObject({ code: 'IMAGE_HAS_NO_DATA' })
  })

  it('is refused when the store has less than the record says', async () => {
    const id = glance.add(content, { size: content.length + 5 })
    await expect(download(id)).rejects.toMatchObject({ code: 'SOURCE_CHANGED' })
  })
})

import { randomBytes, randomUUID } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { answer, bodyOf, type GlanceServer, startGlanceServer, store } from './glance-server.ts'

const content = randomBytes(1_500_000)

let glance: GlanceServer

beforeEach(async () => {
  glance = await startGlanceServer()
})
afterEach(() => glance[Symbol.asyncDispose]())

async function create(): Promise<string> {
  return (await glance.service.create({ name: 'new', format: 'raw' }, { key: randomUUID() })).id
}

const upload = (id: string, size?: number) =>
  glance.service.upload(id, (sink) => sink.write(content), size === undefined ? {} : { size })

/** An image that never was, or still has no data. */
function isEmpty(id: string): boolean {
  const image = glance.images.get(id)
  return image === undefined || image.record.status === 'queued'
}

describe('what is uploaded to Glance', () => {
  it('arrives, in one piece with a known size and in chunks without', async () => {
    const announced: (string | undefined)[] = []
    glance.fault = ({ incoming }) => {
      announced.push(
        incoming.headers['content-length'],
        incoming.headers['x-openstack-image-size']?.toString(),
      )
      return false
    }
    const [sized, chunked] = [await create(), await create()]
    expect((await upload(sized, content.length)).size).toBe(content.length)
    expect((await upload(chunked)).status).toBe('active')
    for (const id of [sized, chunked]) expect(glance.images.get(id)?.data?.equals(content)).toBe(true)
    expect(announced).toEqual(['1500000', '1500000', undefined, undefined])
  })

  it('is copied before the writer uses its buffer again, zeros included', async () => {
    const id = await create()
    const expected: Buffer[] = []
    await glance.service.upload(id, async (sink) => {
      const buffer = Buffer.alloc(100_003)
      for (let i = 0; i < 20; i += 1) {
        buffer.fill(i)
        expected.push(Buffer.from(buffer), Buffer.alloc(1_100_000))
        await sink.write(buffer)
        await sink.writeZeros?.(1_100_000)
      }
    })
    expect(glance.images.get(id)?.data?.equals(Buffer.concat(expected))).toBe(true)
  })

  it('arrives at a server that takes it slowly as it was written', async () => {
    const id = await create()
    const [size, piece] = [24_000_000, 1_000_003]
    glance.fault = async ({ image, incoming, response }) => {
      image.record.status = 'saving'
      const parts: Buffer[] = []
      for await (const part of incoming) {
        parts.push(Buffer.from(part))
        if (parts.length % 40 === 0) await new Promise((resolve) => setTimeout(resolve, 5))
      }
      store(image, Buffer.concat(parts))
      response.writeHead(204).end()
      return true
    }
    const expected = randomBytes(size)
    await glance.service.upload(id, async (sink) => {
      for (let at = 0; at < size; at += piece) await sink.write(expected.subarray(at, at + piece))
    })
    expect(glance.images.get(id)?.data?.equals(expected)).toBe(true)
  })

  it('is not accepted when a byte was flipped on the way', async () => {
    const id = await create()
    glance.fault = async ({ image, incoming, response }) => {
      const data = await bodyOf(incoming)
      data.writeUInt8(data.readUInt8(1000) ^ 1, 1000)
      store(image, data)
      response.writeHead(204).end()
      return true
    }
    await expect(upload(id)).rejects.toMatchObject({ name: 'CloudError', code: 'IMAGE_CORRUPT' })
    expect(glance.images.has(id)).toBe(false)
  })

  it.each([
    ['os_hash_value', '0'.repeat(128)],
    ['checksum', '0'.repeat(32)],
    ['size', 1],
  ])('is not accepted when the cloud has another %s', async (name, value) => {
    const id = await create()
    glance.fault = async ({ image, incoming, response }) => {
      store(image, await bodyOf(incoming))
      image.record[name] = value
      response.writeHead(204).end()
      return true
    }
    await expect(upload(id)).rejects.toMatchObject({ code: 'IMAGE_CORRUPT' })
    expect(glance.images.has(id)).toBe(false)
  })

  it('is compared by what there is', async () => {
    const id = await create()
    glance.fault = async ({ image, incoming, response }) => {
      store(image, await bodyOf(incoming))
      Object.assign(image.record, { checksum: null, os_hash_algo: 'blake2b', os_hash_value: 'abc' })
      response.writeHead(204).end()
      return true
    }
    expect(await upload(id)).toMatchObject({ status: 'active', checksums: {} })
  })

  it('is taken back where the server takes a body that was cut off for a whole one', async () => {
    const id = await create()
    glance.fault = ({ image, incoming }) => {
      const parts: Buffer[] = []
      incoming.on('data', (part: Buffer) => parts.push(part))
      incoming.on('close', () => store(image, Buffer.concat(parts)))
      incoming.on('error', () => undefined)
      image.record.status = 'saving'
      return true
    }
    const broken = glance.service.upload(
      id,
      async (sink) => {
        await sink.write(content)
        throw new Error('the source broke')
      },
      { size: content.length * 2 },
    )
    await expect(broken).rejects.toThrow('the source broke')
    expect(glance.images.has(id)).toBe(false)
  })

  it('leaves the image without data when its source breaks, or gives another number of bytes', async () => {
    const id = await create()
    const broken = glance.service.upload(id, async (sink) => {
      await sink.write(content)
      throw new Error('the source broke')
    })
    await expect(broken).rejects.toThrow('the source broke')
    expect(isEmpty(id)).toBe(true)
    await expect(upload(id, content.length + 1)).rejects.toThrow()
    expect(isEmpty(id)).toBe(true)
    await expect(upload(id, content.length - 1)).rejects.toThrow()
    expect(isEmpty(id)).toBe(true)
    expect((await upload(id, content.length)).status).toBe('active')
  })

  it.each([
    [413, 'CLOUD_QUOTA'],
    [415, 'CLOUD_REFUSED'],
    [403, 'CLOUD_FORBIDDEN'],
    [503, 'CLOUD_FAILED'],
    [500, 'CLOUD_FAILED'],
    [429, 'CLOUD_FAILED'],
    [404, 'IMAGE_NOT_FOUND'],
    [410, 'IMAGE_NOT_FOUND'],
  ])('stops when the cloud answers %i before it has everything', async (status, code) => {
    const id = await create()
    let written = 0
    glance.fault = ({ response }) => {
      answer(response, status, { message: 'because' })
      setTimeout(() => response.socket?.destroy(), 20)
      return true
    }
    const refused = glance.service.upload(id, async (sink) => {
      for (; written < 2000; written += 1) await sink.write(Buffer.alloc(1_000_000))
    })
    await expect(refused).rejects.toMatchObject({ code })
    expect(written).toBeLessThan(2000)
    expect(isEmpty(id)).toBe(true)
  })

  it('does not touch an image that somebody else is giving data', async () => {
    const id = await create()
    glance.fault = ({ image, incoming, response }) => {
      incoming.resume()
      image.record.status = 'saving'
      answer(response, 409, { message: 'it is saving' })
      return true
    }
    await expect(upload(id)).rejects.toMatchObject({ code: 'IMAGE_STATE' })
    expect(glance.images.get(id)?.record.status).toBe('saving')
    await expect(upload(id)).rejects.toMatchObject({ code: 'IMAGE_STATE' })
    expect(glance.log.filter((line) => line.startsWith('DELETE'))).toEqual([])
  })

  it('is there when only the answer was lost', async () => {
    const id = await create()
    glance.fault = async ({ image, incoming, response }) => {
      store(image, await bodyOf(incoming))
      response.destroy()
      return true
    }
    expect(await upload(id)).toMatchObject({ status: 'active', size: content.length })
  })

  it('fails, and is not there, when the connection breaks in the middle', async () => {
    const id = await create()
    glance.fault = ({ image, incoming }) => {
      image.record.status = 'saving'
      incoming.once('data', () => {
        incoming.destroy()
        setTimeout(() => Object.assign(image.record, { status: 'queued' }), 30)
      })
      return true
    }
    await expect(upload(id)).rejects.toMatchObject({ code: 'CLOUD_UNREACHABLE' })
    expect(isEmpty(id)).toBe(true)
  })

  it('is begun with a token that the cloud still accepts', async () => {
    const id = await create()
    glance.expireTokens()
    expect((await upload(id)).status).toBe('active')
  })

  it('is refused when the token ends in between, and goes through the next time', async () => {
    const id = await create()
    glance.fault = ({ response, incoming, number }) => {
      if (number > 1) return false
      incoming.resume()
      glance.expireTokens()
      answer(response, 401, {})
      return true
    }
    await expect(upload(id)).rejects.toMatchObject({ code: 'CLOUD_SIGN_IN_FAILED' })
    expect(isEmpty(id)).toBe(true)
    expect((await upload(id)).status).toBe('active')
  })

  it('stops when it is cancelled, and tells the cloud', async () => {
    const id = await create()
    const cancel = new AbortController()
    const upload = glance.service.upload(
      id,
      async (sink) => {
        await sink.write(content)
        cancel.abort()
        await sink.write(content)
      },
      { signal: cancel.signal },
    )
    await expect(upload).rejects.toMatchObject({ code: 'CANCELLED' })
    expect(isEmpty(id)).toBe(true)
  })
})

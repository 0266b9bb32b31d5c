import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { memoryDisk } from '../../src/disk/memory-disk.ts'
import { writeDisk } from '../../src/disk/write-disk.ts'
import type { UploadStreamRequest } from '../../src/operations/requests.ts'
import { type LibrarySite, makeLibrarySite } from '../support/library-site.ts'
import { memorySink } from '../support/memory-sink.ts'

let site: LibrarySite
let raw: Buffer
let qcow2: Buffer

beforeAll(async () => {
  site = await makeLibrarySite()
  raw = Buffer.alloc(3 * 1024 * 1024, 'what a guest would see. ')
  const sink = memorySink()
  await writeDisk(memoryDisk(raw), sink, { format: 'qcow2' })
  qcow2 = sink.bytes()
})
afterEach(async () => {
  for (const name of await site.imageNames()) await site.imagewright.images.delete(`local:${name}`)
})
afterAll(() => site[Symbol.asyncDispose]())

/** A stream in pieces of an odd length. */
async function* pieces(bytes: Buffer, length = 70_001): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += length) yield bytes.subarray(at, at + length)
}

const upload = (stream: AsyncIterable<Uint8Array>, request?: UploadStreamRequest) =>
  site.imagewright.uploadStream(stream, 'local:streamed', request)

describe('a stream', () => {
  it('becomes an image byte for byte, in the format its beginning shows', async () => {
    const stored = await upload(pieces(qcow2), {
      storage: { properties: { os_distro: 'debian' }, visibility: 'public', tags: ['a'] },
      minRam: 64,
      hidden: true,
    })
    expect(stored.image).toMatchObject({
      status: 'active',
      format: 'qcow2',
      size: qcow2.length,
      virtualSize: raw.length,
      visibility: 'public',
      minDisk: 1,
      minRam: 64,
      hidden: true,
      tags: ['a'],
    })
    expect(stored.image.properties).toMatchObject({ os_distro: 'debian' })
    const memory = await site.imagewright.downloadToMemory('local:streamed')
    expect(memory.equals(qcow2)).toBe(true)
  })

  it('may be a Readable, and raw', async () => {
    const stored = await upload(Readable.from(pieces(raw)), { size: raw.length, diskFormat: 'raw' })
    expect(stored.image).toMatchObject({ format: 'raw', size: raw.length })
    expect(stored.verified).toBe('read-back')
  })

  it.each<[string, () => AsyncIterable<Uint8Array>, UploadStreamRequest, string]>([
    ['is declared to be another format', () => pieces(qcow2), { diskFormat: 'raw' }, 'IMAGE_FORMAT_MISMATCH'],
    ['is declared to be another format', () => pieces(raw), { diskFormat: 'qcow2' }, 'IMAGE_FORMAT_MISMATCH'],
    ['has a format the cloud does not know', () => pieces(raw), { diskFormat: 'iso' }, 'CLOUD_UNSUPPORTED'],
    ['is no disk image', () => pieces(Buffer.from('\x1f\x8b\x08 packed', 'latin1')), {}, 'FORMAT_UNKNOWN'],
    ['is cut off', () => pieces(qcow2.subarray(0, 100_000)), {}, 'IMAGE_OFFSET_OUT_OF_FILE'],
    ['has another size', () => pieces(raw), { size: 5 }, 'IMAGE_STATE'],
    ['has an id that cannot be one', () => pieces(raw), { id: 'mine' }, 'CLOUD_REFUSED'],
    ['is wrapped strangely', () => pieces(raw), { container: 'docker' }, 'CLOUD_UNSUPPORTED'],
  ])('that %s is refused, and nothing is left', async (_, stream, request, code) => {
    await expect(upload(stream(), request)).rejects.toMatchObject({ code })
    expect(await site.imageNames()).toEqual([])
  })

  it('that breaks leaves nothing', async () => {
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield* pieces(raw.subarray(0, 1_000_000))
      throw new Error('the pipe broke')
    }
    await expect(upload(broken())).rejects.toThrow('the pipe broke')
    expect(await site.imageNames()).toEqual([])
  })

  it('that never comes can be cancelled', async () => {
    async function* waiting(): AsyncGenerator<Uint8Array> {
      yield raw.subarray(0, 100_000)
      await new Promise(() => undefined)
    }
    const handle = upload(waiting())
    setTimeout(() => void handle.cancel(), 300)
    await expect(handle).rejects.toMatchObject({ code: 'CANCELLED' })
    expect(await site.imageNames()).toEqual([])
  })

  it('does not take the name of another image', async () => {
    await upload(pieces(raw))
    await expect(upload(pieces(raw))).rejects.toMatchObject({ code: 'NAME_TAKEN' })
    await upload(pieces(raw), {
      storage: { allowDuplicateName: true },
      id: '00000000-0000-4000-8000-000000000001',
    })
    expect(await site.imagewright.images.find('local:00000000-0000-4000-8000-000000000001')).not.toBeNull()
    await site.imagewright.images.delete('local:00000000-0000-4000-8000-000000000001')
  })
})

describe('an image in memory', () => {
  it('is refused when it is larger than allowed', async () => {
    await upload(pieces(raw))
    const download = site.imagewright.downloadToMemory('local:streamed', { maximumBytes: raw.length - 1 })
    await expect(download).rejects.toMatchObject({ code: 'INPUT_INVALID' })
    const whole = await site.imagewright.downloadToMemory('local:streamed', { maximumBytes: raw.length })
    expect(whole.equals(raw)).toBe(true)
  })

  it('is refused when it is damaged where it is stored', async () => {
    const { image } = await upload(pieces(raw))
    const path = join(site.home, 'local/images', image.id, 'data')
    const damaged = await readFile(path)
    damaged.writeUInt8(0, 5)
    await writeFile(path, damaged)
    await expect(site.imagewright.downloadToMemory('local:streamed')).rejects.toMatchObject({
      code: 'VERIFICATION_FAILED',
    })
  })
})

describe('an uploaded file', () => {
  it('has what is said of it', async () => {
    const path = join(site.home, 'disk.raw')
    await writeFile(path, raw)
    const id = '00000000-0000-4000-8000-000000000002'
    const { image } = await site.imagewright.uploadImage(path, 'local:described', {
      id,
      diskFormat: 'qcow2',
      container: 'bare',
      minDisk: 5,
      minRam: 128,
      hidden: true,
    })
    expect(image).toMatchObject({ id, format: 'qcow2', minDisk: 5, minRam: 128, hidden: true })
    expect((await site.imagewright.images.show('local:described')).id).toBe(id)
    await site.imagewright.images.delete('local:described')
  })
})

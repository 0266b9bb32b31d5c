import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { ImageFilter } from '../../../src/clouds/cloud.ts'
import { type GlanceServer, newRecord, startGlanceServer } from './glance-server.ts'

let glance: GlanceServer

beforeEach(async () => {
  glance = await startGlanceServer()
})
afterEach(() => glance[Symbol.asyncDispose]())

const id = (number: number) => `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`
const record = (number: number, changes: Record<string, unknown> = {}) =>
  newRecord(id(number), { name: `image ${number}`, ...changes })

const idsOf = async (filter?: ImageFilter) =>
  (await Array.fromAsync(glance.service.list(filter))).map((image) => image.id)

describe('the list of images', () => {
  it('follows the pages, whatever host their links name', async () => {
    const link = (marker: number) => `http://attacker.example/v2/images?limit=2&marker=${id(marker)}`
    glance.list = (query) => {
      const marker = query.get('marker')
      if (marker === null) return { images: [record(1), record(2)], next: link(2) }
      if (marker === id(2)) return { images: [record(3)], next: link(3) }
      return { images: [] }
    }
    expect(await idsOf()).toEqual([id(1), id(2), id(3)])
    expect(glance.log).toHaveLength(3)
  })

  it('asks for a page only when it is wanted', async () => {
    glance.list = () => ({ images: [record(1), record(2)], next: `/v2/images?marker=${id(2)}` })
    for await (const image of glance.service.list()) {
      expect(image.id).toBe(id(1))
      break
    }
    expect(glance.log).toHaveLength(1)
  })

  it('ends when a server gives the same page again and again', async () => {
    glance.list = () => ({ images: [record(1)], next: `/v2/images?marker=${id(1)}` })
    await expect(idsOf()).rejects.toMatchObject({ code: 'CLOUD_ANSWER_INVALID' })
  })

  it('asks the cloud to filter, and compares again what comes', async () => {
    glance.list = () => ({
      images: [
        record(1, { name: 'Web', os_distro: 'debian' }),
        record(2, { name: 'web', os_distro: 'debian' }),
        record(3, { name: 'web', os_distro: 'Debian' }),
      ],
    })
    expect(await idsOf({ name: 'web', properties: { os_distro: 'debian' } })).toEqual([id(2)])
    expect(glance.log).toEqual(['GET images?limit=200&name=web&os_distro=debian'])
  })

  it.each<[string, ImageFilter]>([
    ['a name that would be a list of names', { name: 'in:web,db' }],
    [
      'a property that would be an attribute or a parameter',
      { properties: { limit: '1', status: 'queued' } },
    ],
    ['a state that is several of the cloud’s', { status: 'pending' }],
  ])('does not ask the cloud to filter by %s', async (_, filter) => {
    glance.list = () => ({ images: [] })
    await idsOf(filter)
    expect(glance.log).toEqual(['GET images?limit=200'])
  })

  it('leaves out what is gone already and what is the account’s own among offers', async () => {
    glance.list = () => ({
      images: [
        record(1, { visibility: 'shared' }),
        { ...record(2, { visibility: 'shared' }), owner: 'other' },
        { ...record(3, { visibility: 'shared' }), owner: 'other', status: 'pending_delete' },
      ],
    })
    expect(await idsOf({ memberStatus: 'pending' })).toEqual([id(2)])
    expect(glance.log).toEqual(['GET images?limit=200&visibility=shared&member_status=pending'])
  })

  it('is refused when it makes no sense', async () => {
    glance.list = () => ({ images: [{ id: 7 }] })
    await expect(idsOf()).rejects.toMatchObject({ code: 'CLOUD_ANSWER_INVALID' })
    glance.list = () => ({ images: [record(1, { visibility: 'secret' })] })
    await expect(idsOf()).rejects.toMatchObject({ code: 'CLOUD_ANSWER_INVALID' })
  })
})

describe('an image found by its key', () => {
  const key = 'job-image'
  const ours = record(1, { imagewright_key: key, imagewright_key_of: id(1) })
  const server = '11111111-1111-4111-8111-111111111111'

  it('is the one that was made with it, not what inherited the property', async () => {
    glance.list = () => ({
      images: [
        record(2, { imagewright_key: key, imagewright_key_of: id(1), instance_uuid: server }),
        record(3, { imagewright_key: key }),
        ours,
      ],
    })
    expect((await glance.service.findByKey(key))?.id).toBe(id(1))
    expect(glance.log).toEqual([`GET images?limit=200&owner=p&imagewright_key=${key}`])
  })

  it('may be the snapshot of a server', async () => {
    const snapshot = { imagewright_key: key, imagewright_key_of: server, instance_uuid: server }
    glance.list = () => ({ images: [record(4, snapshot)] })
    expect((await glance.service.findByKey(key))?.id).toBe(id(4))
  })

  it('is looked for among the hidden ones, too', async () => {
    glance.list = (query) => ({ images: query.has('os_hidden') ? [{ ...ours, os_hidden: true }] : [] })
    expect((await glance.service.findByKey(key))?.id).toBe(id(1))
  })

  it('is nobody when there is none', async () => {
    expect(await glance.service.findByKey(key)).toBeNull()
  })
})

describe('what a record says', () => {
  it('is an image: attributes, properties as text, and nothing of the server’s own', async () => {
    const data = Buffer.from('data')
    const image = await glance.service.get(
      glance.add(data, {
        os_distro: 'debian',
        imagewright_key: 'k',
        kernel_id: null,
        count: 3,
        stores: 'a,b',
        os_glance_failed_import: '',
        locations: [{ url: 'file:///secret' }],
        direct_url: 'rbd://secret',
        virtual_size: 0,
        tags: ['x'],
      }),
    )
    expect(image.properties).toEqual({ os_distro: 'debian', count: '3' })
    expect(image).toMatchObject({ size: 4, virtualSize: null, tags: ['x'], container: 'bare', hidden: false })
    expect(Object.keys(image.checksums)).toEqual(['md5', 'sha512'])
  })

  it.each([
    ['queued', 'pending'],
    ['saving', 'pending'],
    ['importing', 'pending'],
    ['uploading', 'pending'],
    ['active', 'active'],
    ['deactivated', 'deactivated'],
    ['killed', 'error'],
    ['something new', 'error'],
  ])('of its status "%s" is "%s"', async (status, expected) => {
    expect((await glance.service.get(glance.add(Buffer.from('x'), { status }))).status).toBe(expected)
  })

  it('refuses properties whose names mean something else', async () => {
    for (const name of ['status', 'owner', 'os_glance_x', 'locations', '']) {
      const create = glance.service.create(
        { name: 'x', format: 'raw', properties: { [name]: '1' } },
        { key: 'k' },
      )
      await expect(create).rejects.toMatchObject({ code: 'CLOUD_REFUSED' })
      const update = glance.service.update(glance.add(Buffer.from('x')), { properties: { [name]: '1' } })
      await expect(update).rejects.toMatchObject({ code: 'CLOUD_REFUSED' })
    }
  })
})

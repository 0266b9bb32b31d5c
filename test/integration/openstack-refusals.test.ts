import { randomUUID } from 'node:crypto'
import { access, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { type FaultProxy, startFaultProxy } from '../../testbed/fault-proxy.ts'
import type { OpenStack } from '../../testbed/openstack/openstack.ts'
import { describeOpenStack, openStacks } from '../support/openstack.ts'
import { deleteImages, imagesOf, makeOpenStackSite } from '../support/openstack-site.ts'
import { imageDocument, type Site } from '../support/site.ts'

const MiB = 2 ** 20

describeOpenStack('what a real OpenStack refuses', () => {
  const prefix = `refusals-${randomUUID().slice(0, 8)}`
  let east: OpenStack
  let west: OpenStack
  let proxy: FaultProxy
  let site: Site
  let disk: string
  let count = 0
  const unique = () => `${prefix}-${++count}`

  beforeAll(async () => {
    ;({ east, west } = await openStacks())
    proxy = await startFaultProxy(east.urls.image ?? '')
    site = await makeOpenStackSite([east, west], (entry, name) => ({
      ...entry,
      ...(name === 'east' ? { image_endpoint_override: proxy.url } : {}),
      ...(name === 'east-bob' ? { auth: { ...entry.auth, password: 'a wrong one' } } : {}),
    }))
    disk = join(site.home, 'disk.raw')
    await writeFile(disk, '')
    await truncate(disk, 5 * MiB)
  })
  afterEach(() => proxy.heal())
  afterAll(async () => {
    for (const provider of [east, west]) await deleteImages(provider, prefix)
    await proxy[Symbol.asyncDispose]()
    await site[Symbol.asyncDispose]()
  })

  const upload = (cloud: string, name: string) => ['images', 'upload', disk, `${cloud}:${name}`]

  test('is a wrong password', async () => {
    const { code, message } = await site.failure(['images', 'list', 'east-bob'])
    expect(code).toBe('CLOUD_SIGN_IN_FAILED')
    expect(message).toContain('east-bob')
    expect(message).not.toContain('a wrong one')
  })

  test('is somebody without a role in the project', async () => {
    expect((await site.failure(['images', 'list', 'east-eve'])).code).toBe('CLOUD_SIGN_IN_FAILED')
  })

  test('is an upload by somebody who may only read, who may list', async () => {
    const name = unique()
    await site.json(z.array(imageDocument), ['images', 'list', 'east-rita'])
    expect((await site.failure(upload('east-rita', name))).code).toBe('CLOUD_FORBIDDEN')
    expect(await imagesOf(east, name)).toEqual([])
  })

  test('is an image for everybody, of somebody who is not an administrator', async () => {
    const name = unique()
    const { code } = await site.failure([...upload('east', name), '--visibility', 'public'])
    expect(code).toBe('CLOUD_FORBIDDEN')
    expect(await imagesOf(east, name)).toEqual([])
  })

  test('is more data than the quota allows', async () => {
    const [first, second] = [unique(), unique()]
    await site.json(z.unknown(), upload('east-sam', first))
    const { code, message } = await site.failure(upload('east-sam', second))
    expect(code).toBe('CLOUD_QUOTA')
    expect(message).toContain('image_size_total')
    expect(await imagesOf(east, second)).toEqual([])
    await deleteImages(east, first)
  })

  test('are more images than the quota allows', async () => {
    await truncate(disk, MiB)
    for (const name of [unique(), unique(), unique()]) {
      await site.json(z.unknown(), upload('east-sam', name))
    }
    const { code, message } = await site.failure(upload('east-sam', unique()))
    expect(code).toBe('CLOUD_QUOTA')
    expect(message).toContain('image_count_total')
    await truncate(disk, 5 * MiB)
  })

  test('is an instance beyond the quota', async () => {
    const name = unique()
    await site.json(z.unknown(), [...upload('east', name), '--visibility', 'community'])
    const [image] = await imagesOf(east, name)
    const { code } = await site.failure(['instances', 'launch', `east-sam:${image?.id}`, name])
    expect(code).toBe('CLOUD_QUOTA')
  })

  test('is a second image of the same name, unless that is wanted', async () => {
    const name = unique()
    await site.json(z.unknown(), upload('east', name))
    expect((await site.failure(upload('east', name))).code).toBe('NAME_TAKEN')
    expect(await imagesOf(east, name)).toHaveLength(1)
    await site.json(z.unknown(), [...upload('east', name), '--allow-duplicate-name'])
    expect(await imagesOf(east, name)).toHaveLength(2)
    expect((await site.failure(['images', 'show', `east:${name}`])).code).toBe('IMAGE_AMBIGUOUS')
  })

  test('is to download an image that is deleted meanwhile', async () => {
    const name = unique()
    await site.json(z.unknown(), upload('east', name))
    const file = join(site.home, 'gone.raw')
    await deleteOnTheWay(name, ['images', 'download', `east:${name}`, file])
    await expect(access(file)).rejects.toThrow('ENOENT')
  })

  test('is to migrate an image that is deleted meanwhile, and leaves nothing at the target', async () => {
    const name = unique()
    await site.json(z.unknown(), upload('east', name))
    await deleteOnTheWay(name, ['migrate', `east:${name}`, 'west'])
    expect(await imagesOf(west, name)).toEqual([])
  })

  /** The connection breaks a while after the image has gone: what was opened before Glance reads to its end. */
  async function deleteOnTheWay(name: string, command: readonly string[]): Promise<void> {
    proxy.reset()
    const data = { method: 'GET', path: /\/file$/, skip: 1 }
    proxy.inject({ ...data, effect: { kind: 'slow', direction: 'answer', bytesPerSecond: MiB } })
    proxy.inject({ ...data, effect: { kind: 'cut', direction: 'answer', after: 4 * MiB } })
    const failing = site.failure(command)
    await expect.poll(() => proxy.wire().toClient, { timeout: 60_000, interval: 20 }).toBeGreaterThan(MiB)
    await deleteImages(east, name)
    expect((await failing).code).toBe('IMAGE_NOT_FOUND')
  }
})

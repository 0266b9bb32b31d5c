import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { poll } from '../../src/core/abort.ts'
import { type FaultProxy, startFaultProxy } from '../../testbed/fault-proxy.ts'
import type { Fault } from '../../testbed/faults.ts'
import { describeFound, findMarkersInImage } from '../../testbed/find-markers.ts'
import type { OpenStack } from '../../testbed/openstack/openstack.ts'
import { secretEntries } from '../../testbed/plant-secrets.ts'
import { planSecrets } from '../../testbed/secrets.ts'
import { buildTinyGuest } from '../../testbed/tiny-guest.ts'
import {
  clientImage,
  describeOpenStack,
  type OpenStackClient,
  openStackClient,
  openStacks,
} from '../support/openstack.ts'
import { deleteImages, imagesOf, makeOpenStackSite, sha512OfFile } from '../support/openstack-site.ts'
import { imageDocument, instanceDocument, jobDocument, type Site } from '../support/site.ts'

const MiB = 2 ** 20
/** Of the flavor: the disk of an instance is larger than its image. */
const GiB = 2 ** 30
const plan = planSecrets({ running: false })

describeOpenStack('a guest with secrets, captured on one OpenStack and brought to another', () => {
  const prefix = `walk-${randomUUID().slice(0, 8)}`
  const [base, golden] = [`${prefix} base`, `${prefix} golden`]
  let east: OpenStack
  let west: OpenStack
  let images: FaultProxy
  let compute: FaultProxy
  let site: Site
  let abroad: OpenStackClient
  let server: string
  let identity: string

  beforeAll(async () => {
    ;({ east, west } = await openStacks())
    images = await startFaultProxy(east.urls.image ?? '')
    compute = await startFaultProxy(new URL(east.urls.compute ?? '').origin)
    site = await makeOpenStackSite([east, west], (entry, name) =>
      name.startsWith('east')
        ? {
            ...entry,
            image_endpoint_override: images.url,
            compute_endpoint_override: `${compute.url}/v2.1`,
          }
        : entry,
    )
    abroad = openStackClient(west.cloudsFile, west.cloud('alice'))
    const disk = join(site.home, 'guest.raw')
    const { entries, deleted } = secretEntries(plan)
    await buildTinyGuest(disk, { bootable: true, size: 96 * MiB, entries, deleted })
    const properties = ['os_distro=tiny', 'hw_disk_bus=virtio', 'os_shutdown_timeout=0']
    await site.json(z.unknown(), [
      ...['images', 'upload', disk, `east:${base}`, '--format', 'qcow2', '--tag', 'web'],
      ...properties.flatMap((property) => ['--property', property]),
    ])
    server = await launch('east', base)
    identity = await identityOf('east', server)
  })
  afterAll(async () => {
    for (const cloud of ['east', 'west']) {
      for (const { id, name } of await site.json(z.array(instanceDocument), ['instances', 'list', cloud])) {
        if (name.startsWith(prefix)) await site.run(['instances', 'terminate', `${cloud}:${id}`])
      }
    }
    for (const provider of [east, west]) await deleteImages(provider, prefix)
    await images[Symbol.asyncDispose]()
    await compute[Symbol.asyncDispose]()
    await site[Symbol.asyncDispose]()
  })

  async function launch(cloud: string, image: string): Promise<string> {
    const options = ['--flavor', 'tiny', '--network', 'lan']
    const name = `${image} instance`
    const { id } = await site.json(instanceDocument, [
      ...['instances', 'launch', `${cloud}:${image}`, name, ...options],
    ])
    return id
  }

  /** The machine-id a guest shows on its console, once it is up. */
  function identityOf(cloud: string, id: string): Promise<string> {
    return poll({
      what: 'the end of the boot',
      deadline: 240_000,
      interval: 1_000,
      maximumInterval: 1_000,
      attempt: async () => {
        const { stdout } = await site.run(['instances', 'console', `${cloud}:${id}`])
        if (!stdout.includes('TINY-BOOT-OK')) return undefined
        return /TINY-MACHINE-ID ([0-9a-f]{32})/.exec(stdout)?.[1]
      },
    })
  }

  const names = async (provider: OpenStack) =>
    (await imagesOf(provider, prefix)).map(({ name }) => name).sort()

  test('becomes a clean image, private, and leaves neither a snapshot nor a changed instance', async () => {
    const created = await site.json(z.object({ image: imageDocument.loose() }), [
      ...['create', `east:${server}`, golden],
    ])
    expect(created.image).toMatchObject({
      ...{ status: 'active', visibility: 'private', format: 'qcow2' },
      properties: { os_distro: 'tiny', hw_disk_bus: 'virtio' },
    })
    expect(await names(east)).toEqual([base, golden])
    const { status } = await site.json(instanceDocument, ['instances', 'show', `east:${server}`])
    expect(status).toBe('running')
  })

  test('crosses over in another format with all that is known of it', async () => {
    await site.json(z.unknown(), ['migrate', `east:${golden}`, 'west', '--disk-format', 'raw'])
    const copy = await abroad.json(clientImage, 'image', 'show', golden)
    expect(copy).toMatchObject({
      ...{ status: 'active', disk_format: 'raw', size: GiB, visibility: 'private' },
      properties: expect.objectContaining({ os_distro: 'tiny', hw_disk_bus: 'virtio' }),
    })
    expect(await names(east)).toEqual([base, golden])
    expect(await names(west)).toEqual([golden])
  })

  test('has no planted marker in its bytes any more', async () => {
    const file = join(site.home, 'golden.raw')
    await abroad.run('image', 'save', '--file', file, golden)
    expect(describeFound(await findMarkersInImage(file, plan))).toEqual([])
  })

  test('boots there with an identity of its own', async () => {
    const clone = await launch('west', golden)
    expect(await identityOf('west', clone)).not.toBe(identity)
    await site.json(z.unknown(), ['instances', 'terminate', `west:${clone}`])
  })

  test('crosses over in one step as well, when it is still an instance', async () => {
    const name = `${prefix} direct`
    await site.json(z.unknown(), ['migrate', `east:${server}`, `west:${name}`, '--clean'])
    const file = join(site.home, 'direct.qcow2')
    await abroad.run('image', 'save', '--file', file, name)
    expect(describeFound(await findMarkersInImage(file, plan))).toEqual([])
    expect(await names(east)).toEqual([base, golden])
    expect(await names(west)).toEqual([`${prefix} direct`, golden])
    await deleteImages(west, name)
  })

  const action = { method: 'POST', path: /\/servers\/[^/]+\/action$/ }
  const cases: readonly [string, 'compute' | 'images', Fault][] = [
    [
      'the answer to the snapshot is lost',
      'compute',
      { ...action, effect: { kind: 'cut', direction: 'answer', after: 0 } },
    ],
    ['the compute service is overloaded', 'compute', { times: 3, effect: { kind: 'answer', status: 503 } }],
    [
      'the token has expired when the snapshot is taken',
      'compute',
      { ...action, effect: { kind: 'answer', status: 401 } },
    ],
    [
      'the snapshot breaks off while it is read',
      'images',
      { method: 'GET', path: /\/file$/, effect: { kind: 'cut', direction: 'answer', after: MiB } },
    ],
    [
      'the new image breaks off while it is sent',
      'images',
      { method: 'PUT', path: /\/file$/, effect: { kind: 'cut', direction: 'request', after: MiB } },
    ],
  ]

  test.each(cases)('is captured whole when %s', async (_, service, fault) => {
    const name = `${prefix} hard won`
    const proxy = service === 'compute' ? compute : images
    const hits = proxy.inject(fault)
    await site.json(z.unknown(), ['create', `east:${server}`, name])
    expect(hits()).toBeGreaterThan(0)
    proxy.heal()
    expect(await names(east)).toEqual([base, golden, name].sort())
    const file = join(site.home, 'hard-won.qcow2')
    await site.json(z.unknown(), ['images', 'download', `east:${name}`, file, '--force'])
    expect(describeFound(await findMarkersInImage(file, plan))).toEqual([])
    await deleteImages(east, name)
  })

  test('is migrated to the end by a resumed job after a kill, and to nothing by one that is undone', async () => {
    const name = `${prefix} interrupted`
    const file = join(site.home, 'resumed.qcow2')
    for (const end of ['resume', 'undo']) {
      const slow = { kind: 'slow', direction: 'answer', bytesPerSecond: MiB / 2 } as const
      images.inject({ method: 'GET', path: /\/file$/, times: Number.POSITIVE_INFINITY, effect: slow })
      await site.interrupt(['migrate', `east:${golden}`, `west:${name}`], {
        ...{ when: /Checking and copying/, after: 1_500, signal: 'SIGKILL' },
      })
      images.heal()
      const jobs = await site.json(z.array(jobDocument), ['jobs', 'list'])
      const job = jobs.find(({ status }) => status !== 'done' && status !== 'undone')
      if (!job) throw new Error(`No job was interrupted: ${JSON.stringify(jobs)}`)
      expect((await imagesOf(west, name)).map(({ status }) => status)).not.toContain('active')
      const ended = await site.run(['jobs', end, job.id])
      expect(ended.exitCode, ended.stderr).toBe(0)
      const left = await imagesOf(west, name)
      expect(left.map(({ status }) => status)).toEqual(end === 'resume' ? ['active'] : [])
      if (end === 'undo') continue
      await abroad.run('image', 'save', '--file', file, name)
      const [original] = await imagesOf(east, golden)
      expect(await sha512OfFile(file)).toBe(original?.os_hash_value)
      await deleteImages(west, name)
    }
  })
}, ['mke2fs', 'debugfs', 'grub-mkimage', '/usr/lib/grub/i386-pc/boot.img', 'busybox'])

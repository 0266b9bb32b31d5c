import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { openCloud } from '../../src/clouds/open-cloud.ts'
import { loadConfig } from '../../src/config/load-config.ts'
import { runProgram } from '../../src/core/program.ts'
import { bootDisk } from '../../testbed/boot-disk.ts'
import { directory } from '../../testbed/guest-tree.ts'
import { findHostKernel } from '../../testbed/host-kernel.ts'
import type { AccountName } from '../../testbed/openstack/accounts.ts'
import type { OpenStack } from '../../testbed/openstack/openstack.ts'
import { buildTinyGuest, tinyBootFiles } from '../../testbed/tiny-guest.ts'
import { describeImages } from '../conformance/image-conformance.ts'
import {
  clientImage,
  clientImageList,
  describeOpenStack,
  type OpenStackClient,
  openStackClient,
  openStacks,
} from '../support/openstack.ts'
import { deleteImages, imagesOf, makeOpenStackSite, sha512OfFile } from '../support/openstack-site.ts'
import { imageDocument, type Site } from '../support/site.ts'

const bootableDocument = z.object({
  bootable: z.object({
    kernel: z.object({ version: z.string(), image: z.string(), ramdisk: z.string() }),
    warnings: z.array(z.unknown()),
  }),
})

describeOpenStack('images of a real OpenStack', () => {
  const prefix = `interchange-${randomUUID().slice(0, 8)}`
  let east: OpenStack
  let site: Site
  let alice: OpenStackClient
  let bob: OpenStackClient
  let beta: string
  let raw: string
  let qcow2: string

  beforeAll(async () => {
    ;({ east } = await openStacks())
    site = await makeOpenStackSite([east])
    alice = openStackClient(east.cloudsFile, east.cloud('alice'))
    bob = openStackClient(east.cloudsFile, east.cloud('bob'))
    beta = (await bob.json(z.object({ project_id: z.string() }), 'token', 'issue')).project_id
    raw = join(site.home, 'disk.raw')
    qcow2 = join(site.home, 'disk.qcow2')
    await buildTinyGuest(raw, { size: 16 * 2 ** 20 })
    const conversion = ['convert', '-f', 'raw', '-O', 'qcow2', raw, qcow2]
    await runProgram('qemu-img', conversion, { timeout: 60_000 })
  })
  afterAll(async () => {
    await deleteImages(east, prefix)
    await site[Symbol.asyncDispose]()
  })

  describeImages('OpenStack', async () => {
    const environment = { IMAGEWRIGHT_HOME: site.home, OS_CLIENT_CONFIG_FILE: east.cloudsFile }
    const { clouds } = await loadConfig({ environment, workingDirectory: site.home })
    const open = (account: AccountName) => {
      const settings = clouds[east.cloud(account)]
      if (!settings) throw new Error(`No ${account}`)
      return openCloud(east.cloud(account), settings)
    }
    const [cloud, member] = [await open('alice'), await open('bob')]
    return {
      cloud,
      openAgain: () => open('alice'),
      member: { cloud: member, id: beta },
      async close() {
        await cloud.close()
        await member.close()
      },
    }
  })

  test('that we upload are read back by the client byte for byte, with all that was recorded', async () => {
    const name = `${prefix} ours`
    const options = ['--property', 'os_distro=debian', '--property', 'hw_disk_bus=scsi', '--tag', 'one,two']
    const limits = ['--min-disk', '2G', '--min-ram', '256M', '--protected', '--visibility', 'community']
    await site.json(z.object({ image: imageDocument }), [
      ...['images', 'upload', qcow2, `east:${name}`, ...options, ...limits],
    ])
    const shown = await alice.json(clientImage, 'image', 'show', name)
    expect(shown).toMatchObject({
      ...{ status: 'active', disk_format: 'qcow2', container_format: 'bare', visibility: 'community' },
      ...{ min_disk: 2, min_ram: 256, protected: true },
      properties: expect.objectContaining({ os_distro: 'debian', hw_disk_bus: 'scsi' }),
    })
    expect(shown.tags.sort()).toEqual(['one', 'two'])
    const saved = join(site.home, 'saved.qcow2')
    await alice.run('image', 'save', '--file', saved, shown.id)
    expect(await sha512OfFile(saved)).toBe(await sha512OfFile(qcow2))
    await site.json(z.unknown(), ['images', 'set', `east:${name}`, '--no-protected'])
    await alice.run('image', 'delete', shown.id)
  })

  test('that we upload from stdin are whole', async () => {
    const name = `${prefix} piped`
    const { exitCode, stderr } = await site.run(
      ['images', 'upload', '-', `east:${name}`, '--disk-format', 'qcow2'],
      { prefix: ['sh', '-c', `exec "$@" < '${qcow2}'`, 'sh'] },
    )
    expect(exitCode, stderr).toBe(0)
    expect(await imagesOf(east, name)).toMatchObject([
      {
        status: 'active',
        visibility: 'private',
        disk_format: 'qcow2',
        os_hash_value: await sha512OfFile(qcow2),
      },
    ])
  })

  test('that the client uploads are downloaded by us byte for byte, to a file and to a pipe', async () => {
    const name = `${prefix} theirs`
    const options = [
      '--disk-format',
      'raw',
      '--container-format',
      'bare',
      '--tag',
      prefix,
      '--min-ram',
      '128',
    ]
    await alice.run(
      ...['image', 'create', '--file', raw, ...options, '--property', 'architecture=x86_64', name],
    )
    const shown = await site.json(imageDocument.loose(), ['images', 'show', `east:${name}`])
    expect(shown).toMatchObject({
      ...{ status: 'active', format: 'raw', size: 16 * 2 ** 20, minRam: 128, tags: [prefix] },
      properties: { architecture: 'x86_64' },
    })
    const [file, piped] = [join(site.home, 'theirs.raw'), join(site.home, 'piped.raw')]
    await site.json(z.unknown(), ['images', 'download', `east:${name}`, file])
    const { exitCode } = await site.run(['images', 'download', `east:${name}`, '-'], {
      prefix: ['sh', '-c', `exec "$@" > '${piped}'`, 'sh'],
    })
    expect(exitCode).toBe(0)
    expect([await sha512OfFile(file), await sha512OfFile(piped)]).toEqual(
      Array(2).fill(await sha512OfFile(raw)),
    )
    expect(
      await site.json(z.array(imageDocument), ['images', 'list', 'east', '--tag', prefix]),
    ).toMatchObject([{ name }])
  })

  test('are shared by us and accepted by the client, and the other way round', async () => {
    const [ours, theirs] = [`${prefix} for bob`, `${prefix} for bob too`]
    await site.json(z.unknown(), ['images', 'upload', qcow2, `east:${ours}`])
    await site.json(z.unknown(), ['images', 'share', `east:${ours}`, beta])
    const oursId = (await alice.json(clientImage, 'image', 'show', ours)).id
    await bob.run('image', 'set', '--accept', oursId)

    const created = await alice.json(
      z.object({ id: z.string() }),
      ...['image', 'create', '--file', raw, '--disk-format', 'raw', '--shared', theirs],
    )
    await alice.run('image', 'add', 'project', created.id, beta)
    await site.json(z.unknown(), ['images', 'accept', `east-bob:${created.id}`])

    const listed = await bob.json(clientImageList, 'image', 'list')
    expect(listed.map(({ Name }) => Name)).toEqual(expect.arrayContaining([ours, theirs]))
    const seen = await site.json(z.array(imageDocument), ['images', 'list', 'east-bob'])
    expect(seen.map(({ name }) => name)).toEqual(expect.arrayContaining([ours, theirs]))
  })

  test('that are a machine in three parts become one disk that starts, kernel and ramdisk being named by its image', async () => {
    const at = (name: string) => join(site.home, name)
    const [root, kernel, ramdisk, disk] = [at('root'), at('kernel'), at('ramdisk'), at('machine.raw')]
    const { version } = await findHostKernel()
    const entries = [directory(`/lib/modules/${version}`)]
    const { uuid } = await buildTinyGuest(root, { label: 'none', bootable: 'separate', entries })
    const files = await tinyBootFiles(uuid)
    await writeFile(kernel, files.kernel)
    await writeFile(ramdisk, files.ramdisk)

    const upload = async (path: string, name: string, ...options: string[]) => {
      const target = ['images', 'upload', path, `east:${prefix} ${name}`]
      return (await site.json(z.object({ image: imageDocument }), [...target, ...options])).image.id
    }
    const kernelId = await upload(kernel, 'kernel', '--disk-format', 'aki')
    const ramdiskId = await upload(ramdisk, 'ramdisk', '--disk-format', 'ari')
    const named = ['--property', `kernel_id=${kernelId}`, '--property', `ramdisk_id=${ramdiskId}`]
    await upload(root, 'machine', '--disk-format', 'ami', ...named)
    const { bootable } = await site.json(bootableDocument, [
      ...['export', `east:${prefix} machine`, disk, '--bootable', '--firmware', 'bios'],
    ])
    expect(bootable).toMatchObject({
      kernel: { version, image: `east:${prefix} kernel`, ramdisk: `east:${prefix} ramdisk` },
      warnings: [],
    })
    await bootDisk(disk, { until: /TINY-BOOT-OK/, timeout: 300_000 })
  })
}, ['mke2fs', 'busybox', 'grub-mkimage', '/usr/lib/grub/i386-pc/boot.img'])

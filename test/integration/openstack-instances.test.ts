import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { execa } from 'execa'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { Cloud, CloudImage, CloudInstance, NewInstance } from '../../src/clouds/cloud.ts'
import { openCloud } from '../../src/clouds/open-cloud.ts'
import { loadConfig } from '../../src/config/load-config.ts'
import { poll } from '../../src/core/abort.ts'
import { runProgram } from '../../src/core/program.ts'
import { Imagewright } from '../../src/operations/imagewright.ts'
import type { AccountName } from '../../testbed/openstack/accounts.ts'
import type { OpenStack } from '../../testbed/openstack/openstack.ts'
import { buildTinyGuest } from '../../testbed/tiny-guest.ts'
import { cloudError } from '../conformance/image-conformance.ts'
import { describeRunningInstances } from '../conformance/running-instance-conformance.ts'
import { describeStoppedInstances } from '../conformance/stopped-instance-conformance.ts'
import { documentedCommands } from '../support/documented-commands.ts'
import { describeOpenStack, type OpenStackClient, openStackClient, openStacks } from '../support/openstack.ts'
import { makeSite } from '../support/site.ts'

const birthmark = /BIRTHMARK ([0-9a-f-]{36})\./
/** MiB. */
const memory = 256
const prefix = `instances-${process.pid}`

describeOpenStack('OpenStack', () => {
  let provider: OpenStack
  let root: string
  let guest: string
  let cloud: Cloud
  let client: OpenStackClient

  beforeAll(async () => {
    ;({ east: provider } = await openStacks())
    root = await mkdtemp(join(tmpdir(), 'imagewright-openstack-'))
    guest = join(root, 'guest.raw')
    await buildTinyGuest(guest, {
      bootable: true,
      atBoot: `
        [ -e /birthmark ] || { cat /proc/sys/kernel/random/uuid > /birthmark; sync; }
        echo "BIRTHMARK $(cat /birthmark)." > /dev/console`,
    })
    cloud = await openAs('alice')
    client = openStackClient(provider.cloudsFile, provider.cloud('alice'))
  })
  afterAll(async () => {
    await cloud.close()
    await rm(root, { recursive: true, force: true })
  })

  const environment = () => ({ IMAGEWRIGHT_HOME: root, OS_CLIENT_CONFIG_FILE: provider.cloudsFile })

  async function openAs(account: AccountName): Promise<Cloud> {
    const name = provider.cloud(account)
    const { clouds } = await loadConfig({ environment: environment(), workingDirectory: root })
    const settings = clouds[name]
    if (!settings) throw new Error(`There is no ${name}`)
    return openCloud(name, settings)
  }

  /** A guest that does not listen is not waited for longer than this many seconds. */
  const harness = async (shutdownTimeout: number) => {
    const opened = await openAs('alice')
    return {
      cloud: opened,
      openAgain: () => openAs('alice'),
      close: () => opened.close(),
      launch: { memory },
      guestProperties: { os_shutdown_timeout: String(shutdownTimeout) },
    }
  }

  describeStoppedInstances('OpenStack', () => harness(0))
  describeRunningInstances('OpenStack', async () => ({
    ...(await harness(3)),
    bootable: { path: guest, format: 'raw', birthmark, memory },
  }))

  let count = 0
  const unique = () => `${prefix}-${++count}`

  async function uploadGuest(properties: Record<string, string> = {}): Promise<CloudImage> {
    const name = unique()
    const content = await readFile(guest)
    const image = await cloud.images.create(
      { name, format: 'raw', properties: { os_shutdown_timeout: '3', ...properties } },
      { key: name },
    )
    return cloud.images.upload(image.id, (sink) => sink.write(content), { size: content.length })
  }

  async function launch(instance: Partial<NewInstance> & { imageId: string }): Promise<CloudInstance> {
    const name = unique()
    return cloud.instances.launch({ name, memory, network: 'none', ...instance }, { key: name })
  }

  async function boot(id: string): Promise<string> {
    return poll({
      what: `the birthmark of ${id}`,
      deadline: 180_000,
      interval: 500,
      maximumInterval: 2_000,
      attempt: async () => birthmark.exec(await cloud.instances.console(id))?.[1],
    })
  }

  /** Deletes it, and checks with the official client that nothing of ours is left. */
  async function cleanUp(): Promise<void> {
    for await (const instance of cloud.instances.list()) {
      if (instance.name.startsWith(prefix)) await cloud.instances.terminate(instance.id)
    }
    for await (const image of cloud.images.list()) {
      if (image.name.startsWith(prefix)) await cloud.images.delete(image.id)
    }
  }

  const names = z.array(z.object({ Name: z.string() }))
  const listed = async (...command: string[]) =>
    (await client.json(names, ...command, 'list')).map(({ Name }) => Name)

  /** Nothing temporary of the way from a volume to an image. */
  async function expectNoPieces(): Promise<void> {
    for (const kind of [['volume'], ['volume', 'snapshot'], ['image']]) {
      expect((await listed(...kind)).filter((name) => /imagewright /.test(name))).toEqual([])
    }
  }

  describe('a server with a local disk', () => {
    let image: CloudImage
    let server: CloudInstance
    let mark: string

    beforeAll(async () => {
      image = await uploadGuest()
      server = await launch({ imageId: image.id })
      mark = await boot(server.id)
    })
    afterAll(cleanUp)

    /** Snapshots it, checks that it is left in its state, and gives the snapshot’s birthmark. */
    async function capture(status: string): Promise<string> {
      const name = unique()
      const snapshot = await cloud.instances.snapshot(server.id, { name }, { key: name })
      expect(snapshot).toMatchObject({ quiesced: false, borrowed: false, image: { name, status: 'active' } })
      expect((await cloud.instances.get(server.id)).status).toBe(status)
      const clone = await launch({ imageId: snapshot.image.id })
      const found = await boot(clone.id)
      await cloud.instances.terminate(clone.id)
      await cloud.images.delete(snapshot.image.id)
      return found
    }

    it('is captured while it is paused', async () => {
      await client.run('server', 'pause', server.id)
      await until(server.id, 'paused')
      expect(await capture('paused')).toBe(mark)
      expect((await cloud.instances.start(server.id)).status).toBe('running')
    })

    it('is captured while it is suspended', async () => {
      await client.run('server', 'suspend', server.id)
      await until(server.id, 'suspended')
      expect(await capture('suspended')).toBe(mark)
      expect((await cloud.instances.start(server.id)).status).toBe('running')
    })

    it('is captured while it is shut off', async () => {
      expect((await cloud.instances.stop(server.id)).status).toBe('stopped')
      expect(await capture('stopped')).toBe(mark)
    })

    it('lends what it is kept in while it is shelved, which is copied for those who want a snapshot', async () => {
      await client.run('server', 'shelve', '--offload', '--wait', server.id)
      await until(server.id, 'shelved')
      const lent = await cloud.instances.snapshot(server.id, { name: unique() }, { key: unique() })
      expect(lent).toMatchObject({ borrowed: true, quiesced: false, image: { status: 'active' } })

      const imagewright = await Imagewright.open({ environment: environment() })
      const name = unique()
      try {
        const copied = await imagewright.snapshotInstance(`${cloud.name}:${server.id}`, name)
        expect(copied).toMatchObject({ consistency: 'stopped', image: { name, visibility: 'private' } })
        expect(copied.image.id).not.toBe(lent.image.id)
        expect(copied.image.checksums).toEqual(lent.image.checksums)
      } finally {
        await imagewright.close()
      }
      expect((await cloud.images.get(lent.image.id)).status).toBe('active')
      expect((await cloud.instances.start(server.id)).status).toBe('running')
      expect(await boot(server.id)).toBe(mark)
    })

    const until = (id: string, status: string) =>
      poll({
        what: `${id} to be ${status}`,
        deadline: 120_000,
        attempt: async () => (await cloud.instances.get(id)).status === status || undefined,
      })
  })

  describe('a guest that is to be frozen and has no agent', () => {
    afterEach(cleanUp)

    // Nova goes on in both cases.
    it.each([{}, { os_require_quiesce: 'yes' }])(
      'is captured all the same from its host, and nobody claims that it was frozen: %j',
      async (properties) => {
        const image = await uploadGuest({ hw_qemu_guest_agent: 'yes', ...properties })
        const server = await launch({ imageId: image.id })
        await boot(server.id)
        const name = unique()
        const snapshot = await cloud.instances.snapshot(server.id, { name }, { key: name })
        expect(snapshot.quiesced).toBeNull()
      },
    )

    it('is not captured from its volume where freezing is required', async () => {
      const image = await uploadGuest({ hw_qemu_guest_agent: 'yes', os_require_quiesce: 'yes' })
      const server = await launch({ imageId: image.id, volume: {}, diskSize: 1 })
      await boot(server.id)
      const name = unique()
      await expect(cloud.instances.snapshot(server.id, { name }, { key: name })).rejects.toMatchObject(
        cloudError('INSTANCE_SNAPSHOT_FAILED'),
      )
      expect(await listed('image')).not.toContain(name)
      expect((await cloud.instances.get(server.id)).status).toBe('running')
      await expectNoPieces()
    })
  })

  describe('a server whose disk is a volume', () => {
    afterEach(async () => {
      await cleanUp()
      await expectNoPieces()
    })

    it.each([
      ['by Cinder', {}, false],
      ['by Nova, which tries to freeze it', { hw_qemu_guest_agent: 'yes' }, null],
    ] as const)(
      'boots, becomes an image with bytes while it runs, and goes with its volume: %s',
      async (_, properties, quiesced) => {
        const image = await uploadGuest(properties)
        const server = await launch({ imageId: image.id, volume: {}, diskSize: 2 })
        expect(server.imageId).toBeNull()
        const volumeId = server.properties.volumes ?? ''
        expect((await client.json(z.object({ size: z.number() }), 'volume', 'show', volumeId)).size).toBe(2)
        const mark = await boot(server.id)

        const name = unique()
        const snapshot = await cloud.instances.snapshot(
          server.id,
          { name, properties: { purpose: 'test' } },
          { key: name },
        )
        expect(snapshot).toMatchObject({
          quiesced,
          borrowed: false,
          image: {
            name,
            status: 'active',
            visibility: 'private',
            format: 'qcow2',
            virtualSize: 2 * 1024 ** 3,
          },
        })
        expect(snapshot.image.size).toBeGreaterThan(1024 ** 2)
        expect(snapshot.image.properties.purpose).toBe('test')
        expect((await cloud.instances.snapshot(server.id, { name }, { key: name })).image.id).toBe(
          snapshot.image.id,
        )

        const clone = await launch({ imageId: snapshot.image.id, diskSize: 3 })
        expect(await boot(clone.id)).toBe(mark)
        await cloud.instances.terminate(server.id)
        await expect(client.run('volume', 'show', volumeId)).rejects.toThrow(/No volume/)
      },
    )

    it('has to be started before it is captured when it is shelved: its volume is reserved', async () => {
      const image = await uploadGuest()
      const server = await launch({ imageId: image.id, volume: {}, diskSize: 1 })
      await client.run('server', 'shelve', '--offload', '--wait', server.id)
      const name = unique()
      await expect(cloud.instances.snapshot(server.id, { name }, { key: name })).rejects.toMatchObject(
        cloudError('INSTANCE_STATE'),
      )
      expect((await cloud.instances.start(server.id)).status).toBe('running')
    })

    it('leaves nothing when its snapshot is cancelled, whenever that is', async () => {
      const image = await uploadGuest()
      const server = await launch({ imageId: image.id, volume: {}, diskSize: 1 })
      for (const after of [50, 1_000, 2_500]) {
        const cancel = new AbortController()
        setTimeout(() => cancel.abort(), after)
        const options = { key: unique(), signal: cancel.signal }
        const taken = cloud.instances.snapshot(server.id, { name: unique() }, options)
        await expect(taken).rejects.toMatchObject({ code: 'CANCELLED' })
        await expectNoPieces()
      }
      expect((await cloud.instances.get(server.id)).status).toBe('running')
    })

    it('leaves nothing when the process that captures it is killed and its job undone', async () => {
      const image = await uploadGuest()
      const server = await launch({ imageId: image.id, volume: {}, diskSize: 1 })
      await using site = await makeSite({ env: { OS_CLIENT_CONFIG_FILE: provider.cloudsFile } })
      for (const after of [1_000, 3_000]) {
        await site.interrupt(['snapshot', `${cloud.name}:${server.id}`, unique()], {
          when: /Taking a snapshot/,
          after,
          signal: 'SIGKILL',
        })
      }
      const jobs = await site.json(z.array(z.object({ id: z.string(), status: z.string() })), [
        'jobs',
        'list',
      ])
      expect(jobs.map(({ status }) => status)).toEqual(['interrupted', 'interrupted'])
      for (const { id } of jobs) await site.run(['jobs', 'undo', id])
    })
  })

  describe('a server that cannot be had', () => {
    afterEach(cleanUp)

    it('is refused where the quota is used up, and nothing is left', async () => {
      const small = await openAs('sam')
      const image = await uploadGuest()
      await cloud.images.update(image.id, { visibility: 'community' })
      const name = unique()
      await expect(
        small.instances.launch({ name, imageId: image.id, memory, network: 'none' }, { key: name }),
      ).rejects.toMatchObject(cloudError('CLOUD_QUOTA'))
      expect(await Array.fromAsync(small.instances.list())).toEqual([])
      await small.close()
    })

    it('finds no host that fits its image, says so, and is deleted', async () => {
      const image = await uploadGuest({ hypervisor_type: 'xen' })
      await expect(launch({ imageId: image.id })).rejects.toMatchObject(cloudError('INSTANCE_NO_HOST'))
      expect((await listed('server')).filter((name) => name.startsWith(prefix))).toEqual([])
    })

    it('is refused with a key, a group or a network that does not exist', async () => {
      const image = await uploadGuest()
      const invalid = cloudError('INSTANCE_INVALID')
      const imageId = image.id
      await expect(launch({ imageId, keyName: unique() })).rejects.toMatchObject(invalid)
      await expect(launch({ imageId, network: unique() })).rejects.toMatchObject(invalid)
      await expect(launch({ imageId, flavor: unique() })).rejects.toMatchObject(invalid)
      expect((await listed('server')).filter((name) => name.startsWith(prefix))).toEqual([])
    })
  })

  describe('the command line', () => {
    afterEach(async () => {
      await cleanUp()
      const pairs = (await listed('keypair')).filter((name) => name.startsWith(prefix))
      for (const name of pairs) await client.run('keypair', 'delete', name)
    })

    it('takes an instance through its life', async () => {
      const image = await uploadGuest()
      const key = unique()
      await client.run('keypair', 'create', '--public-key', await publicKey(), key)
      await using site = await makeSite({ env: { OS_CLIENT_CONFIG_FILE: provider.cloudsFile } })
      const shown = z.object({
        id: z.string(),
        status: z.string(),
        address: z.object({ host: z.string(), port: z.number() }).nullable(),
        properties: z.record(z.string(), z.string()),
      })
      const name = unique()
      const at = `${cloud.name}:${name}`
      const launched = await site.json(shown, [
        'instances',
        'launch',
        `${cloud.name}:${image.name}`,
        name,
        '--memory',
        '256M',
        '--key',
        key,
      ])
      expect(launched).toMatchObject({
        status: 'running',
        address: { port: 22 },
        properties: { key_pair: key },
      })
      const listing = await site.run(['instances', 'list', cloud.name])
      expect(listing.stdout).toContain(launched.id)
      await boot(launched.id)
      expect((await site.run(['instances', 'console', at])).stdout).toMatch(birthmark)
      expect((await site.json(shown, ['instances', 'stop', at])).status).toBe('stopped')
      expect((await site.json(shown, ['instances', 'start', at])).status).toBe('running')
      await site.run(['instances', 'terminate', at])
      expect((await site.failure(['instances', 'show', at])).code).toBe('INSTANCE_NOT_FOUND')
    })

    it('does what docs/instances.md shows', async () => {
      const image = await uploadGuest()
      const clouds = join(root, 'campus.yaml')
      const entries = await readFile(provider.cloudsFile, 'utf8')
      await writeFile(clouds, entries.replaceAll(cloud.name, 'campus'))
      await writeFile(join(root, 'first-boot.sh'), '#!/bin/sh\n')
      await client.run('keypair', 'create', '--public-key', await publicKey(), `${prefix}-me`)
      const commands = documentedCommands('docs/instances.md', 'sh openstack')
      expect(commands.length).toBeGreaterThanOrEqual(10)
      for (const command of commands) {
        // Other runs may share the provider, so that everything gets a name of this one.
        const own = command
          .replaceAll('campus:debian', `campus:${image.id}`)
          .replaceAll(/\bweb(\d)/g, `${prefix}-web$1`)
          .replace('--key me', `--key ${prefix}-me`)
        await runShell(own, clouds)
      }
      expect((await listed('server')).filter((name) => name.startsWith(prefix))).toEqual([])
      expect(await listed('image')).toContain(`${prefix}-web1 before the upgrade`)
    })

    /** @throws Error with what it printed when it fails */
    async function runShell(line: string, clouds: string): Promise<void> {
      const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
      await execa('bash', ['-c', `imagewright() { "$NODE" "$MAIN" "$@"; }; set -euo pipefail; ${line}`], {
        cwd: root,
        env: { ...environment(), OS_CLIENT_CONFIG_FILE: clouds, NODE: process.execPath, MAIN: main },
      })
    }

    async function publicKey(): Promise<string> {
      const path = join(root, 'id_ed25519')
      await rm(path, { force: true })
      await runProgram('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', path], { timeout: 10_000 })
      return `${path}.pub`
    }
  })
})

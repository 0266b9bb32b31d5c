import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readdir, rename, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Cloud, NewImage } from '../../../src/clouds/cloud.ts'
import { openLocalCloud } from '../../../src/clouds/local/open-local-cloud.ts'
import { writeQcow2Overlay } from '../../../src/disk/qcow2/qcow2-overlay.ts'
import { listenForLines } from './line-server.ts'

describe('the embedded cloud', () => {
  let folder: string
  let cloud: Cloud
  const children: ChildProcess[] = []

  beforeEach(async () => {
    folder = join(await mkdtemp(join(tmpdir(), 'imagewright-local-')), 'cloud')
    cloud = await openLocalCloud({ name: 'local', folder })
  })
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL')
    await rm(join(folder, '..'), { recursive: true, force: true })
  })

  const content = Buffer.alloc(8192, 'content ')

  async function activeImage(name = 'image', record: Partial<NewImage> = {}): Promise<string> {
    const { id } = await cloud.images.create({ name, format: 'raw', ...record }, { key: randomUUID() })
    await cloud.images.upload(id, (sink) => sink.write(content))
    return id
  }

  /** A process of its own that opens the cloud and runs `script`, which ends by printing something. */
  async function inAnotherProcess(script: string): Promise<ChildProcess> {
    const module = new URL('../../../src/clouds/local/open-local-cloud.ts', import.meta.url)
    const program = `
      import { openLocalCloud } from ${JSON.stringify(module.href)}
      const cloud = await openLocalCloud({ name: 'local', folder: ${JSON.stringify(folder)} })
      const wait = () => new Promise((resolve) => setTimeout(resolve, 60_000))
      ${script}`
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    children.push(child)
    return child
  }

  async function outputOf(child: ChildProcess): Promise<string> {
    if (child.stdout === null) throw new Error('no stdout')
    const [chunk] = await once(child.stdout, 'data')
    return String(chunk)
  }

  describe('its folder', () => {
    it('is for its owner alone', async () => {
      const id = await activeImage()
      for (const path of ['', 'images', 'instances', 'scratch', join('images', id)]) {
        expect((await stat(join(folder, path))).mode & 0o077).toBe(0)
      }
      expect((await stat(join(folder, 'images', id, 'data'))).mode & 0o077).toBe(0)
    })

    it('is refused when it is a file', async () => {
      const file = join(folder, 'file')
      await writeFile(file, '')
      await expect(openLocalCloud({ name: 'local', folder: file })).rejects.toMatchObject({
        code: 'LOCAL_FOLDER_UNUSABLE',
        message: expect.stringContaining(file),
      })
    })

    it('is not listed wrong because of what does not belong there', async () => {
      const id = await activeImage()
      await mkdir(join(folder, 'images', randomUUID()))
      await mkdir(join(folder, 'images', 'not an id'))
      await writeFile(join(folder, 'images', 'file'), '')
      await mkdir(join(folder, 'instances', randomUUID()))
      expect((await Array.fromAsync(cloud.images.list())).map((image) => image.id)).toEqual([id])
      expect(await Array.fromAsync(cloud.instances.list())).toEqual([])
    })

    it('shows an image whose record is damaged, so that it can be deleted', async () => {
      const good = await activeImage()
      const bad = await activeImage()
      await writeFile(join(folder, 'images', bad, 'image.json'), '{"id": 5')
      const statuses = (await Array.fromAsync(cloud.images.list())).map(({ id, status }) => [id, status])
      expect(Object.fromEntries(statuses)).toEqual({ [good]: 'active', [bad]: 'error' })
      await expect(cloud.images.get(bad)).rejects.toMatchObject({
        code: 'LOCAL_RECORD_INVALID',
        message: expect.stringContaining(bad),
      })
      await cloud.images.delete(bad)
      expect(await Array.fromAsync(cloud.images.list())).toHaveLength(1)
    })

    it('shows an instance whose record is damaged, so that it can be terminated', async () => {
      const imageId = await activeImage()
      const { id } = await cloud.instances.launch({ name: 'vm', imageId, start: false }, { key: 'k' })
      await writeFile(join(folder, 'instances', id, 'instance.json'), '')
      const [instance] = await Array.fromAsync(cloud.instances.list())
      expect(instance).toMatchObject({ id, status: 'error', fault: expect.stringContaining('instance.json') })
      await cloud.instances.terminate(id)
      expect(await Array.fromAsync(cloud.instances.list())).toEqual([])
    })

    it('can be moved with its instances', async () => {
      const imageId = await activeImage()
      const { id } = await cloud.instances.launch({ name: 'vm', imageId, start: false }, { key: 'k' })
      const moved = `${folder}-moved`
      await rename(folder, moved)
      const again = await openLocalCloud({ name: 'local', folder: moved })
      const { image } = await again.instances.snapshot(id, { name: 'snapshot' }, { key: 's' })
      expect(image.virtualSize).toBe(content.length)
    })
  })

  describe('several processes', () => {
    it('make one image of one key at the same moment', async () => {
      const create = `
        const image = await cloud.images.create({ name: 'x', format: 'raw' }, { key: 'shared' })
        process.stdout.write(image.id)`
      const processes = await Promise.all(Array.from({ length: 4 }, () => inAnotherProcess(create)))
      const ids = await Promise.all(processes.map(outputOf))
      expect(new Set(ids).size).toBe(1)
      expect(await Array.fromAsync(cloud.images.list())).toHaveLength(1)
    })

    it('are not in the way of others when they are killed during an upload', async () => {
      const { id } = await cloud.images.create({ name: 'x', format: 'raw' }, { key: 'k' })
      const child = await inAnotherProcess(`
        await cloud.images.upload(${JSON.stringify(id)}, async (sink) => {
          await sink.write(Buffer.alloc(100_000))
          process.stdout.write('half')
          await wait()
        })`)
      await outputOf(child)
      child.kill('SIGKILL')
      await once(child, 'exit')
      expect(await cloud.images.get(id)).toMatchObject({ status: 'pending', size: null })
      await cloud.images.upload(id, (sink) => sink.write(content))
      expect(await cloud.images.get(id)).toMatchObject({ status: 'active', size: content.length })
    })

    it('have their scratch swept when they are dead, and only then', async () => {
      const { id } = await cloud.images.create({ name: 'x', format: 'raw' }, { key: 'k' })
      const child = await inAnotherProcess(`
        await cloud.images.upload(${JSON.stringify(id)}, async (sink) => {
          await sink.write(Buffer.alloc(100_000))
          process.stdout.write('half')
          await wait()
        })`)
      await outputOf(child)
      await ageScratch()
      await openLocalCloud({ name: 'local', folder })
      expect(await readdir(join(folder, 'scratch'))).toHaveLength(1)
      child.kill('SIGKILL')
      await once(child, 'exit')
      await openLocalCloud({ name: 'local', folder })
      expect(await readdir(join(folder, 'scratch'))).toEqual([])
    })

    async function ageScratch(): Promise<void> {
      for (const name of await readdir(join(folder, 'scratch'))) {
        await utimes(join(folder, 'scratch', name), 1, 1)
      }
    }
  })

  describe('its images', () => {
    it('are refused when they are not what they were declared to be', async () => {
      const { id } = await cloud.images.create({ name: 'x', format: 'qcow2' }, { key: 'k' })
      await expect(cloud.images.upload(id, (sink) => sink.write(content))).rejects.toMatchObject({
        code: expect.stringMatching(/^IMAGE_/),
      })
      expect((await cloud.images.get(id)).status).toBe('pending')
      expect(await readdir(join(folder, 'images', id))).not.toContain('data')
    })

    it('are refused when they would make QEMU open another file', async () => {
      const { id } = await cloud.images.create({ name: 'x', format: 'qcow2' }, { key: 'k' })
      const hostile = cloud.images.upload(id, (sink) =>
        writeQcow2Overlay(sink, { size: 1024 * 1024, backingFile: '/etc/passwd', backingFormat: 'raw' }),
      )
      await expect(hostile).rejects.toMatchObject({ code: 'IMAGE_BACKING_FILE' })
      expect((await cloud.images.get(id)).status).toBe('pending')
    })

    it('are refused when fewer bytes arrive than were announced', async () => {
      const { id } = await cloud.images.create({ name: 'x', format: 'raw' }, { key: 'k' })
      const upload = cloud.images.upload(id, (sink) => sink.write(content), { size: content.length + 512 })
      await expect(upload).rejects.toMatchObject({ code: 'IMAGE_STATE' })
      expect((await cloud.images.get(id)).status).toBe('pending')
    })

    it('come in formats it knows', async () => {
      const create = cloud.images.create({ name: 'x', format: 'vmdk' }, { key: 'k' })
      await expect(create).rejects.toMatchObject({ code: 'CLOUD_UNSUPPORTED' })
    })

    it('are kernels only when they are no disk in disguise', async () => {
      const { id } = await cloud.images.create({ name: 'x', format: 'aki' }, { key: 'k' })
      const disguised = cloud.images.upload(id, (sink) =>
        writeQcow2Overlay(sink, { size: 1024 * 1024, backingFile: '/etc/passwd', backingFormat: 'raw' }),
      )
      await expect(disguised).rejects.toMatchObject({ code: 'IMAGE_FORMAT_MISMATCH' })
      expect((await cloud.images.get(id)).status).toBe('pending')
    })

    it('have the container of their format, as in Glance, or none', async () => {
      for (const container of ['aki', 'bare']) await activeImage('x', { format: 'aki', container })
      const create = cloud.images.create({ name: 'x', format: 'raw', container: 'aki' }, { key: 'k' })
      await expect(create).rejects.toMatchObject({ code: 'CLOUD_UNSUPPORTED' })
    })

    it('are listed newest first', async () => {
      const ids: string[] = []
      for (const name of ['a', 'b', 'c']) ids.unshift(await activeImage(name))
      expect((await Array.fromAsync(cloud.images.list())).map(({ id }) => id)).toEqual(ids)
    })
  })

  describe('without its hypervisor', () => {
    it('says what is missing and leaves no instance behind', async () => {
      const without = await openLocalCloud({ name: 'local', folder, hypervisor: 'no-such-qemu' })
      const imageId = await activeImage()
      await expect(without.instances.launch({ name: 'vm', imageId }, { key: 'k' })).rejects.toMatchObject({
        code: 'PROGRAM_MISSING',
        hint: expect.stringContaining('apt-get install'),
      })
      expect(await without.instances.findByKey('k')).toBeNull()
      const rows = await without.check()
      expect(rows.find((row) => row.capability === 'run instances')).toMatchObject({
        allowed: false,
        detail: expect.stringContaining('apt-get install'),
      })
    })

    it('still makes stopped instances and images of them', async () => {
      const without = await openLocalCloud({ name: 'local', folder, hypervisor: 'no-such-qemu' })
      const imageId = await activeImage()
      const { id } = await without.instances.launch({ name: 'vm', imageId, start: false }, { key: 'k' })
      const { image } = await without.instances.snapshot(id, { name: 'snapshot' }, { key: 's' })
      expect(image.status).toBe('active')
      await expect(without.instances.start(id)).rejects.toMatchObject({ code: 'PROGRAM_MISSING' })
      await without.instances.terminate(id)
    })

    it('says why a machine does not start', async () => {
      const broken = join(folder, 'broken-qemu')
      await writeFile(
        broken,
        '#!/bin/sh\ncase "$1" in --version) echo "QEMU emulator version 9.9";; *) echo "no such board" >&2; exit 3;; esac\n',
      )
      await chmod(broken, 0o755)
      const local = await openLocalCloud({ name: 'local', folder, hypervisor: broken })
      const imageId = await activeImage()
      await expect(local.instances.launch({ name: 'vm', imageId }, { key: 'k' })).rejects.toMatchObject({
        code: 'INSTANCE_FAILED',
        message: expect.stringContaining('no such board'),
      })
      const instance = await local.instances.findByKey('k')
      expect(instance).toMatchObject({ status: 'error', fault: expect.stringContaining('no such board') })
      await local.instances.terminate(instance?.id ?? '')
    })
  })

  describe('its instances', () => {
    it('are never confused with a process that was given their number', async () => {
      const imageId = await activeImage()
      const { id } = await cloud.instances.launch({ name: 'vm', imageId, start: false }, { key: 'k' })
      const stranger = spawn('sleep', ['60'], { stdio: 'ignore' })
      children.push(stranger)
      await once(stranger, 'spawn')
      await writeFile(join(folder, 'instances', id, 'pid'), `${stranger.pid}\n`)
      expect((await cloud.instances.get(id)).status).toBe('stopped')
      expect(await cloud.instances.address(id)).toBeNull()
      await cloud.instances.stop(id, { deadline: 0 })
      await cloud.instances.terminate(id)
      expect(stranger.exitCode ?? stranger.signalCode).toBeNull()
    })

    it('are thawed when a process was killed while they were frozen', async () => {
      const imageId = await activeImage()
      const { id } = await cloud.instances.launch({ name: 'vm', imageId, start: false }, { key: 'k' })
      const path = join(folder, 'instances', id)
      const machine = spawn(process.execPath, [
        '-e',
        'setInterval(() => undefined, 1000)',
        `imagewright-${id}`,
      ])
      children.push(machine)
      await once(machine, 'spawn')
      await writeFile(join(path, 'pid'), `${machine.pid}\n`)
      await writeFile(join(path, 'frozen.json'), '{}')
      const agent = await listenForLines(join(path, 'agent.sock'), {
        answer: (message, send) => send({ return: message.arguments?.id ?? 1 }),
      })
      await openLocalCloud({ name: 'local', folder })
      await agent.close()
      expect(agent.received.map(({ execute }) => execute)).toEqual(['guest-sync', 'guest-fsfreeze-thaw'])
      expect(await readdir(path)).not.toContain('frozen.json')
    })

    it.each(['aki', 'ari'])('are refused when their disk would be an %s', async (format) => {
      const imageId = await activeImage('part', { format })
      const launch = cloud.instances.launch({ name: 'vm', imageId, start: false }, { key: 'k' })
      await expect(launch).rejects.toMatchObject({ code: 'INSTANCE_INVALID' })
    })

    it('have an ami as their disk, unless its kernel is an image of its own', async () => {
      const imageId = await activeImage('whole', { format: 'ami' })
      const { id } = await cloud.instances.launch({ name: 'vm', imageId, start: false }, { key: 'k' })
      const { image } = await cloud.instances.snapshot(id, { name: 'snapshot' }, { key: 's' })
      expect(image.virtualSize).toBe(content.length)
      const apart = await activeImage('apart', { format: 'ami', properties: { kernel_id: randomUUID() } })
      const launch = cloud.instances.launch({ name: 'vm', imageId: apart, start: false }, { key: 'l' })
      await expect(launch).rejects.toMatchObject({
        code: 'INSTANCE_INVALID',
        hint: expect.stringContaining('--bootable'),
      })
    })

    it.each([
      ['a disk smaller than the image', { diskSize: 0 }, 'INSTANCE_INVALID'],
      ['no processor', { cpus: 0 }, 'INSTANCE_INVALID'],
      ['half a mebibyte of memory', { memory: 1.5 }, 'INSTANCE_INVALID'],
      ['a flavor', { flavor: 'm1.small' }, 'CLOUD_UNSUPPORTED'],
      ['a network there is not', { network: 'public' }, 'CLOUD_UNSUPPORTED'],
      ['17 MiB of user data', { userData: 'x'.repeat(17 * 1024 * 1024) }, 'INSTANCE_INVALID'],
    ])('are refused when they ask for %s', async (_what, changes, code) => {
      const imageId = await activeImage()
      const launch = cloud.instances.launch({ name: 'vm', imageId, start: false, ...changes }, { key: 'k' })
      await expect(launch).rejects.toMatchObject({ code })
      expect(await cloud.instances.findByKey('k')).toBeNull()
      expect(await readdir(join(folder, 'scratch'))).toEqual([])
    })
  })
})

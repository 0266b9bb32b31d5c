import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type CreateImageRequest,
  Imagewright,
  ImagewrightError,
  type JobEvent,
  type OperationHandle,
} from '../src/index.ts'
import { makeExt4 } from '../testbed/ext4-filesystem.ts'
import { type LibrarySite, makeLibrarySite } from './support/library-site.ts'
import { describeWith } from './support/requirements.ts'

const mebibyte = 1024 * 1024

describeWith(['mke2fs'], 'the library', () => {
  let site: LibrarySite
  let disk = ''

  beforeAll(async () => {
    site = await makeLibrarySite('clouds: { lab: { type: local, folder: lab } } # mine\n')
    disk = join(site.home, 'disk.raw')
    await writeFile(disk, Buffer.alloc(8 * mebibyte))
    await makeExt4(disk, [], { offset: 0, length: 8 * mebibyte, uuid: crypto.randomUUID() })
    await site.imagewright.uploadImage(disk, 'local:base')
  })
  afterAll(() => site[Symbol.asyncDispose]())

  describe('images', () => {
    it('are listed by filter, shown and found by id or exact name', async () => {
      const { images } = site.imagewright
      const base = await images.show('local:base')
      expect(await images.show(`local:${base.id}`)).toEqual(base)
      expect(await images.find('local:base')).toEqual(base)
      expect(await images.find('local:bas')).toBeNull()
      expect(await images.list('local', { name: 'base', status: 'active' })).toEqual([base])
      expect(await images.list('local', { visibility: 'public' })).toEqual([])
      expect(await images.list('lab')).toEqual([])
      await expect(images.show('local:bas')).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' })
      await expect(images.list('nowhere')).rejects.toMatchObject({ code: 'CLOUD_UNKNOWN' })
      await expect(images.find('disk.raw')).rejects.toMatchObject({ code: 'REFERENCE_INVALID' })
    })

    it('are changed, shared, protected and deleted', async () => {
      const { images } = site.imagewright
      const { image } = await site.imagewright.uploadImage(disk, 'local:changing')
      const changed = await images.set('local:changing', {
        name: 'changed',
        tags: ['a'],
        properties: { color: 'red', imagewright_job: null },
        protected: true,
      })
      expect(changed).toMatchObject({ id: image.id, name: 'changed', tags: ['a'], protected: true })
      expect(changed.properties.color).toBe('red')
      expect(changed.properties).not.toHaveProperty('imagewright_job')

      const members = await images.share('local:changed', ['physics', 'astronomy'])
      expect(members.map(({ member }) => member)).toEqual(['physics', 'astronomy'])
      expect((await images.show('local:changed')).visibility).toBe('shared')
      expect(await images.unshare('local:changed', ['physics'])).toMatchObject([{ member: 'astronomy' }])

      await expect(images.delete('local:changed')).rejects.toMatchObject({ code: 'IMAGE_PROTECTED' })
      await images.set('local:changed', { protected: false })
      expect(await images.delete('local:changed')).toBe(image.id)
      await expect(images.delete('local:changed')).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' })
    })

    it('of which nothing has been uploaded are not downloaded or inspected', async () => {
      const missing = join(site.home, 'never.raw')
      const download = site.imagewright.downloadImage('local:nothing', missing)
      await expect(download).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' })
      await expect(readFile(missing)).rejects.toMatchObject({ code: 'ENOENT' })
    })
  })

  describe('instances', () => {
    it('are launched stopped, listed, shown and terminated', async () => {
      const { instances } = site.imagewright
      const web = await instances.launch('local:base', { name: 'web', start: false })
      expect(web).toMatchObject({ name: 'web', status: 'stopped', address: null })
      expect((await instances.list('local')).map(({ id }) => id)).toEqual([web.id])
      expect(await instances.show('local:web')).toEqual(web)
      expect(await instances.console('local:web')).toBe('')
      await expect(site.imagewright.images.delete('local:base')).rejects.toMatchObject({
        code: 'IMAGE_IN_USE',
      })
      const twin = await instances.launch('local:base', { name: 'web', start: false })
      await expect(instances.show('local:web')).rejects.toMatchObject({
        code: 'INSTANCE_AMBIGUOUS',
        details: { candidates: expect.arrayContaining([web.id, twin.id]) },
      })
      for (const { id } of [web, twin]) expect(await instances.terminate(`local:${id}`)).toBe(id)
      await expect(instances.terminate('local:web')).rejects.toMatchObject({ code: 'INSTANCE_NOT_FOUND' })
    })
  })

  describe('clouds', () => {
    it('are checked row by row', async () => {
      const rows = await site.imagewright.checkClouds()
      expect(new Set(rows.map(({ cloud }) => cloud))).toEqual(new Set(['local', 'lab']))
      expect((await site.imagewright.checkClouds(['lab'])).every(({ cloud }) => cloud === 'lab')).toBe(true)
      await expect(site.imagewright.checkClouds(['nowhere'])).rejects.toMatchObject({ code: 'CLOUD_UNKNOWN' })
    })

    it('are forgotten, with nothing else of the file', async () => {
      await using other = await makeLibrarySite(
        'clouds:\n  # mine\n  a: { type: local, folder: a }\n  b: { type: local, folder: b }\n',
      )
      await other.imagewright.forgetCloud('b')
      const text = await readFile(join(other.home, 'config.yaml'), 'utf8')
      expect(text).toContain('# mine')
      expect(Object.keys((await other.open()).config.clouds)).toEqual(['local', 'a'])
      await expect(other.imagewright.forgetCloud('b')).rejects.toMatchObject({ code: 'CLOUD_UNKNOWN' })
    })

    it('that cannot be opened are tried again', async () => {
      await using other = await makeLibrarySite('clouds: { blocked: { type: local, folder: blocked } }')
      await writeFile(join(other.home, 'blocked'), '')
      const list = () => other.imagewright.images.list('blocked')
      await expect(list()).rejects.toMatchObject({ code: 'LOCAL_FOLDER_UNUSABLE' })
      await rm(join(other.home, 'blocked'))
      expect(await list()).toEqual([])
    })
  })

  describe('a handle', () => {
    it('gives every event from the start to "finished", and the result', async () => {
      const handle = site.imagewright.convertImage(disk, join(site.home, 'events.qcow2'))
      const events = await Array.fromAsync(handle.events())
      expect(events[0]).toMatchObject({ type: 'started', operation: 'convert' })
      expect(events.at(-1)).toMatchObject({ type: 'finished', status: 'done' })
      expect(events.filter(({ type }) => type === 'finished')).toHaveLength(1)
      expect(await handle).toMatchObject({ format: 'qcow2' })
      const recorded = await Array.fromAsync(await site.imagewright.jobEvents(await handle.jobId))
      expect(recorded.at(-1)).toMatchObject({ type: 'finished', status: 'done' })
    })

    it('gives its events also when the job is over already, and the end when it failed', async () => {
      const done = site.imagewright.convertImage(disk, join(site.home, 'late.qcow2'))
      await done
      expect((await Array.fromAsync(done.events())).at(-1)).toMatchObject({
        type: 'finished',
        status: 'done',
      })
      const failed = site.imagewright.convertImage(join(site.home, 'nothing'), join(site.home, 'x.raw'))
      const events = await Array.fromAsync(failed.events())
      expect(events.at(-1)).toMatchObject({
        type: 'finished',
        status: 'failed',
        error: { code: 'SOURCE_NOT_FOUND' },
      })
      await expect(failed).rejects.toBeInstanceOf(ImagewrightError)
    })

    it('tells what is wrong with a request, and no promise is left to complain', async () => {
      const unhandled: unknown[] = []
      const listen = (reason: unknown) => unhandled.push(reason)
      process.on('unhandledRejection', listen)
      const wrong = { storage: { visibility: 'everybody' } } as unknown as CreateImageRequest
      expect(() => site.imagewright.createImage('local:web', 'x', wrong)).toThrow(
        expect.objectContaining({ code: 'INPUT_INVALID', message: expect.stringContaining('visibility') }),
      )
      const handle = site.imagewright.createImage('local:web', '')
      expect(await Array.fromAsync(handle.events())).toEqual([])
      await expect(handle).rejects.toMatchObject({ code: 'JOB_INPUT_INVALID' })
      await new Promise((resolve) => setTimeout(resolve, 20))
      process.off('unhandledRejection', listen)
      expect(unhandled).toEqual([])
    })

    it('is cancelled, and nothing is left', async () => {
      const output = join(site.home, 'cancelled.qcow2')
      const { handle, events } = await startSlow(site.imagewright, output)
      await handle.cancel()
      await expect(handle).rejects.toMatchObject({ code: 'CANCELLED' })
      expect((await events).at(-1)).toMatchObject({ type: 'finished', status: 'cancelled' })
      expect((await site.files()).filter((path) => path.includes('cancelled'))).toEqual([])
      await expect(site.imagewright.resumeJob(await handle.jobId)).rejects.toMatchObject({
        code: 'JOB_UNDONE',
      })
    })

    it('is interrupted, and goes on when it is resumed, or is undone', async () => {
      for (const verb of ['resume', 'undo']) {
        const output = join(site.home, `${verb}.qcow2`)
        const imagewright = await site.open()
        const { handle } = await startSlow(imagewright, output)
        await handle.interrupt()
        await expect(handle).rejects.toMatchObject({ code: 'JOB_INTERRUPTED' })
        const id = await handle.jobId
        await imagewright.close()
        expect((await (await site.imagewright.jobs()).get(id)).status).toBe('interrupted')
        if (verb === 'undo') {
          expect((await site.imagewright.undoJob(id)).status).toBe('undone')
          expect((await site.files()).filter((path) => path.includes(verb))).toEqual([])
        } else {
          expect(await site.imagewright.resumeJob(id)).toMatchObject({ path: output })
          expect((await site.imagewright.inspect(output)).safety.accepted).toBe(true)
        }
      }
    })
  })

  it('leaves nothing of a job that failed, unless it is to be kept', async () => {
    const gone = site.imagewright.cleanFile(disk)
    await expect(gone).rejects.toMatchObject({ code: 'GUEST_NOT_FOUND' })
    expect(await statusOf(gone)).toBe('undone')
    const keeping = await site.open({ keepFailedJobs: true })
    const kept = keeping.cleanFile(disk)
    await expect(kept).rejects.toMatchObject({ code: 'GUEST_NOT_FOUND' })
    expect(await statusOf(kept)).toBe('failed')
  })

  it('takes its configuration from a file that is named, which must be there', async () => {
    const missing = Imagewright.open({ configPath: join(site.home, 'nothing.yaml') })
    await expect(missing).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    const folder = await mkdtemp(join(tmpdir(), 'imagewright-test-'))
    await writeFile(join(folder, 'own.yaml'), 'clouds: { mine: { type: local, folder: mine } }')
    const imagewright = await Imagewright.open({
      configPath: join(folder, 'own.yaml'),
      environment: { IMAGEWRIGHT_HOME: folder },
    })
    expect(imagewright.config.clouds).toEqual({
      local: { type: 'local', folder: join(folder, 'local') },
      mine: { type: 'local', folder: join(folder, 'mine') },
    })
    expect(imagewright.isFile('disk.raw')).toBe(true)
    expect(imagewright.isFile('mine:disk')).toBe(false)
    await imagewright.close()
    await rm(folder, { recursive: true })
  })

  async function statusOf(handle: OperationHandle<unknown>): Promise<string> {
    return (await (await site.imagewright.jobs()).get(await handle.jobId)).status
  }

  /** A conversion that is in the middle of its work. */
  async function startSlow(imagewright: Imagewright, output: string) {
    const large = join(site.home, 'large.raw')
    const noise = Buffer.alloc(96 * mebibyte, crypto.getRandomValues(new Uint8Array(4093)))
    await writeFile(large, noise)
    const handle = imagewright.convertImage(large, output, { compression: 'zlib', level: 9 })
    const working = Promise.withResolvers<void>()
    const events = (async () => {
      const seen: JobEvent[] = []
      for await (const event of handle.events()) {
        seen.push(event)
        if (event.type === 'progress') working.resolve()
      }
      working.resolve()
      return seen
    })()
    await working.promise
    return { handle, events }
  }
})

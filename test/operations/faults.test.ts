import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import type { Cloud, CloudImage, ImageChanges, ImageService } from '../../src/clouds/cloud.ts'
import { CloudError } from '../../src/clouds/errors.ts'
import { openCloud } from '../../src/clouds/open-cloud.ts'
import { loadConfig } from '../../src/config/load-config.ts'
import { JobRunner } from '../../src/operations/job-runner.ts'
import { isRandomAccess, type RandomAccessSource } from '../../src/transfer/byte-source.ts'
import { describeFound, findMarkersInRaw } from '../../testbed/find-markers.ts'
import { secretEntries } from '../../testbed/plant-secrets.ts'
import { planSecrets } from '../../testbed/secrets.ts'
import { buildTinyGuest } from '../../testbed/tiny-guest.ts'
import { type LibrarySite, makeLibrarySite, openSpoiltJobs } from '../support/library-site.ts'
import { describeWith } from '../support/requirements.ts'

const mebibyte = 1024 * 1024
const secrets = planSecrets({ running: false })
const refusal = () => new CloudError('LOCAL_BUSY', 'The cloud is out of order.')

/** Whether the fault still is there. */
interface Fault {
  active: boolean
}

type Spoil = (images: ImageService, fault: Fault) => Partial<ImageService>

/** A cloud in which something goes wrong with every image but `base`. */
function spoilt(cloud: Cloud, fault: Fault, spoil: Spoil): Cloud {
  return { ...cloud, images: { ...cloud.images, ...spoil(cloud.images, fault) } }
}

/** Gives the stored bytes of an image as `change` makes them. */
function changedSource(change: (source: RandomAccessSource) => Partial<RandomAccessSource>): Spoil {
  return (images, fault) => ({
    async open(id, options) {
      const source = await images.open(id, options)
      const image = await images.get(id)
      if (!fault.active || image.name !== 'golden' || !isRandomAccess(source)) return source
      return { ...source, ...change(source) }
    },
  })
}

/** One flipped bit in the middle of what is stored. */
function flipped(source: RandomAccessSource, at: number): Partial<RandomAccessSource> {
  const flip = (bytes: Uint8Array, start: number) => {
    if (at >= start && at < start + bytes.length) bytes[at - start]! ^= 1
  }
  return {
    async read(target, position, options) {
      const length = await source.read(target, position, options)
      flip(target.subarray(0, length), position)
      return length
    },
    async *stream(options) {
      let position = options?.start ?? 0
      for await (const chunk of source.stream(options)) {
        const copy = Buffer.from(chunk)
        flip(copy, position)
        position += chunk.length
        yield copy
      }
    },
  }
}

const failing: Record<string, { spoil: Spoil; code: string; step: string }> = {
  'one flipped bit in what is read back': {
    spoil: changedSource((source) => flipped(source, Math.floor(source.size / 2))),
    code: 'VERIFICATION_FAILED',
    step: 'verify',
  },
  'one flipped bit in the last byte that is read back': {
    spoil: changedSource((source) => flipped(source, source.size - 1)),
    code: 'VERIFICATION_FAILED',
    step: 'verify',
  },
  'an upload that ends half way': {
    spoil: (images, fault) => ({
      upload: (id, write, options) =>
        images.upload(
          id,
          async (sink) => {
            let written = 0
            const check = (bytes: number) => {
              written += bytes
              if (fault.active && written > mebibyte) throw refusal()
            }
            await write({
              ...sink,
              write: (chunk, more) => {
                check(chunk.length)
                return sink.write(chunk, more)
              },
              ...('writeAt' in sink && {
                writeAt: (chunk, position, more) => {
                  check(chunk.length)
                  return sink.writeAt(chunk, position, more)
                },
              }),
            })
          },
          options,
        ),
    }),
    code: 'LOCAL_BUSY',
    step: 'write',
  },
  'an answer that is lost after the upload': {
    spoil: (images, fault) => ({
      async upload(id, write, options) {
        const image = await images.upload(id, write, options)
        if (fault.active) throw refusal()
        return image
      },
    }),
    code: 'LOCAL_BUSY',
    step: 'write',
  },
  'a change that is refused right after the upload': {
    spoil: failingUpdate(({ minDisk }) => minDisk !== undefined),
    code: 'LOCAL_BUSY',
    step: 'write',
  },
  'a publication that is refused': {
    spoil: failingUpdate(({ visibility }) => visibility !== undefined),
    code: 'LOCAL_BUSY',
    step: 'publish',
  },
  'an answer that is lost after the record was made': {
    spoil: (images, fault) => ({
      async create(image, options) {
        const created = await images.create(image, options)
        if (fault.active) throw refusal()
        return created
      },
    }),
    code: 'LOCAL_BUSY',
    step: 'record',
  },
}

function failingUpdate(when: (changes: ImageChanges) => boolean): Spoil {
  return (images, fault) => ({
    update: (id, changes, options) => {
      if (fault.active && when(changes)) return Promise.reject(refusal())
      return images.update(id, changes, options)
    },
  })
}

describeWith(['mke2fs', 'e2fsck', 'debugfs'], 'creating an image in a cloud that fails', () => {
  let folder = ''
  let site: LibrarySite
  const input = { cloud: 'local', instance: 'web', name: 'golden', storage: { visibility: 'public' } }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'imagewright-test-'))
    const guest = join(folder, 'guest.raw')
    await buildTinyGuest(guest, { size: 12 * mebibyte, ...secretEntries(secrets) })
    site = await makeLibrarySite()
    await site.imagewright.uploadImage(guest, 'local:base')
    await site.imagewright.instances.launch('local:base', { name: 'web', start: false })
  })
  afterEach(async () => {
    for (const name of await site.imageNames()) {
      if (name !== 'base') await site.imagewright.images.delete(`local:${name}`)
    }
  })
  afterAll(async () => {
    await site[Symbol.asyncDispose]()
    await rm(folder, { recursive: true, force: true })
  })

  async function golden(cloud: Cloud): Promise<CloudImage[]> {
    return Array.fromAsync(cloud.images.list({ name: 'golden' }))
  }

  it.each(Object.entries(failing))('publishes nothing and is undone: %s', async (_name, fault) => {
    const before = await site.files()
    const { jobs, cloud } = await openSpoiltJobs(site.home, (real) =>
      spoilt(real, { active: true }, fault.spoil),
    )
    const job = await jobs.start('create', input)
    await expect(job.result).rejects.toMatchObject({ code: fault.code })
    expect((await golden(cloud)).filter(({ visibility }) => visibility !== 'private')).toEqual([])
    expect((await jobs.get(job.id)).error).toMatchObject({ code: fault.code })

    expect((await jobs.undo(job.id)).status).toBe('undone')
    expect(await jobs.resources(job.id)).toSatisfy((all: { state: string }[]) =>
      all.every(({ state }) => state === 'released'),
    )
    expect(await site.files()).toEqual(before)
    await jobs.close()
  })

  const oneOfEach = Object.entries(failing).filter(([name]) => !name.includes('last byte'))

  it.each(oneOfEach)('goes on at the step that failed: %s', async (_name, fault) => {
    const state = { active: true }
    const { jobs, cloud } = await openSpoiltJobs(site.home, (real) => spoilt(real, state, fault.spoil))
    const failed = await jobs.start('create', input)
    await expect(failed.result).rejects.toMatchObject({ code: fault.code })

    state.active = false
    const steps: Record<string, boolean> = {}
    const resumed = await jobs.resume(failed.id, {
      onEvent: (event) => {
        if (event.type === 'step-finished') steps[event.step] = event.reused
      },
    })
    await resumed.result
    const order = ['resolve', 'snapshot', 'record', 'write', 'verify', 'publish', 'release']
    expect(steps).toEqual(
      Object.fromEntries(order.map((step) => [step, order.indexOf(step) < order.indexOf(fault.step)])),
    )
    const [image, ...others] = await golden(cloud)
    expect(others).toEqual([])
    expect(image).toMatchObject({ status: 'active', visibility: 'public' })
    expect(await site.imageNames()).toEqual(['base', 'golden'])
    await jobs.close()

    const [stored, raw] = [join(site.home, 'stored'), join(site.home, 'stored.raw')]
    await site.imagewright.downloadImage('local:golden', stored, { overwrite: true })
    await site.imagewright.convertImage(stored, raw, { overwrite: true })
    expect(describeFound(await findMarkersInRaw(raw, secrets))).toEqual([])
  })

  it('keeps the image when only the snapshot cannot be deleted, and undo deletes that later', async () => {
    const fault = { active: true }
    const { jobs, cloud } = await openSpoiltJobs(site.home, (real) =>
      spoilt(real, fault, (images) => ({
        delete: (id, options) => (fault.active ? Promise.reject(refusal()) : images.delete(id, options)),
      })),
    )
    const warnings: string[] = []
    const job = await jobs.start('create', input, {
      onEvent: (event) => {
        if (event.type === 'warning') warnings.push(event.message)
      },
    })
    expect(await job.result).toMatchObject({ snapshot: { kept: true }, image: { name: 'golden' } })
    expect(warnings.join('\n')).toMatch(/snapshot of local:web.*out of order/)
    expect(await site.imageNames()).toEqual(['base', 'golden', 'golden (snapshot)'])
    expect((await golden(cloud))[0]).toMatchObject({ visibility: 'public' })

    fault.active = false
    await jobs.undo(job.id)
    expect(await site.imageNames()).toEqual(['base', 'golden'])
    await jobs.close()
  })

  it('keeps saying why it failed when it cannot be undone either', async () => {
    const fault = { active: true }
    const { jobs } = await openSpoiltJobs(site.home, (real) =>
      spoilt(real, fault, (images) => ({
        update: () => Promise.reject(refusal()),
        delete: (id, options) => (fault.active ? Promise.reject(refusal()) : images.delete(id, options)),
      })),
    )
    const job = await jobs.start('create', input)
    await expect(job.result).rejects.toMatchObject({ code: 'LOCAL_BUSY' })
    await expect(jobs.undo(job.id)).rejects.toMatchObject({ code: 'JOB_UNDO_INCOMPLETE' })
    expect((await jobs.get(job.id)).status).toBe('failed')
    await jobs.close()
  })

  it('tells a caller why it failed, and also what could not be removed', async () => {
    const fault = { active: true }
    const config = await loadConfig({ environment: { IMAGEWRIGHT_HOME: site.home } })
    const real = await openCloud('local', config.clouds.local!)
    const cloud = spoilt(real, fault, (images) => ({
      upload: () => Promise.reject(refusal()),
      delete: (id, options) =>
        fault.active ? Promise.reject(new Error('unplugged')) : images.delete(id, options),
    }))
    const clouds = { names: ['local'], get: async () => cloud, close: async () => undefined }
    const runner = new JobRunner({ config, clouds }, { keepFailed: false })
    const handle = runner.start('create', input)
    const id = await handle.jobId
    await expect(handle).rejects.toMatchObject({
      code: 'LOCAL_BUSY',
      message: refusal().message,
      hint: expect.stringMatching(new RegExp(`unplugged[\\s\\S]*jobs undo ${id}`)),
    })
    fault.active = false
    expect((await (await runner.jobs()).undo(id)).status).toBe('undone')
    expect(await site.imageNames()).toEqual(['base'])
    await runner.close()
  })

  it('cancelled in the middle of the upload, leaves nothing', async () => {
    const before = await site.files()
    const uploading = Promise.withResolvers<void>()
    const { jobs } = await openSpoiltJobs(site.home, (real) =>
      spoilt(real, { active: true }, (images) => ({
        upload: (id, write, options) => {
          uploading.resolve()
          return images.upload(id, write, options)
        },
      })),
    )
    const job = await jobs.start('create', input)
    await uploading.promise
    expect((await job.cancel()).status).toBe('cancelled')
    await expect(job.result).rejects.toMatchObject({ code: 'CANCELLED' })
    expect(await site.files()).toEqual(before)
    await jobs.close()
  })
})

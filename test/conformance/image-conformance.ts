import { createHash, randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { CloudImage, ImageFilter } from '../../src/clouds/cloud.ts'
import type { cloudErrorCodes } from '../../src/clouds/errors.ts'
import { isSeekable } from '../../src/transfer/byte-sink.ts'
import { isRandomAccess } from '../../src/transfer/byte-source.ts'
import {
  type CloudHarness,
  type CloudUnderTest,
  readAll,
  sampleDiskSize,
  underTest,
} from './cloud-harness.ts'

/** What every cloud's images must do. Looped over all clouds; what one cannot do it says in its capabilities. */
export function describeImages(name: string, open: () => Promise<CloudHarness>): void {
  describe(`images of ${name}`, () => {
    let test: CloudUnderTest

    beforeAll(async () => {
      test = await underTest(await open())
    })
    afterEach(() => test.cleanUp())
    afterAll(() => test.close())

    const list = async (filter?: ImageFilter) =>
      (await Array.fromAsync(test.cloud.images.list(filter))).filter((image) =>
        image.name.startsWith(test.prefix),
      )

    describe('create', () => {
      it('records a private, pending image without data', async () => {
        const { images } = test.cloud
        const wanted = test.newImage({
          minDisk: 3,
          minRam: 64,
          tags: ['a', 'b'],
          properties: { os_distro: 'debian' },
        })
        const image = await images.create(wanted, { key: test.key() })
        expect(image).toMatchObject({
          name: wanted.name,
          status: 'pending',
          visibility: 'private',
          size: null,
          minDisk: 3,
          minRam: 64,
          protected: false,
          properties: { os_distro: 'debian' },
        })
        expect([...image.tags].sort()).toEqual(['a', 'b'])
        expect(new Date(image.createdAt).getTime()).toBeGreaterThan(Date.now() - 3_600_000)
        expect(await images.get(image.id)).toEqual(image)
        await expect(images.open(image.id)).rejects.toMatchObject(cloudError('IMAGE_HAS_NO_DATA'))
      })

      it('gives the same image for the same key, to another session too', async () => {
        const key = test.key()
        const again = await test.openAgain()
        const first = await test.cloud.images.create(test.newImage({ name: `${test.prefix}-one` }), { key })
        const second = await again.images.create(test.newImage({ name: `${test.prefix}-one` }), { key })
        expect(second.id).toBe(first.id)
        expect((await again.images.findByKey(key))?.id).toBe(first.id)
        expect(await again.images.findByKey(test.key())).toBeNull()
        expect(await list()).toHaveLength(1)
        await again.close()
      })

      it('makes one image when many ask with one key at once', async () => {
        const key = test.key()
        const image = test.newImage()
        const sessions = await Promise.all([test.openAgain(), test.openAgain(), test.openAgain()])
        const made = await Promise.all(
          [...sessions, ...sessions].map((session) => session.images.create(image, { key })),
        )
        expect(new Set(made.map(({ id }) => id)).size).toBe(1)
        expect(await list()).toHaveLength(1)
        await Promise.all(sessions.map((session) => session.close()))
      })

      it('makes different images for different keys, also of one name and at once', async () => {
        const image = test.newImage()
        const made = await Promise.all(
          Array.from({ length: 4 }, () => test.cloud.images.create(image, { key: test.key() })),
        )
        expect(new Set(made.map(({ id }) => id)).size).toBe(4)
        expect((await list({ name: image.name })).map(({ id }) => id).sort()).toEqual(
          made.map(({ id }) => id).sort(),
        )
      })
    })

    describe('create with an id of the caller’s choice', () => {
      it('gives the image that id, once, or says that it cannot', async () => {
        const { images, capabilities } = test.cloud
        const [id, key] = [randomUUID(), test.key()]
        if (!capabilities.images.chosenIds) {
          await expect(images.create(test.newImage({ id }), { key })).rejects.toMatchObject(
            cloudError('CLOUD_UNSUPPORTED'),
          )
          return
        }
        expect((await images.create(test.newImage({ id }), { key })).id).toBe(id)
        expect((await images.create(test.newImage({ id }), { key })).id).toBe(id)
        expect((await images.findByKey(key))?.id).toBe(id)
        await expect(images.create(test.newImage({ id }), { key: test.key() })).rejects.toMatchObject(
          cloudError('CLOUD_CONFLICT'),
        )
        expect(await list()).toHaveLength(1)
      })
    })

    describe('create after the image of the key was deleted', () => {
      it('makes another', async () => {
        const { images } = test.cloud
        const key = test.key()
        await images.delete((await images.create(test.newImage(), { key })).id)
        expect(await images.findByKey(key)).toBeNull()
        const image = await images.create(test.newImage(), { key })
        expect(image.status).toBe('pending')
        expect((await images.findByKey(key))?.id).toBe(image.id)
        expect((await list()).map(({ id }) => id)).toEqual([image.id])
      })
    })

    describe('get', () => {
      it('knows images by id and not by name', async () => {
        const image = await test.create()
        expect((await test.cloud.images.get(image.id)).name).toBe(image.name)
        await expect(test.cloud.images.get(image.name)).rejects.toMatchObject(cloudError('IMAGE_NOT_FOUND'))
      })

      it.each([
        randomUUID(),
        '',
        '..',
        '../../etc/passwd',
        'a/b',
        '%2e%2e',
        'name with spaces',
        'x'.repeat(300),
      ])('has no image %j', async (id) => {
        const { images } = test.cloud
        await expect(images.get(id)).rejects.toMatchObject(cloudError('IMAGE_NOT_FOUND'))
        await expect(images.open(id)).rejects.toMatchObject(cloudError('IMAGE_NOT_FOUND'))
        await expect(images.update(id, { name: 'x' })).rejects.toMatchObject(cloudError('IMAGE_NOT_FOUND'))
        await expect(images.upload(id, (sink) => sink.write(test.content))).rejects.toMatchObject(
          cloudError('IMAGE_NOT_FOUND'),
        )
        await expect(images.members(id)).rejects.toMatchObject(cloudError('IMAGE_NOT_FOUND'))
        await expect(images.delete(id)).rejects.toMatchObject(cloudError('IMAGE_NOT_FOUND'))
      })
    })

    describe('upload and open', () => {
      it('stores the bytes, their size and their digests', async () => {
        const image = await test.createActive()
        expect(image).toMatchObject({ status: 'active', size: test.content.length })
        if (image.virtualSize !== null) expect(image.virtualSize).toBe(sampleDiskSize)
        for (const algorithm of test.cloud.capabilities.images.checksums) {
          expect(image.checksums[algorithm]).toBe(createHash(algorithm).update(test.content).digest('hex'))
        }
        const source = await test.cloud.images.open(image.id)
        expect((await readAll(source)).equals(test.content)).toBe(true)
        await source.close()
      })

      it('takes a machine in three parts, none of them a whole number of sectors, where it knows such formats', async () => {
        const { images, capabilities } = test.cloud
        for (const format of ['aki', 'ari', 'ami']) {
          if (!capabilities.images.formats.includes(format)) continue
          const content = Buffer.from(`the ${format} of a machine`)
          const { id } = await images.create(
            { name: `${test.prefix}-${format}`, format },
            { key: test.key() },
          )
          const write = { size: content.length }
          expect(await images.upload(id, (sink) => sink.write(content), write)).toMatchObject({
            status: 'active',
            format,
            size: content.length,
          })
          const source = await images.open(id)
          expect((await readAll(source)).equals(content)).toBe(true)
          await source.close()
        }
      })

      it('reads ranges where its capabilities say so', async () => {
        const image = await test.createActive()
        const source = await test.cloud.images.open(image.id)
        expect(isRandomAccess(source)).toBe(test.cloud.capabilities.images.rangeDownload)
        if (isRandomAccess(source)) {
          const target = Buffer.alloc(1000)
          expect(await source.read(target, 4567)).toBe(1000)
          expect(target.equals(test.content.subarray(4567, 5567))).toBe(true)
        }
        await source.close()
      })

      it('gives a sink that takes ranges in any order where its capabilities say so', async () => {
        const { id } = await test.create()
        const half = 700_000
        await test.cloud.images.upload(id, async (sink) => {
          expect(isSeekable(sink)).toBe(test.cloud.capabilities.images.seekableUpload)
          if (!isSeekable(sink)) return sink.write(test.content)
          await sink.writeAt(test.content.subarray(half), half)
          await sink.writeAt(test.content.subarray(0, half), 0)
        })
        const source = await test.cloud.images.open(id)
        expect((await readAll(source)).equals(test.content)).toBe(true)
        await source.close()
      })

      it('leaves the image without data, or gone, when the upload fails half way', async () => {
        const { id } = await test.create()
        const broken = test.cloud.images.upload(id, async (sink) => {
          await sink.write(test.content.subarray(0, 500_000))
          throw new Error('the source broke')
        })
        await expect(broken).rejects.toThrow('the source broke')
        const [image] = (await list()).filter((image) => image.id === id)
        if (image) {
          expect(image).toMatchObject({ status: 'pending', size: null })
          await test.cloud.images.upload(id, (sink) => sink.write(test.content))
          expect((await test.cloud.images.get(id)).status).toBe('active')
        }
      })

      it('is not seen half done', async () => {
        const { id } = await test.create()
        await test.cloud.images.upload(id, async (sink) => {
          await sink.write(test.content.subarray(0, 500_000))
          expect((await test.cloud.images.get(id)).status).toBe('pending')
          await expect(test.cloud.images.open(id)).rejects.toMatchObject(cloudError('IMAGE_HAS_NO_DATA'))
          await sink.write(test.content.subarray(500_000))
        })
        expect((await test.cloud.images.get(id)).status).toBe('active')
      })

      it('stops when it is cancelled', async () => {
        const { id } = await test.create()
        const cancel = new AbortController()
        const upload = test.cloud.images.upload(
          id,
          async (sink) => {
            await sink.write(test.content.subarray(0, 500_000))
            cancel.abort()
          },
          { signal: cancel.signal },
        )
        await expect(upload).rejects.toMatchObject({ code: 'CANCELLED' })
        expect((await list()).find((image) => image.id === id)?.status ?? 'pending').toBe('pending')
      })

      it('never replaces data', async () => {
        const image = await test.createActive()
        await expect(
          test.cloud.images.upload(image.id, (sink) => sink.write(Buffer.alloc(4096))),
        ).rejects.toMatchObject(cloudError('IMAGE_STATE'))
        expect((await test.cloud.images.get(image.id)).size).toBe(test.content.length)
      })
    })

    describe('list', () => {
      it('gives every image once', async () => {
        const made = await Promise.all(Array.from({ length: 30 }, () => test.create()))
        const ids = (await list()).map(({ id }) => id)
        expect(ids.sort()).toEqual(made.map(({ id }) => id).sort())
      })

      it('filters', async () => {
        const active = await test.createActive({
          tags: ['red'],
          properties: { colour: 'red', weight: 'big' },
        })
        const pending = await test.create({ tags: ['blue'], properties: { colour: 'blue', weight: 'big' } })
        const names = async (filter: ImageFilter) => (await list(filter)).map(({ name }) => name).sort()
        const both = [active.name, pending.name].sort()
        expect(await names({ name: active.name })).toEqual([active.name])
        expect(await names({ name: test.prefix })).toEqual([])
        expect(await names({ status: 'active' })).toEqual([active.name])
        expect(await names({ status: 'pending' })).toEqual([pending.name])
        expect(await names({ tag: 'blue' })).toEqual([pending.name])
        expect(await names({ properties: { weight: 'big' } })).toEqual(both)
        expect(await names({ properties: { weight: 'big', colour: 'red' } })).toEqual([active.name])
        expect(await names({ visibility: 'private' })).toEqual(both)
        if (active.owner !== null) expect(await names({ owner: active.owner })).toEqual(both)
        expect(await names({ owner: 'nobody we know' })).toEqual([])
        expect(await names({ memberStatus: 'pending' })).toEqual([])
        expect(await names({ name: 'in:a,b' })).toEqual([])
        expect(await names({ properties: { limit: '1' } })).toEqual([])
      })

      it('leaves hidden images out unless it is asked for them', async () => {
        const { images } = test.cloud
        const seen = await test.create()
        const hidden = await test.create({ hidden: true })
        const ids = async (filter?: ImageFilter) => (await list(filter)).map(({ id }) => id)
        expect(hidden.hidden).toBe(true)
        expect(await ids()).toEqual([seen.id])
        expect(await ids({ hidden: true })).toEqual([hidden.id])
        expect((await images.get(hidden.id)).name).toBe(hidden.name)
        await images.update(hidden.id, { hidden: false })
        expect((await ids()).sort()).toEqual([seen.id, hidden.id].sort())
        await images.delete(seen.id)
      })
    })

    describe('update', () => {
      it('changes what is given and keeps the rest', async () => {
        const { id } = await test.create({
          minRam: 64,
          tags: ['old'],
          properties: { keep: '1', change: '1', drop: '1' },
        })
        const name = `${test.prefix}-renamed`
        await test.cloud.images.update(id, {
          name,
          minDisk: 2,
          tags: ['new'],
          properties: { change: '2', drop: null, add: '3' },
        })
        const image = await test.cloud.images.get(id)
        expect(image).toMatchObject({ name, minDisk: 2, minRam: 64, tags: ['new'] })
        expect(image.properties).toMatchObject({ keep: '1', change: '2', add: '3' })
        expect(image.properties).not.toHaveProperty('drop')
      })

      it('loses no change of two at once', async () => {
        const { id } = await test.create()
        const sessions = [test.cloud, await test.openAgain()]
        const names = Array.from({ length: 8 }, (_, i) => `p${i}`)
        await Promise.all(
          names.map((name, i) => sessions[i % 2]!.images.update(id, { properties: { [name]: 'set' } })),
        )
        expect(Object.keys((await test.cloud.images.get(id)).properties).sort()).toEqual(
          expect.arrayContaining(names),
        )
        await sessions[1]!.close()
      })

      it('sets the visibilities it has, as far as this account may, and refuses the others', async () => {
        const { id } = await test.createActive()
        for (const visibility of ['private', 'shared', 'community', 'public'] as const) {
          const change = test.cloud.images.update(id, { visibility })
          if (!test.cloud.capabilities.images.visibilities.includes(visibility)) {
            await expect(change).rejects.toMatchObject(cloudError('CLOUD_UNSUPPORTED'))
          } else if (visibility === 'private' || visibility === 'shared') {
            expect((await change).visibility).toBe(visibility)
          } else {
            const outcome = await change.then(
              (image) => image.visibility,
              (error: unknown) => error,
            )
            if (outcome !== visibility) expect(outcome).toMatchObject(cloudError('CLOUD_FORBIDDEN'))
          }
        }
      })
    })

    describe('share', () => {
      it('adds and removes members of a shared image', async () => {
        const { images, capabilities } = test.cloud
        const { id } = await test.createActive()
        if (capabilities.images.sharing === 'none') {
          await expect(images.share(id, 'bob')).rejects.toMatchObject(cloudError('CLOUD_UNSUPPORTED'))
          return
        }
        await images.update(id, { visibility: 'shared' })
        const status = capabilities.images.sharing === 'immediate' ? 'accepted' : 'pending'
        expect(await images.share(id, 'bob')).toEqual({ member: 'bob', status })
        await images.share(id, 'carol')
        await images.share(id, 'carol')
        expect((await images.members(id)).map(({ member }) => member).sort()).toEqual(['bob', 'carol'])
        await images.unshare(id, 'bob')
        expect((await images.members(id)).map(({ member }) => member)).toEqual(['carol'])
      })

      it('is answered by the member, where an answer is asked for', async () => {
        const { cloud, member } = test
        const { images } = cloud
        const { id } = await test.createActive()
        await images.update(id, { visibility: 'shared' })
        if (cloud.capabilities.images.sharing === 'immediate') {
          await images.share(id, 'bob')
          await expect(images.accept(id)).rejects.toMatchObject(cloudError('CLOUD_UNSUPPORTED'))
        }
        if (cloud.capabilities.images.sharing !== 'accepted' || !member) return
        const offered = member.cloud.images
        await expect(offered.accept(id)).rejects.toMatchObject(cloudError('IMAGE_NOT_FOUND'))
        await images.share(id, member.id)
        const ids = async (filter?: ImageFilter) =>
          (await Array.fromAsync(offered.list(filter))).map((image) => image.id)
        expect(await ids({ memberStatus: 'pending' })).toContain(id)
        expect(await ids()).not.toContain(id)
        expect(await offered.accept(id)).toEqual({ member: member.id, status: 'accepted' })
        expect(await ids()).toContain(id)
        expect(await ids({ memberStatus: 'accepted' })).toContain(id)
        expect(await ids({ memberStatus: 'pending' })).not.toContain(id)
        expect(await images.members(id)).toEqual([{ member: member.id, status: 'accepted' }])
        const source = await offered.open(id)
        expect((await readAll(source)).equals(test.content)).toBe(true)
        await source.close()
        await expect(offered.delete(id)).rejects.toMatchObject(cloudError('CLOUD_FORBIDDEN'))
        await expect(offered.update(id, { name: 'mine' })).rejects.toMatchObject(
          cloudError('CLOUD_FORBIDDEN'),
        )
        await images.unshare(id, member.id)
        await expect(offered.get(id)).rejects.toMatchObject(cloudError('IMAGE_NOT_FOUND'))
      })

      it('refuses members of a private image', async () => {
        if (!test.cloud.capabilities.images.visibilities.includes('shared')) return
        const { id } = await test.createActive()
        await expect(test.cloud.images.share(id, 'bob')).rejects.toMatchObject(cloudError('IMAGE_STATE'))
      })
    })

    describe('deactivate', () => {
      it('forbids reading until the image is reactivated', async () => {
        const { images } = test.cloud
        const image = await test.createActive()
        expect((await images.deactivate(image.id)).status).toBe('deactivated')
        expect((await images.get(image.id)).status).toBe('deactivated')
        expect((await list({ status: 'deactivated' })).map(({ id }) => id)).toEqual([image.id])
        expect(await list({ status: 'active' })).toEqual([])
        await expect(images.open(image.id)).rejects.toMatchObject(cloudError('IMAGE_STATE'))
        await images.deactivate(image.id)
        expect(await images.reactivate(image.id)).toMatchObject({
          status: 'active',
          checksums: image.checksums,
        })
        await images.reactivate(image.id)
        const source = await images.open(image.id)
        expect((await readAll(source)).equals(test.content)).toBe(true)
        await source.close()
      })

      it('refuses an image without data, and one that does not exist', async () => {
        const { images } = test.cloud
        const { id } = await test.create()
        await expect(images.deactivate(id)).rejects.toMatchObject(cloudError('IMAGE_STATE'))
        await expect(images.reactivate(id)).rejects.toMatchObject(cloudError('IMAGE_STATE'))
        await expect(images.deactivate(randomUUID())).rejects.toMatchObject(cloudError('IMAGE_NOT_FOUND'))
      })
    })

    describe('delete', () => {
      it('removes an image, and says so when there is none any more', async () => {
        const { images } = test.cloud
        const image: CloudImage = await test.createActive()
        await images.delete(image.id)
        await expect(images.get(image.id)).rejects.toMatchObject(cloudError('IMAGE_NOT_FOUND'))
        await expect(images.delete(image.id)).rejects.toMatchObject(cloudError('IMAGE_NOT_FOUND'))
        expect(await list()).toEqual([])
      })

      it('refuses a protected image until the protection is removed', async () => {
        const { images } = test.cloud
        const { id } = await test.create({ protected: true })
        await expect(images.delete(id)).rejects.toMatchObject(cloudError('IMAGE_PROTECTED'))
        expect((await images.get(id)).protected).toBe(true)
        await images.update(id, { protected: false })
        await images.delete(id)
      })

      it('of two at once leaves nothing, and fails only because there is nothing any more', async () => {
        const { images } = test.cloud
        const { id } = await test.createActive()
        const results = await Promise.allSettled([images.delete(id), images.delete(id)])
        expect(results.map(({ status }) => status)).toContain('fulfilled')
        for (const result of results) {
          if (result.status === 'rejected') expect(result.reason).toMatchObject(cloudError('IMAGE_NOT_FOUND'))
        }
        await expect(images.get(id)).rejects.toMatchObject(cloudError('IMAGE_NOT_FOUND'))
      })
    })
  })
}

/** What an error with this code matches. */
export function cloudError(code: keyof typeof cloudErrorCodes): { name: string; code: string } {
  return { name: 'CloudError', code }
}

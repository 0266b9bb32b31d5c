import { randomUUID } from 'node:crypto'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { NewInstance } from '../../src/clouds/cloud.ts'
import { openCheckedDisk } from '../../src/disk/open-disk.ts'
import { isRandomAccess } from '../../src/transfer/byte-source.ts'
import {
  type CloudHarness,
  type CloudUnderTest,
  readAll,
  sampleDiskSize,
  underTest,
} from './cloud-harness.ts'
import { cloudError } from './image-conformance.ts'

/** What instances must do that are never started; for clouds that can stop and start. */
export function describeStoppedInstances(name: string, open: () => Promise<CloudHarness>): void {
  describe(`stopped instances of ${name}`, () => {
    let test: CloudUnderTest

    beforeAll(async () => {
      test = await underTest(await open())
    })
    afterEach(() => test.cleanUp())
    afterAll(() => test.close())

    async function launch(changes: Partial<NewInstance> = {}) {
      const imageId = changes.imageId ?? (await createGuest()).id
      const instance = { ...test.launch, name: `${test.prefix}-vm`, start: false, ...changes, imageId }
      return test.cloud.instances.launch(instance, { key: test.key() })
    }

    const createGuest = () =>
      test.createActive(test.guestProperties ? { properties: test.guestProperties } : {})

    it('are a disk that waits', async () => {
      const instance = await launch()
      expect(instance).toMatchObject({ name: `${test.prefix}-vm`, status: 'stopped', fault: null })
      expect(await test.cloud.instances.get(instance.id)).toEqual(instance)
      expect(await Array.fromAsync(test.cloud.instances.list())).toContainEqual(instance)
      expect(await test.cloud.instances.address(instance.id)).toBeNull()
      // Where a disk cannot be made without starting the guest, the guest has had time for a word or two.
      expect(await test.cloud.instances.console(instance.id)).not.toContain('login:')
    })

    it('are made once per key, also by two sessions at once', async () => {
      const { id: imageId } = await createGuest()
      const key = test.key()
      const again = await test.openAgain()
      const instance = { ...test.launch, name: `${test.prefix}-vm`, imageId, start: false }
      const made = await Promise.all(
        [test.cloud, again, again].map((cloud) => cloud.instances.launch(instance, { key })),
      )
      expect(new Set(made.map(({ id }) => id)).size).toBe(1)
      expect((await again.instances.findByKey(key))?.id).toBe(made[0]?.id)
      expect(await again.instances.findByKey(test.key())).toBeNull()
      await again.close()
    })

    it('need an image that exists and has its data', async () => {
      await expect(launch({ imageId: randomUUID() })).rejects.toMatchObject(cloudError('IMAGE_NOT_FOUND'))
      const pending = await test.create()
      await expect(launch({ imageId: pending.id })).rejects.toMatchObject(cloudError('IMAGE_HAS_NO_DATA'))
    })

    it('keep their image from being deleted as long as they need it, or do without it', async () => {
      const image = await createGuest()
      const instance = await launch({ imageId: image.id })
      const deleted = await test.cloud.images.delete(image.id).then(
        () => true,
        (error: unknown) => expect(error).toMatchObject(cloudError('IMAGE_IN_USE')),
      )
      if (deleted) {
        const name = `${test.prefix}-orphan`
        const snapshot = await test.cloud.instances.snapshot(instance.id, { name }, { key: test.key() })
        expect(snapshot.image.status).toBe('active')
      }
      await test.cloud.instances.terminate(instance.id)
      if (!deleted) await test.cloud.images.delete(image.id)
    })

    it('become an independent image with the same content', async () => {
      const image = await createGuest()
      const instance = await launch({ imageId: image.id })
      const snapshot = await test.cloud.instances.snapshot(
        instance.id,
        { name: `${test.prefix}-snapshot`, properties: { purpose: 'test' } },
        { key: test.key() },
      )
      expect(snapshot.image).toMatchObject({ status: 'active', visibility: 'private' })
      expect(snapshot.image.properties.purpose).toBe('test')
      expect(snapshot.borrowed).toBe(false)
      await test.cloud.instances.terminate(instance.id)
      await test.cloud.images.delete(image.id)
      expect(
        (await contentOf(snapshot.image.id)).equals(await contentOf((await test.createActive()).id)),
      ).toBe(true)
    })

    it('are imaged once per key', async () => {
      const instance = await launch()
      const key = test.key()
      const name = `${test.prefix}-snapshot`
      const first = await test.cloud.instances.snapshot(instance.id, { name }, { key })
      const second = await test.cloud.instances.snapshot(instance.id, { name }, { key })
      expect(second).toEqual(first)
    })

    it('leave no image when imaging them is cancelled', async () => {
      const instance = await launch()
      const before = (await Array.fromAsync(test.cloud.images.list())).length
      const options = { key: test.key(), signal: AbortSignal.abort() }
      const snapshot = test.cloud.instances.snapshot(
        instance.id,
        { name: `${test.prefix}-snapshot` },
        options,
      )
      await expect(snapshot).rejects.toMatchObject({ code: 'CANCELLED' })
      expect(await Array.fromAsync(test.cloud.images.list())).toHaveLength(before)
    })

    it('have a disk of the size that was asked for', async () => {
      const instance = await launch({ diskSize: 1 })
      const name = `${test.prefix}-snapshot`
      const { image } = await test.cloud.instances.snapshot(instance.id, { name }, { key: test.key() })
      expect(image.virtualSize).toBe(1024 ** 3)
    })

    it('stop and terminate as often as one likes', async () => {
      const { id } = await launch()
      expect((await test.cloud.instances.stop(id)).status).toBe('stopped')
      await test.cloud.instances.terminate(id)
      await test.cloud.instances.terminate(id)
      await expect(test.cloud.instances.get(id)).rejects.toMatchObject(cloudError('INSTANCE_NOT_FOUND'))
    })

    it.each([randomUUID(), '', '../images', 'a name'])('do not exist as %j', async (id) => {
      const { instances } = test.cloud
      const notFound = cloudError('INSTANCE_NOT_FOUND')
      await expect(instances.get(id)).rejects.toMatchObject(notFound)
      await expect(instances.start(id)).rejects.toMatchObject(notFound)
      await expect(instances.stop(id)).rejects.toMatchObject(notFound)
      await expect(instances.address(id)).rejects.toMatchObject(notFound)
      await expect(instances.console(id)).rejects.toMatchObject(notFound)
      await expect(instances.snapshot(id, { name: 'x' }, { key: test.key() })).rejects.toMatchObject(notFound)
      await instances.terminate(id)
    })

    /** What a guest would see. */
    async function contentOf(id: string): Promise<Buffer> {
      const source = await test.cloud.images.open(id)
      if (!isRandomAccess(source)) return readAll(source)
      const { format } = await test.cloud.images.get(id)
      await using opened = await openCheckedDisk(source, format === null ? {} : { format })
      const content = Buffer.alloc(sampleDiskSize)
      await opened.disk.read(content, 0)
      return content
    }
  })
}

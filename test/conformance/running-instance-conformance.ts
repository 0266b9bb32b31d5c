import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Cloud, CloudInstance } from '../../src/clouds/cloud.ts'
import { poll } from '../../src/core/abort.ts'
import { type CloudHarness, type CloudUnderTest, underTest } from './cloud-harness.ts'
import { cloudError } from './image-conformance.ts'

export interface BootableHarness extends CloudHarness {
  readonly bootable: {
    readonly path: string
    readonly format: string
    /**
     * What its console shows when it is up: a text that each machine made up and stored when it booted for the first
     * time, as the first group.
     */
    readonly birthmark: RegExp
    /** MiB. */
    readonly memory: number
  }
}

/** What instances must do that run. One machine is taken through its life, because a boot takes its time. */
export function describeRunningInstances(name: string, open: () => Promise<BootableHarness>): void {
  describe(`running instances of ${name}`, () => {
    let test: CloudUnderTest
    let bootable: BootableHarness['bootable']
    let cloud: Cloud
    let instance: CloudInstance
    let birthmark: string
    const key = 'the running instance'

    beforeAll(async () => {
      const harness = await open()
      test = await underTest(harness)
      ;({ bootable } = harness)
      ;({ cloud } = test)
      const image = await test.create({
        name: `${test.prefix}-bootable`,
        format: bootable.format,
        ...(test.guestProperties ? { properties: test.guestProperties } : {}),
      })
      const content = await readFile(bootable.path)
      await cloud.images.upload(image.id, (sink) => sink.write(content), { size: content.length })
      instance = await launch(image.id)
    })
    afterAll(async () => {
      await test.cleanUp()
      await test.close()
    })

    const launch = (imageId: string, launchKey = key) =>
      cloud.instances.launch(
        { ...test.launch, name: `${test.prefix}-vm`, imageId, memory: bootable.memory },
        { key: launchKey },
      )

    it('boot, and show it on their console', async () => {
      expect(instance).toMatchObject({ name: `${test.prefix}-vm`, fault: null })
      birthmark = await boot(instance.id)
      expect(await cloud.instances.get(instance.id)).toMatchObject({ status: 'running', fault: null })
      expect(await cloud.instances.address(instance.id)).toMatchObject({ host: expect.any(String) })
      expect(await cloud.instances.console(instance.id, { maximumBytes: 10 })).toHaveLength(10)
    })

    it('are not launched twice with one key', async () => {
      expect((await launch(instance.imageId ?? '')).id).toBe(instance.id)
      expect((await cloud.instances.start(instance.id)).status).toBe('running')
    })

    it('become an image while they run, which boots and has what they wrote', async () => {
      const name = `${test.prefix}-snapshot`
      const options = { key: test.key() }
      const { image } = await cloud.instances.snapshot(instance.id, { name }, options)
      expect(image).toMatchObject({ name, status: 'active', visibility: 'private' })
      const { status } = await cloud.instances.get(instance.id)
      if (cloud.capabilities.instances.snapshotInterruption === 'none') expect(status).toBe('running')
      expect((await cloud.instances.snapshot(instance.id, { name }, options)).image.id).toBe(image.id)

      const clone = await launch(image.id, test.key())
      expect(await boot(clone.id)).toBe(birthmark)
      await cloud.instances.terminate(clone.id)
      await cloud.images.delete(image.id)
    })

    it('leave no image when the snapshot is cancelled, and run on', async () => {
      const before = (await Array.fromAsync(cloud.images.list())).length
      const cancel = new AbortController()
      setTimeout(() => cancel.abort(), 30)
      const options = { key: test.key(), signal: cancel.signal }
      const snapshot = cloud.instances.snapshot(instance.id, { name: `${test.prefix}-cancelled` }, options)
      await expect(snapshot).rejects.toMatchObject({ code: 'CANCELLED' })
      expect(await Array.fromAsync(cloud.images.list())).toHaveLength(before)
      expect((await cloud.instances.get(instance.id)).status).toBe('running')
    })

    it('leave nothing of a snapshot that was never begun', async () => {
      await cloud.instances.releaseSnapshot(test.key())
      expect((await cloud.instances.get(instance.id)).status).toBe('running')
    })

    it('stop, have no address then, and start again with what was on their disk', async () => {
      if (!cloud.capabilities.instances.stopStart) return
      const stopped = await cloud.instances.stop(instance.id, { deadline: 3_000 })
      expect(stopped).toMatchObject({ status: 'stopped', fault: null })
      expect(await cloud.instances.address(instance.id)).toBeNull()
      expect((await cloud.instances.start(instance.id)).status).toBe('running')
      expect(await boot(instance.id)).toBe(birthmark)
    })

    it('leave the image they were started from as it was', async () => {
      const twin = await launch(instance.imageId ?? '', test.key())
      expect(await boot(twin.id)).not.toBe(birthmark)
      await cloud.instances.terminate(twin.id)
    })

    it('are gone when they are terminated', async () => {
      await cloud.instances.terminate(instance.id)
      await cloud.instances.terminate(instance.id)
      await expect(cloud.instances.get(instance.id)).rejects.toMatchObject(cloudError('INSTANCE_NOT_FOUND'))
    })

    /** Waits for it and gives its birthmark. */
    async function boot(id: string): Promise<string> {
      return poll({
        what: `the console of ${id} to match ${bootable.birthmark}`,
        deadline: 300_000,
        interval: 250,
        maximumInterval: 1_000,
        attempt: async () => bootable.birthmark.exec(await cloud.instances.console(id))?.[1],
      })
    }
  })
}

import { randomUUID } from 'node:crypto'
import type { Cloud, CloudImage, NewImage, NewInstance } from '../../src/clouds/cloud.ts'
import { memoryDisk } from '../../src/disk/memory-disk.ts'
import { writeDisk } from '../../src/disk/write-disk.ts'
import { memorySink } from '../support/memory-sink.ts'

/** A cloud under test. Everything the suite makes has `prefix` in its name, and it removes what it made. */
export interface CloudHarness {
  readonly cloud: Cloud
  /** What every instance of the suite is launched with here: a small size, a network. */
  readonly launch?: Partial<NewInstance>
  /** Properties of the images instances are launched from. */
  readonly guestProperties?: Readonly<Record<string, string>>
  /** A second session with the same cloud, as another process would have one. */
  openAgain(): Promise<Cloud>
  /** Another account, to which images can be shared under this name. */
  readonly member?: { readonly cloud: Cloud; readonly id: string }
  close(): Promise<void>
}

export interface CloudUnderTest extends CloudHarness {
  readonly prefix: string
  key(): string
  newImage(changes?: Partial<NewImage>): NewImage
  /** A pending image. */
  create(changes?: Partial<NewImage>): Promise<CloudImage>
  /** An active image with `content`. */
  createActive(changes?: Partial<NewImage>): Promise<CloudImage>
  /** What the guest of `createActive` sees, in the format of `newImage`. */
  readonly content: Buffer
  cleanUp(): Promise<void>
}

/** Bytes of the guest's disk in every image of the suite. */
export const sampleDiskSize = 1024 * 1024 + 4096

export async function underTest(harness: CloudHarness): Promise<CloudUnderTest> {
  const prefix = `conformance-${randomUUID().slice(0, 8)}`
  const { cloud } = harness
  const format = cloud.capabilities.images.formats.includes('raw') ? 'raw' : 'qcow2'
  const content = await sampleImage(format)
  let count = 0
  const newImage = (changes: Partial<NewImage> = {}): NewImage => {
    count += 1
    return { name: `${prefix}-${count}`, format, virtualSize: sampleDiskSize, ...changes }
  }
  const create = (changes?: Partial<NewImage>) =>
    cloud.images.create(newImage(changes), { key: randomUUID() })
  return {
    ...harness,
    prefix,
    content,
    newImage,
    create,
    key: randomUUID,
    async createActive(changes) {
      const { id } = await create(changes)
      return cloud.images.upload(id, (sink) => sink.write(content), { size: content.length })
    },
    async cleanUp() {
      for await (const instance of cloud.instances.list()) {
        if (instance.name.startsWith(prefix)) await cloud.instances.terminate(instance.id)
      }
      const images = [
        ...(await Array.fromAsync(cloud.images.list())),
        ...(await Array.fromAsync(cloud.images.list({ hidden: true }))),
      ]
      for (const image of images) {
        if (!image.name.startsWith(prefix)) continue
        if (image.protected) await cloud.images.update(image.id, { protected: false })
        await cloud.images.delete(image.id)
      }
    },
  }
}

/** The bytes of a source. */
export async function readAll(source: { stream(): AsyncIterable<Uint8Array> }): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(source.stream()))
}

/** An image whose disk starts with text and has a hole in the middle. */
async function sampleImage(format: 'raw' | 'qcow2'): Promise<Buffer> {
  const disk = Buffer.alloc(sampleDiskSize)
  disk.write('what a guest would see '.repeat(1000), 0)
  disk.write('its last sector', sampleDiskSize - 512)
  if (format === 'raw') return disk
  const sink = memorySink()
  await writeDisk(memoryDisk(disk), sink, { format })
  return sink.bytes()
}

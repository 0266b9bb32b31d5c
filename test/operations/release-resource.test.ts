import { mkdir, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import type { Cloud } from '../../src/clouds/cloud.ts'
import { openCloud } from '../../src/clouds/open-cloud.ts'
import { writeDisk } from '../../src/disk/write-disk.ts'
import type { Resource } from '../../src/jobs/job.ts'
import { type CloudAccess, openCloudAccess } from '../../src/operations/cloud-access.ts'
import { releaseResource } from '../../src/operations/release-resource.ts'
import { memoryDisk } from '../support/memory-disk.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const image = (id: string | null, key = 'key'): Resource => ({
  jobId: 'job',
  kind: 'image',
  cloud: 'local',
  key,
  id,
  state: id ? 'created' : 'intended',
  label: 'an image',
})

async function makeCloud(): Promise<{ cloud: Cloud; clouds: CloudAccess }> {
  const cloud = await openCloud('local', { type: 'local', folder: join(await temporaryFolder(), 'local') })
  return { cloud, clouds: { names: ['local'], get: async () => cloud, close: async () => undefined } }
}

it('deletes an image by its id, protected or not, and is content when it is gone', async () => {
  const { cloud, clouds } = await makeCloud()
  const made = { name: 'x', format: 'raw', protected: true }
  const { id } = await cloud.images.create(made, { key: 'key' })
  await releaseResource(clouds, image(id))
  expect(await Array.fromAsync(cloud.images.list())).toEqual([])
  await releaseResource(clouds, image(id))
})

it('finds by its key what a dead process had made without learning its id', async () => {
  const { cloud, clouds } = await makeCloud()
  await cloud.images.create({ name: 'x', format: 'raw' }, { key: 'key' })
  await cloud.images.create({ name: 'other', format: 'raw' }, { key: 'other' })
  await releaseResource(clouds, image(null))
  const left = await Array.fromAsync(cloud.images.list())
  expect(left.map(({ name }) => name)).toEqual(['other'])
  await releaseResource(clouds, image(null))
})

it('asks for the pieces of snapshots only: another image needs no service but its own', async () => {
  const { cloud, clouds } = await makeCloud()
  const asked: string[] = []
  const instances = {
    ...cloud.instances,
    releaseSnapshot: async (key: string) => void asked.push(key),
  }
  const watched = { ...clouds, get: async () => ({ ...cloud, instances }) }
  await releaseResource(watched, image(null, 'job-image'))
  await releaseResource(watched, image(null, 'job-snapshot'))
  expect(asked).toEqual(['job-snapshot'])
})

it('terminates an instance', async () => {
  const { cloud, clouds } = await makeCloud()
  const { id } = await cloud.images.create({ name: 'x', format: 'raw' }, { key: 'key' })
  await cloud.images.upload(id, (sink) => writeDisk(memoryDisk(Buffer.alloc(4096)), sink, { format: 'raw' }))
  await cloud.instances.launch({ name: 'web', imageId: id, start: false }, { key: 'instance' })
  const instance = { ...image(null, 'instance'), kind: 'instance' } as const
  await releaseResource(clouds, instance)
  expect(await Array.fromAsync(cloud.instances.list())).toEqual([])
  await releaseResource(clouds, instance)
})

it('removes a file or a folder, and nothing while it was only intended', async () => {
  const { clouds } = await makeCloud()
  const folder = await temporaryFolder()
  await mkdir(join(folder, 'work', 'deep'), { recursive: true })
  await writeFile(join(folder, 'work', 'deep', 'file'), '')
  const file = { ...image(null), kind: 'file', cloud: '' } as const
  await releaseResource(clouds, file)
  expect((await stat(join(folder, 'work'))).isDirectory()).toBe(true)
  for (const _ of [1, 2]) await releaseResource(clouds, { ...file, id: join(folder, 'work') })
  await expect(stat(join(folder, 'work'))).rejects.toMatchObject({ code: 'ENOENT' })
})

it('fails when the cloud refuses, or is not configured any more', async () => {
  const { cloud } = await makeCloud()
  const refusing = {
    ...cloud,
    images: { ...cloud.images, update: () => Promise.reject(new Error('no route to host')) },
  }
  const clouds: CloudAccess = { names: ['local'], get: async () => refusing, close: async () => undefined }
  const { id } = await cloud.images.create({ name: 'x', format: 'raw' }, { key: 'key' })
  await expect(releaseResource(clouds, image(id))).rejects.toThrow('no route to host')
  const folders = { state: '/x', local: '/x', config: '/x' }
  const none = openCloudAccess({ folders, path: '/x', clouds: {}, problems: [] })
  await expect(releaseResource(none, image(id))).rejects.toMatchObject({ code: 'CLOUD_UNKNOWN' })
})

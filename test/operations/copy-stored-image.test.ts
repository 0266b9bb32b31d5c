import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { openCloud } from '../../src/clouds/open-cloud.ts'
import { copyStoredImage } from '../../src/operations/copy-stored-image.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

async function makeCloud() {
  return openCloud('local', { type: 'local', folder: join(await temporaryFolder(), 'local') })
}

it('copies an image byte for byte with what is true of the copy, once per key', async () => {
  const cloud = await makeCloud()
  const content = randomBytes(1024 * 1024)
  const original = await cloud.images.create(
    {
      name: 'web-shelved',
      format: 'raw',
      minRam: 128,
      tags: ['golden'],
      properties: { os_distro: 'debian', image_type: 'snapshot', imagewright_key: 'another' },
    },
    { key: 'original' },
  )
  await cloud.images.upload(original.id, (sink) => sink.write(content))
  const properties = { imagewright_snapshot_of: 'web' }
  const copy = await copyStoredImage(cloud, original.id, { name: 'copy', key: 'copy', properties })
  expect(copy).toMatchObject({
    name: 'copy',
    status: 'active',
    visibility: 'private',
    minRam: 128,
    tags: ['golden'],
  })
  expect(copy.properties).toEqual({ os_distro: 'debian', imagewright_snapshot_of: 'web' })
  const source = await cloud.images.open(copy.id)
  expect(Buffer.concat(await Array.fromAsync(source.stream())).equals(content)).toBe(true)
  await source.close()
  const again = await copyStoredImage(cloud, original.id, { name: 'copy', key: 'copy', properties })
  expect(again.id).toBe(copy.id)
  expect(await Array.fromAsync(cloud.images.list())).toHaveLength(2)
})

it('goes on with a copy that a dead process had only recorded, and refuses an image without data', async () => {
  const cloud = await makeCloud()
  const original = await cloud.images.create({ name: 'x', format: 'raw' }, { key: 'original' })
  const copy = () => copyStoredImage(cloud, original.id, { name: 'copy', key: 'copy', properties: {} })
  await expect(copy()).rejects.toMatchObject({ code: 'IMAGE_HAS_NO_DATA' })
  await cloud.images.upload(original.id, (sink) => sink.write(Buffer.alloc(512, 1)))
  const recorded = await cloud.images.create({ name: 'copy', format: 'raw' }, { key: 'copy' })
  expect(await copy()).toMatchObject({ id: recorded.id, status: 'active', size: 512 })
})

import { userInfo } from 'node:os'
import { join } from 'node:path'
import { openFileSource } from '../../transfer/file-source.ts'
import type { ImageChanges, ImageService, NewImage, Visibility } from '../cloud.ts'
import { CloudError } from '../errors.ts'
import {
  asCloudImage,
  type ImageRecord,
  localFormats,
  localVisibilities,
  matchesFilter,
  toCloudImage,
} from './image-record.ts'
import { uploadImage } from './image-upload.ts'
import type { InstanceRecord } from './instance-record.ts'
import type { LocalFolder } from './local-folder.ts'
import { isUnreadable, type ThingStore } from './thing-store.ts'

export interface LocalStores {
  readonly folder: LocalFolder
  readonly images: ThingStore<ImageRecord>
  readonly instances: ThingStore<InstanceRecord>
}

/** The images of the embedded cloud: a folder each, with a record and the data. */
export function localImages(stores: LocalStores): ImageService {
  const { images } = stores
  return {
    async *list(filter = {}) {
      for (const thing of await images.list()) {
        const image = asCloudImage(thing)
        if (matchesFilter(image, filter)) yield image
      }
    },

    get: async (id) => toCloudImage(found(await images.find(id), id)),

    async open(id, options) {
      readable(found(await images.find(id), id))
      return openFileSource(dataPath(stores, id), options)
    },

    async create(image, { key }) {
      // As in Glance: the three-part images have a container of their own name.
      const containers = ['ami', 'aki', 'ari'].includes(image.format) ? [image.format, 'bare'] : ['bare']
      supported(containers, image.container ?? 'bare', 'container')
      const record = await images.create(key, {
        ...(image.id === undefined ? {} : { id: image.id }),
        record: (id, createdAt) => newRecord(image, { id, key, createdAt }),
      })
      return toCloudImage(record)
    },

    async findByKey(key) {
      const record = await images.findByKey(key)
      return record && toCloudImage(record)
    },

    async upload(id, write, options) {
      found(await images.find(id), id)
      return toCloudImage(await uploadImage(stores, id, write, options))
    },

    async update(id, changes, options) {
      return toCloudImage(found(await images.change(id, (record) => changed(record, changes), options), id))
    },

    async members(id) {
      return found(await images.find(id), id).members.map((member) => ({
        member,
        status: 'accepted' as const,
      }))
    },

    async share(id, member, options) {
      const share = (record: ImageRecord) => ({
        ...sharable(record),
        members: [...new Set([...record.members, member])],
      })
      found(await images.change(id, share, options), id)
      return { member, status: 'accepted' }
    },

    async unshare(id, member, options) {
      const unshare = (record: ImageRecord) => ({
        ...record,
        members: record.members.filter((other) => other !== member),
      })
      found(await images.change(id, unshare, options), id)
    },

    async accept(id) {
      const record = found(await images.find(id), id)
      throw new CloudError(
        'CLOUD_UNSUPPORTED',
        `Image ${nameOf(record)} needs no answer to its being shared.`,
        {
          hint: 'In the embedded cloud an image may be used at once by those it is shared with.',
        },
      )
    },

    async deactivate(id, options) {
      const deactivate = (record: ImageRecord) => withStatus(record, 'deactivated')
      return toCloudImage(found(await images.change(id, deactivate, options), id))
    },

    async reactivate(id, options) {
      const reactivate = (record: ImageRecord) => withStatus(record, 'active')
      return toCloudImage(found(await images.change(id, reactivate, options), id))
    },

    async delete(id, options) {
      let wasThere = false
      await images.ifThere(
        id,
        async () => {
          await deleteImage(stores, id)
          wasThere = true
        },
        options,
      )
      if (!wasThere) found(null, id)
    },
  }
}

/** Where the image's bytes are, once it is active. */
export function dataPath({ images }: LocalStores, id: string): string {
  return join(images.pathOf(id), 'data')
}

/** @throws CloudError `IMAGE_NOT_FOUND` when the record is null */
export function found(record: ImageRecord | null, id: string): ImageRecord {
  if (record) return record
  throw new CloudError('IMAGE_NOT_FOUND', `There is no image ${id}.`)
}

/** @throws CloudError `IMAGE_HAS_NO_DATA` | `IMAGE_STATE` unless the image is active */
export function readable(record: ImageRecord): ImageRecord {
  if (record.status === 'active') return record
  if (record.status === 'deactivated') {
    throw new CloudError('IMAGE_STATE', `Image ${nameOf(record)} is deactivated: its data may not be read.`, {
      hint: 'Allow it again: imagewright images reactivate',
    })
  }
  throw new CloudError('IMAGE_HAS_NO_DATA', `Image ${nameOf(record)} has no data yet.`, {
    hint: 'Upload its data first.',
  })
}

export function newRecord(
  image: NewImage,
  { id, key, createdAt }: { id: string; key: string; createdAt: string },
): ImageRecord {
  return {
    version: 1,
    id,
    key,
    name: image.name,
    status: 'pending',
    format: supported(localFormats, image.format, 'format'),
    size: null,
    virtualSize: image.virtualSize ?? null,
    visibility: 'private',
    owner: userName(),
    createdAt,
    updatedAt: createdAt,
    sha256: null,
    minDisk: image.minDisk ?? 0,
    minRam: image.minRam ?? 0,
    protected: image.protected ?? false,
    hidden: image.hidden ?? false,
    tags: [...(image.tags ?? [])],
    properties: { ...image.properties },
    members: [],
    quiesced: null,
  }
}

function changed(record: ImageRecord, changes: ImageChanges): ImageRecord {
  const properties = Object.entries({ ...record.properties, ...changes.properties }).filter(
    (entry): entry is [string, string] => entry[1] !== null,
  )
  return {
    ...record,
    name: changes.name ?? record.name,
    visibility: supported<Visibility, ImageRecord['visibility']>(
      localVisibilities,
      changes.visibility ?? record.visibility,
      'visibility',
    ),
    minDisk: changes.minDisk ?? record.minDisk,
    minRam: changes.minRam ?? record.minRam,
    protected: changes.protected ?? record.protected,
    hidden: changes.hidden ?? record.hidden,
    tags: [...(changes.tags ?? record.tags)],
    properties: Object.fromEntries(properties),
    updatedAt: new Date().toISOString(),
  }
}

function withStatus(record: ImageRecord, status: 'active' | 'deactivated'): ImageRecord {
  if (record.status === 'pending') {
    throw new CloudError('IMAGE_STATE', `Image ${nameOf(record)} has no data yet, so none can be ${status}.`)
  }
  return { ...record, status, updatedAt: new Date().toISOString() }
}

/** As in Glance: members may be added to what is shared, and mean nothing elsewhere. */
function sharable(record: ImageRecord): ImageRecord {
  if (record.visibility === 'shared') return record
  throw new CloudError(
    'IMAGE_STATE',
    `Image ${nameOf(record)} is ${record.visibility}, so it has no members.`,
    {
      hint: 'Set its visibility to "shared" first.',
    },
  )
}

async function deleteImage(stores: LocalStores, id: string): Promise<void> {
  const { images, instances } = stores
  const record = (await images.list()).find((thing) => thing.id === id)
  if (record && !isUnreadable(record) && record.protected) {
    throw new CloudError('IMAGE_PROTECTED', `Image ${nameOf(record)} is protected.`, {
      hint: 'Remove the protection first: imagewright images set --unprotect',
    })
  }
  const users = (await instances.list()).filter((thing) => !isUnreadable(thing) && thing.imageId === id)
  if (users.length > 0) {
    throw new CloudError('IMAGE_IN_USE', `The disks of ${users.length} instances are based on image ${id}.`, {
      hint: `Terminate them first: ${users.map((user) => user.id).join(', ')}`,
      details: { instances: users.map((user) => user.id) },
    })
  }
  await images.remove(id)
}

function supported<T extends string, S extends T>(known: readonly S[], value: T, what: string): S {
  const match = known.find((candidate) => candidate === value)
  if (match !== undefined) return match
  throw new CloudError('CLOUD_UNSUPPORTED', `The embedded cloud does not know the ${what} "${value}".`, {
    hint: `Use one of: ${known.join(', ')}.`,
  })
}

function nameOf(record: ImageRecord): string {
  return `"${record.name}" (${record.id})`
}

function userName(): string {
  try {
    return userInfo().username
  } catch {
    // A container may run as a user its password file does not know.
    return `uid-${process.getuid?.() ?? 0}`
  }
}

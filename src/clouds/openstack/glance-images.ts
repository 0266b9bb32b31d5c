import { z } from 'zod'
import type { AbortOptions } from '../../core/abort.ts'
import type {
  CloudCapabilities,
  CloudImage,
  CreateOptions,
  ImageMember,
  ImageService,
  NewImage,
} from '../cloud.ts'
import { CloudError } from '../errors.ts'
import { getRecord, imageRequest, isCloudError } from './glance-api.ts'
import { listRecords } from './glance-list.ts'
import { type GlanceRecord, glanceRecordSchema, propertiesOf, toCloudImage } from './glance-record.ts'
import { openGlanceSource } from './glance-source.ts'
import { assertPropertyName, updateInGlance } from './glance-update.ts'
import { uploadToGlance } from './glance-upload.ts'
import { generations, idOfImageKey, isMadeWith, keyProperties } from './image-key.ts'
import type { OpenStackSession } from './session.ts'

export type GlanceImages = ImageService & { readonly capabilities: CloudCapabilities['images'] }

const memberSchema = z.object({
  member_id: z.string(),
  status: z.enum(['pending', 'accepted', 'rejected']),
})

/** The images of an OpenStack cloud: Glance, Image API v2. */
export function glanceImages(session: OpenStackSession): GlanceImages {
  return {
    capabilities: {
      // Any cloud allows only some of them; one it does not allow is refused when the image is recorded.
      formats: ['qcow2', 'raw', 'vmdk', 'vdi', 'vhd', 'vhdx', 'iso', 'ploop', 'ami', 'aki', 'ari'],
      seekableUpload: false,
      rangeDownload: true,
      visibilities: ['private', 'shared', 'community', 'public'],
      sharing: 'accepted',
      checksums: ['md5', 'sha512'],
      checksUploads: true,
      chosenIds: true,
    },

    async *list(filter = {}, options) {
      for await (const record of listRecords(session, filter, options)) yield toCloudImage(record)
    },

    get: async (id, options) => toCloudImage(await getRecord(session, id, options)),
    open: (id, options) => openGlanceSource(session, id, options),
    create: (image, options) => createImage(session, image, options),
    findByKey: (key, options) => findByKey(session, key, options),
    upload: (id, write, options) => uploadToGlance(session, id, write, options),
    update: (id, changes, options) => updateInGlance(session, id, changes, options),

    async members(id, options) {
      try {
        const answer = await imageRequest(session, id, { path: 'members', ...options })
        return (await answer.json(z.object({ members: z.array(memberSchema) }))).members.map(toMember)
      } catch (error) {
        // What is not shared has no members, which Glance says by refusing to list them.
        if (isCloudError(error, 'CLOUD_FORBIDDEN') && !(await isShared(id, options))) return []
        throw error
      }
    },

    async share(id, member, options) {
      try {
        const answer = await imageRequest(session, id, {
          method: 'POST',
          path: 'members',
          json: { member },
          accept: [409],
          repeatable: true,
          ...options,
        })
        if (answer.status !== 409) return toMember(await answer.json(memberSchema))
        await answer.discard()
        return await memberOf(id, member, options)
      } catch (error) {
        if (isCloudError(error, 'CLOUD_FORBIDDEN') && !(await isShared(id, options)))
          throw notShared(id, error)
        throw error
      }
    },

    async unshare(id, member, options) {
      const path = `members/${encodeURIComponent(member)}`
      const answer = await imageRequest(session, id, {
        method: 'DELETE',
        path,
        accept: [403, 404],
        ...options,
      })
      await answer.discard()
      if (answer.status < 400) return
      // It is the image that is missing, or the member, who need not be removed then.
      const record = await getRecord(session, id, options)
      if (answer.status === 403 && record.visibility === 'shared') {
        throw new CloudError(
          'CLOUD_FORBIDDEN',
          `Cloud "${session.cloudName}" does not let this account take image ${id} back.`,
          {
            hint: 'Only the owner of an image may do that.',
            details: { status: 403, requestId: answer.requestId },
          },
        )
      }
    },

    async accept(id, options) {
      const { projectId } = await session.account(options)
      const path = `members/${projectId}`
      const answer = await imageRequest(session, id, {
        method: 'PUT',
        path,
        json: { status: 'accepted' },
        ...options,
      })
      return toMember(await answer.json(memberSchema))
    },

    deactivate: (id, options) => act(id, 'deactivate', options),
    reactivate: (id, options) => act(id, 'reactivate', options),

    async delete(id, options) {
      try {
        await (await imageRequest(session, id, { method: 'DELETE', path: '', ...options })).discard()
      } catch (error) {
        if (isCloudError(error, 'CLOUD_CONFLICT')) {
          throw new CloudError('IMAGE_IN_USE', error.message, { cause: error, details: error.details })
        }
        if (isCloudError(error, 'CLOUD_FORBIDDEN') && (await getRecord(session, id, options)).protected) {
          throw new CloudError('IMAGE_PROTECTED', `Image ${id} is protected.`, {
            hint: `Remove the protection first: imagewright images set ${session.cloudName}:${id} --no-protected`,
            cause: error,
          })
        }
        throw error
      }
    },
  }

  async function act(
    id: string,
    action: 'deactivate' | 'reactivate',
    options: AbortOptions = {},
  ): Promise<CloudImage> {
    try {
      const path = `actions/${action}`
      await (
        await imageRequest(session, id, { method: 'POST', path, repeatable: true, ...options })
      ).discard()
    } catch (error) {
      const { status } = await getRecord(session, id, options)
      // Glance refuses a wrong state in the words it has for a missing right.
      if (status === 'active' || status === 'deactivated') throw error
      throw new CloudError('IMAGE_STATE', `Image ${id} is ${status}: there is nothing to ${action}.`, {
        cause: error,
      })
    }
    return toCloudImage(await getRecord(session, id, options))
  }

  async function memberOf(id: string, member: string, options: AbortOptions = {}): Promise<ImageMember> {
    const path = `members/${encodeURIComponent(member)}`
    return toMember(await (await imageRequest(session, id, { path, ...options })).json(memberSchema))
  }

  async function isShared(id: string, options: AbortOptions = {}): Promise<boolean> {
    return (await getRecord(session, id, options)).visibility === 'shared'
  }
}

/** Records the image under an id that follows from the key, so that a second call cannot make a second one. */
async function createImage(
  session: OpenStackSession,
  image: NewImage,
  { key, signal }: CreateOptions,
): Promise<CloudImage> {
  const ids = image.id ? [image.id] : Array.from({ length: generations }, (_, n) => idOfImageKey(key, n))
  for (const id of ids) {
    const answer = await session.request('image', {
      method: 'POST',
      path: 'images',
      json: newRecord(image, { id, key }),
      accept: [409],
      repeatable: true,
      signal,
    })
    if (answer.status !== 409) return toCloudImage(await answer.json(glanceRecordSchema))
    await answer.discard()
    const taken = await existing(session, id, { signal })
    if (taken && isMadeWith(key, { id, properties: propertiesOf(taken) })) return toCloudImage(taken)
    // The image that had this id was deleted, and a new one is wanted.
  }
  throw new CloudError(
    'CLOUD_CONFLICT',
    `Cloud "${session.cloudName}" has, or had, another image ${ids[0]}.`,
    {
      hint: 'The id of an image is given once, and stays taken when the image is deleted. Choose another, or none.',
    },
  )
}

function newRecord(image: NewImage, { id, key }: { id: string; key: string }): Record<string, unknown> {
  const { properties = {} } = image
  for (const name of Object.keys(properties)) assertPropertyName(name)
  return {
    ...properties,
    ...keyProperties(key, id),
    id,
    name: image.name,
    visibility: 'private',
    disk_format: image.format,
    container_format: image.container ?? usualContainer(image.format),
    min_disk: image.minDisk ?? 0,
    min_ram: image.minRam ?? 0,
    protected: image.protected ?? false,
    tags: [...new Set(image.tags ?? [])],
    // Not known to clouds from before 2018.
    ...(image.hidden ? { os_hidden: true } : {}),
  }
}

/** An image of the Amazon kind is its own container. */
function usualContainer(format: string): string {
  return ['ami', 'aki', 'ari'].includes(format) ? format : 'bare'
}

async function findByKey(
  session: OpenStackSession,
  key: string,
  { signal }: AbortOptions = {},
): Promise<CloudImage | null> {
  const { projectId } = await session.account({ signal })
  for (const hidden of [false, true]) {
    const filter = { owner: projectId, hidden }
    for await (const record of listRecords(session, filter, { signal, key })) {
      if (isMadeWith(key, { id: record.id, properties: propertiesOf(record) })) return toCloudImage(record)
    }
  }
  return null
}

async function existing(
  session: OpenStackSession,
  id: string,
  options: AbortOptions,
): Promise<GlanceRecord | null> {
  try {
    return await getRecord(session, id, options)
  } catch (error) {
    if (isCloudError(error, 'IMAGE_NOT_FOUND')) return null
    throw error
  }
}

function toMember({ member_id, status }: z.infer<typeof memberSchema>): ImageMember {
  return { member: member_id, status }
}

function notShared(id: string, cause: unknown): CloudError {
  return new CloudError('IMAGE_STATE', `Image ${id} is not shared, so it has no members.`, {
    hint: 'Set its visibility to "shared" first.',
    cause,
  })
}

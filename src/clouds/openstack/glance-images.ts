import type { AbortOptions } from '../../core/abort.ts'
import type { CloudCapabilities, CloudImage, ImageService } from '../cloud.ts'
import { CloudError } from '../errors.ts'
import { getRecord, imageRequest, isCloudError } from './glance-api.ts'
import { createInGlance, findInGlance } from './glance-create.ts'
import { listRecords } from './glance-list.ts'
import { glanceMembers } from './glance-members.ts'
import { toCloudImage } from './glance-record.ts'
import { openGlanceSource } from './glance-source.ts'
import { updateInGlance } from './glance-update.ts'
import { uploadToGlance } from './glance-upload.ts'
import type { OpenStackSession } from './session.ts'

export type GlanceImages = ImageService & { readonly capabilities: CloudCapabilities['images'] }

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
      // By its format inspector, on by default since 2024.
      inspectsBeginning: true,
      chosenIds: true,
    },

    async *list(filter = {}, options) {
      for await (const record of listRecords(session, filter, options)) yield toCloudImage(record)
    },

    get: async (id, options) => toCloudImage(await getRecord(session, id, options)),
    open: (id, options) => openGlanceSource(session, id, options),
    create: (image, options) => createInGlance(session, image, options),
    findByKey: (key, options) => findInGlance(session, key, options),
    upload: (id, write, options) => uploadToGlance(session, id, write, options),
    update: (id, changes, options) => updateInGlance(session, id, changes, options),
    ...glanceMembers(session),

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
}

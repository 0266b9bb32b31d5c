import type { CloudImage, ImageChanges, ImageFilter, ImageMember } from '../clouds/cloud.ts'
import { CloudError } from '../clouds/errors.ts'
import type { AbortOptions } from '../core/abort.ts'
import type { CloudAccess } from './cloud-access.ts'
import { collect, findImage } from './find.ts'
import { parseCloudReference } from './reference.ts'

/** The image service of any cloud, by reference: `CLOUD:ID` or `CLOUD:NAME` with an exact name. */
export interface Images {
  list(cloud: string, filter?: ImageFilter, options?: AbortOptions): Promise<CloudImage[]>
  /** @throws CloudError `IMAGE_NOT_FOUND` | `IMAGE_AMBIGUOUS` */
  show(reference: string, options?: AbortOptions): Promise<CloudImage>
  /** As `show`, but null instead of an error when there is none. */
  find(reference: string, options?: AbortOptions): Promise<CloudImage | null>
  set(reference: string, changes: ImageChanges, options?: AbortOptions): Promise<CloudImage>
  /** Gives the id of what was deleted; null when there was nothing and that was to be no error. */
  delete(reference: string, options?: AbortOptions & { ignoreMissing?: boolean }): Promise<string | null>
  /** Gives all members. An image that is private becomes shared. */
  share(reference: string, members: readonly string[], options?: AbortOptions): Promise<ImageMember[]>
  /** Gives the members that are left. */
  unshare(reference: string, members: readonly string[], options?: AbortOptions): Promise<ImageMember[]>
  members(reference: string, options?: AbortOptions): Promise<ImageMember[]>
  /** Takes an image that was offered to this account, by its id or by its name among what waits for an answer. */
  accept(reference: string, options?: AbortOptions): Promise<ImageMember>
  /** Forbids reading its data. */
  deactivate(reference: string, options?: AbortOptions): Promise<CloudImage>
  reactivate(reference: string, options?: AbortOptions): Promise<CloudImage>
}

export function openImages(clouds: CloudAccess): Images {
  async function locate(reference: string, options: AbortOptions) {
    const { cloud: name, thing } = parseCloudReference(reference)
    const cloud = await clouds.get(name)
    return { service: cloud.images, image: await findImage(cloud, thing, options) }
  }
  return {
    list: async (cloud, filter = {}, options = {}) =>
      collect((await clouds.get(cloud)).images.list(filter, options)),
    show: async (reference, options = {}) => (await locate(reference, options)).image,
    async find(reference, options = {}) {
      try {
        return (await locate(reference, options)).image
      } catch (error) {
        if (error instanceof CloudError && error.code === 'IMAGE_NOT_FOUND') return null
        throw error
      }
    },
    async set(reference, changes, options = {}) {
      const { service, image } = await locate(reference, options)
      return service.update(image.id, changes, options)
    },
    async delete(reference, { ignoreMissing = false, ...options } = {}) {
      try {
        const { service, image } = await locate(reference, options)
        await service.delete(image.id, options)
        return image.id
      } catch (error) {
        // It may also have gone between the look and the deletion.
        if (ignoreMissing && error instanceof CloudError && error.code === 'IMAGE_NOT_FOUND') return null
        throw error
      }
    },
    async share(reference, members, options = {}) {
      const { service, image } = await locate(reference, options)
      if (image.visibility === 'private') await service.update(image.id, { visibility: 'shared' }, options)
      for (const member of members) await service.share(image.id, member, options)
      return service.members(image.id, options)
    },
    async unshare(reference, members, options = {}) {
      const { service, image } = await locate(reference, options)
      for (const member of members) await service.unshare(image.id, member, options)
      return service.members(image.id, options)
    },
    async members(reference, options = {}) {
      const { service, image } = await locate(reference, options)
      return service.members(image.id, options)
    },
    async accept(reference, options = {}) {
      const { cloud: name, thing } = parseCloudReference(reference)
      const cloud = await clouds.get(name)
      const image = await findImage(cloud, thing, { ...options, filter: { memberStatus: 'pending' } })
      return cloud.images.accept(image.id, options)
    },
    async deactivate(reference, options = {}) {
      const { service, image } = await locate(reference, options)
      return service.deactivate(image.id, options)
    },
    async reactivate(reference, options = {}) {
      const { service, image } = await locate(reference, options)
      return service.reactivate(image.id, options)
    },
  }
}

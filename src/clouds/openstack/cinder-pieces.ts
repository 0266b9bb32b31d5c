import type { AbortOptions } from '../../core/abort.ts'
import type { ImageService } from '../cloud.ts'
import { type CinderApi, cinderApi } from './cinder-api.ts'
import { isCode, type NovaApi } from './nova-api.ts'

/** Milliseconds. A volume that is being filled or uploaded must have come to rest before it can be deleted. */
const removeDeadline = 60 * 60_000

/**
 * What everything is called that is made on the way to the image of a volume-backed server, so that it is found again
 * by the key alone: the record Nova makes, the volume, the image while it is written. Nova calls the snapshots of the
 * volumes "snapshot for " and the name of the record.
 */
export function pieceName(key: string): string {
  return `imagewright ${key}`
}

/** Removes all of it. A cloud without volumes, or an account that may not use them, has made none. */
export async function releaseVolumePieces(
  { api, images }: { api: NovaApi; images: ImageService },
  key: string,
  options: AbortOptions = {},
): Promise<void> {
  const { session } = api
  if (!(await session.has('block-storage', options))) return
  const cinder = cinderApi(session)
  const name = pieceName(key)
  await removeImages(images, name, options)
  // A volume goes before the snapshot it was made of: some stores keep the one in the other.
  for (const volume of await named(cinder.volumes(options), name)) {
    await cinder.remove('volume', volume.id, { deadline: removeDeadline, ...options })
  }
  for (const snapshot of await named(cinder.snapshots(options), name)) {
    await cinder.remove('snapshot', snapshot.id, { deadline: removeDeadline, ...options })
  }
}

/** The snapshot of one volume that Nova took together with those of all others. */
export async function findSnapshotOf(
  cinder: CinderApi,
  { key, volumeId, signal }: AbortOptions & { key: string; volumeId: string },
) {
  const found = await named(cinder.snapshots({ signal }), pieceName(key))
  return found.find(({ volume_id }) => volume_id === volumeId)
}

async function removeImages(images: ImageService, name: string, options: AbortOptions): Promise<void> {
  for await (const { id } of images.list({ name }, options)) {
    try {
      await images.delete(id, options)
    } catch (error) {
      if (!isCode(error, 'IMAGE_NOT_FOUND')) throw error
    }
  }
}

async function named<T extends { readonly name?: string | null | undefined }>(
  items: AsyncIterable<T>,
  name: string,
): Promise<T[]> {
  try {
    return (await Array.fromAsync(items)).filter((item) => item.name?.endsWith(name))
  } catch (error) {
    if (isCode(error, 'CLOUD_FORBIDDEN')) return []
    throw error
  }
}

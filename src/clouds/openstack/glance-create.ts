import type { AbortOptions } from '../../core/abort.ts'
import type { CloudImage, CreateOptions, NewImage } from '../cloud.ts'
import { CloudError } from '../errors.ts'
import { getRecord, isCloudError } from './glance-api.ts'
import { listRecords } from './glance-list.ts'
import { type GlanceRecord, glanceRecordSchema, propertiesOf, toCloudImage } from './glance-record.ts'
import { assertPropertyName } from './glance-update.ts'
import { generations, idOfImageKey, isMadeWith, keyProperties } from './image-key.ts'
import type { OpenStackSession } from './session.ts'

/** Records the image under an id that follows from the key, so that a second call cannot make a second one. */
export async function createInGlance(
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

/** The image this project made with the key. */
export async function findInGlance(
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

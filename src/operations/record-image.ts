import type { Cloud, CloudImage } from '../clouds/cloud.ts'
import { CloudError } from '../clouds/errors.ts'
import type { AbortOptions } from '../core/abort.ts'
import type { JobContext } from '../jobs/job.ts'
import { OperationError } from './errors.ts'
import { collect } from './find.ts'
import { isRefusal, setPropertiesOneByOne } from './set-properties.ts'
import type { StoreImageOptions } from './store-image.ts'

export type RecordedImage = {
  readonly id: string
  /** Names of properties that the cloud refused and the image does without. */
  readonly skipped: readonly string[]
}

/** Makes the record of the new image, entered into the ledger first. It has its properties already: a boot test needs them. */
export async function recordImage(
  context: JobContext,
  options: Omit<StoreImageOptions, 'openSource'>,
  format: string,
): Promise<RecordedImage> {
  const { target, storage, name } = options
  const { signal } = context
  const key = imageKey(context, options)
  await context.ledger.intend({ kind: 'image', cloud: target.name, key, label: `image "${name}"` })
  const { image, skipped } = await createRecord(context, options, format)
  await context.ledger.created(key, image.id)
  if (options.id !== undefined && image.id !== options.id) {
    throw new OperationError('INPUT_INVALID', `${target.name} does not let the id of an image be chosen.`)
  }
  if (!storage.allowDuplicateName) await refuseEarlierName(target, image, { signal })
  return { id: image.id, skipped }
}

/**
 * The image to write to. An earlier run may have given it all its data without living to say so: the data of an image
 * never change, and nobody knows what they are worth, so it is made anew.
 */
export async function emptyImage(
  context: JobContext,
  options: Omit<StoreImageOptions, 'openSource'>,
  { recorded, format }: { recorded: RecordedImage; format: string },
): Promise<RecordedImage> {
  const { images } = options.target
  const { signal } = context
  try {
    const { status } = await images.get(recorded.id, { signal })
    if (status === 'pending') return recorded
    await images.delete(recorded.id, { signal })
  } catch (error) {
    if (!(error instanceof CloudError) || error.code !== 'IMAGE_NOT_FOUND') throw error
  }
  return recordImage(context, options, format)
}

/**
 * @throws OperationError `NAME_TAKEN` when the cloud has another image of this name
 */
export async function refuseTakenName(
  cloud: Cloud,
  name: string,
  options: AbortOptions & { unless?: (other: CloudImage) => boolean } = {},
): Promise<void> {
  const others = await collect(cloud.images.list({ name }, options))
  const other = others.find((image) => !options.unless?.(image))
  if (!other) return
  throw new OperationError('NAME_TAKEN', `${cloud.name} already has an image "${name}" (${other.id}).`, {
    hint: 'Choose another name, delete that image, or allow a second one with --allow-duplicate-name.',
  })
}

/**
 * For an image that was just made: two jobs may have looked for its name at the same moment. The earlier record wins, so
 * exactly one goes on.
 * @throws OperationError `NAME_TAKEN`
 */
export function refuseEarlierName(cloud: Cloud, image: CloudImage, options: AbortOptions): Promise<void> {
  return refuseTakenName(cloud, image.name, { ...options, unless: (other) => !isEarlier(other, image) })
}

/** The key the image is made with, and found by after a crash. */
export function imageKey(context: JobContext, { part = 'image' }: Pick<StoreImageOptions, 'part'>): string {
  return `${context.jobId}-${part}`
}

async function createRecord(
  context: JobContext,
  options: Omit<StoreImageOptions, 'openSource'>,
  format: string,
): Promise<{ image: CloudImage; skipped: readonly string[] }> {
  const { target, storage, name, described } = options
  const { signal } = context
  const key = imageKey(context, options)
  const properties = { ...described?.properties, ...options.lineage, ...storage.properties }
  const record = {
    ...(options.id === undefined ? {} : { id: options.id }),
    name,
    format,
    ...(options.container ? { container: options.container } : {}),
    ...(described?.minRam ? { minRam: described.minRam } : {}),
    ...(described?.hidden ? { hidden: true } : {}),
    tags: [...new Set([...(described?.tags ?? []), ...storage.tags])],
  }
  try {
    return { image: await target.images.create({ ...record, properties }, { key, signal }), skipped: [] }
  } catch (error) {
    if (options.id !== undefined && codeOf(error) === 'CLOUD_CONFLICT') throw idTaken(options, error)
    if (!isRefusal(error) || Object.keys(properties).length === 0) throw error
    // It may be one of the properties. If it is not, the record without any is refused as well, with the real reason.
    const image = await target.images.create(record, { key, signal })
    await context.ledger.created(key, image.id)
    const { skipForbiddenProperties: skipForbidden } = storage
    const asked = { cloud: target, id: image.id, properties, skipForbidden }
    return { image, skipped: await setPropertiesOneByOne(context, asked) }
  }
}

function codeOf(error: unknown): string | null {
  return error instanceof CloudError ? error.code : null
}

function idTaken({ target, id }: Pick<StoreImageOptions, 'target' | 'id'>, cause: unknown): OperationError {
  return new OperationError('ID_TAKEN', `${target.name} cannot make an image with the id ${id}.`, {
    hint: 'An id is in use, or was: Glance never gives the id of a deleted image again. Leave --same-id out.',
    cause,
  })
}

function isEarlier(other: CloudImage, image: CloudImage): boolean {
  if (other.id === image.id) return false
  if (other.createdAt !== image.createdAt) return other.createdAt < image.createdAt
  return other.id < image.id
}

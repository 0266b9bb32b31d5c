import { z } from 'zod'
import type { Cloud, CloudImage } from '../clouds/cloud.ts'
import { CloudError } from '../clouds/errors.ts'
import type { AbortOptions } from '../core/abort.ts'
import { GiB } from '../core/bytes.ts'
import type { Plain } from '../core/json.ts'
import { digestWhileReading } from '../disk/content-digest.ts'
import type { CheckedDisk } from '../disk/open-disk.ts'
import { isOutputFormat, type OutputFormat, outputFormats, writeDisk } from '../disk/write-disk.ts'
import type { CleaningReport } from '../guest/cleaning/report.ts'
import type { JobContext } from '../jobs/job.ts'
import { hashingSink } from '../transfer/hashing-sink.ts'
import { bootTest } from './boot-test.ts'
import { cleanOnTheWay } from './clean-on-the-way.ts'
import type { CleaningInput } from './cleaning-input.ts'
import type { Environment } from './environment.ts'
import { OperationError } from './errors.ts'
import { collect } from './find.ts'
import { progressOf } from './progress.ts'
import { verifyStoredImage } from './verify-stored-image.ts'

/** How and for whom the image is stored, as a job keeps it. */
export const storageInput = z.strictObject({
  /** Container format; the cloud's preferred one when absent. */
  format: z.enum(outputFormats).optional(),
  compression: z.enum(['zlib', 'zstd']).optional(),
  visibility: z.enum(['private', 'shared', 'community', 'public']).default('private'),
  members: z.array(z.string()).default([]),
  properties: z.record(z.string(), z.string()).default({}),
  tags: z.array(z.string()).default([]),
  protected: z.boolean().default(false),
  /** Start an instance of the new image and wait for its login before it is published. */
  bootTest: z.boolean().default(false),
  allowDuplicateName: z.boolean().default(false),
})

export type StorageInput = z.infer<typeof storageInput>

export interface StoreImageOptions {
  target: Cloud
  name: string
  openSource: (options: AbortOptions) => Promise<CheckedDisk>
  clean: CleaningInput | null
  /** Store the container byte for byte instead of writing a new one; not together with `clean`. */
  verbatim?: boolean
  storage: StorageInput
  /** Properties that say where the image came from. */
  lineage: Readonly<Record<string, string>>
}

export type StoredImage = {
  readonly cloud: string
  readonly image: CloudImage
  /** SHA-256 of what the guest sees, independent of the container format; null when stored byte for byte. */
  readonly contentDigest: string | null
  /** SHA-256 of the stored bytes, when they were stored as they came. */
  readonly containerDigest: string | null
  /** What was cleaned; null when nothing was asked for. */
  readonly cleaning: Plain<CleaningReport> | null
}

type Written = Omit<StoredImage, 'cloud' | 'image'>

/**
 * Puts a disk into a cloud as a new image: record, write, verify, publish. Until the last step the image is private,
 * and any failure removes it again.
 */
export async function storeImage(
  environment: Environment,
  context: JobContext,
  options: StoreImageOptions,
): Promise<StoredImage> {
  const { target, storage } = options
  const { signal } = context
  const format = storage.format ?? preferredFormat(target)

  const recorded = await context.step('record', `Recording the image in ${target.name}`, () =>
    recordImage(context, options, format),
  )
  const { id, ...written } = await context.step('write', 'Checking, cleaning and writing', async () => {
    const id = await emptyImage(context, options, { id: recorded, format })
    return { id, ...(await writeImage(environment, context, { ...options, id, format })) }
  })
  await context.step('verify', 'Verifying what was stored', async () => {
    await verifyStoredImage(environment, context, {
      cloud: target,
      id,
      contentDigest: written.contentDigest,
      containerDigest: written.containerDigest,
      cleaned: options.clean,
    })
    return null
  })
  if (storage.bootTest) {
    await context.step('boot-test', 'Booting the new image', async () => {
      await bootTest(context, target, { imageId: id })
      return null
    })
  }
  await context.step('publish', 'Publishing the image', () => publishImage(context, options, { id, written }))
  return { cloud: target.name, image: await target.images.get(id, { signal }), ...written }
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

async function recordImage(
  context: JobContext,
  options: StoreImageOptions,
  format: OutputFormat,
): Promise<string> {
  const { target, storage, name } = options
  const { signal } = context
  const key = imageKey(context)
  await context.ledger.intend({ kind: 'image', cloud: target.name, key, label: `image "${name}"` })
  const image = await target.images.create(
    { name, format, tags: storage.tags, properties: { ...options.lineage, ...storage.properties } },
    { key, signal },
  )
  await context.ledger.created(key, image.id)
  if (!storage.allowDuplicateName) {
    // Two jobs may have looked for the name at the same moment: the earlier record wins, so exactly one goes on.
    await refuseTakenName(target, name, { signal, unless: (other) => !isEarlier(other, image) })
  }
  return image.id
}

/**
 * The image to write to. An earlier run may have given it all its data without living to say so: the data of an image
 * never change, and nobody knows what they are worth, so it is made anew.
 */
async function emptyImage(
  context: JobContext,
  options: StoreImageOptions,
  { id, format }: { id: string; format: OutputFormat },
): Promise<string> {
  const { images } = options.target
  const { signal } = context
  try {
    const { status } = await images.get(id, { signal })
    if (status === 'pending') return id
    await images.delete(id, { signal })
  } catch (error) {
    if (!(error instanceof CloudError) || error.code !== 'IMAGE_NOT_FOUND') throw error
  }
  return recordImage(context, options, format)
}

function isEarlier(other: CloudImage, image: CloudImage): boolean {
  if (other.id === image.id) return false
  if (other.createdAt !== image.createdAt) return other.createdAt < image.createdAt
  return other.id < image.id
}

async function writeImage(
  environment: Environment,
  context: JobContext,
  options: StoreImageOptions & { id: string; format: OutputFormat },
): Promise<Written> {
  const { signal } = context
  const { target, storage } = options
  await using source = await options.openSource({ signal })
  if (options.verbatim) return await copyImage(context, options, source)
  await using cleaned = await cleanOnTheWay(environment, context, { disk: source.disk, clean: options.clean })
  await using digested = digestWhileReading(cleaned.disk)
  await target.images.upload(
    options.id,
    (sink) =>
      writeDisk(digested.disk, sink, {
        format: options.format,
        ...(storage.compression ? { compression: storage.compression } : {}),
        signal,
        onProgress: progressOf(context, `write-${options.id}`, `Writing ${target.name}:${options.name}`),
      }),
    { signal },
  )
  await target.images.update(options.id, { minDisk: Math.ceil(cleaned.disk.size / GiB) }, { signal })
  return {
    contentDigest: await digested.digest(),
    containerDigest: null,
    cleaning: cleaned.report,
  }
}

/** Stores the container as it is, byte for byte. */
async function copyImage(
  context: JobContext,
  options: StoreImageOptions & { id: string },
  { source, disk }: CheckedDisk,
): Promise<Written> {
  const { signal } = context
  const { target, id } = options
  const onProgress = progressOf(context, `write-${id}`, `Uploading to ${target.name}:${options.name}`)
  let containerDigest: string | undefined
  await target.images.upload(
    id,
    async (sink) => {
      const hashing = hashingSink(sink, ['sha256'])
      let done = 0
      try {
        for await (const chunk of source.stream({ signal })) {
          await hashing.write(chunk, { signal })
          done += chunk.length
          onProgress(done, source.size)
        }
        containerDigest = (await hashing.digests()).sha256
      } catch (error) {
        await hashing.abort()
        throw error
      }
    },
    { signal },
  )
  await target.images.update(id, { minDisk: Math.ceil(disk.size / GiB) }, { signal })
  return { contentDigest: null, containerDigest: containerDigest ?? null, cleaning: null }
}

async function publishImage(
  context: JobContext,
  options: StoreImageOptions,
  { id, written }: { id: string; written: Written },
): Promise<null> {
  const { target, storage, clean } = options
  const { signal } = context
  // Only a shared image has members, so naming some asks for it.
  const visibility =
    storage.members.length > 0 && storage.visibility === 'private' ? 'shared' : storage.visibility
  const properties = {
    ...(written.contentDigest ? { imagewright_content_sha256: written.contentDigest } : {}),
    imagewright_job: context.jobId,
    imagewright_cleaned: clean ? clean.profile : 'no',
  }
  await target.images.update(id, { visibility, properties, protected: storage.protected }, { signal })
  for (const member of storage.members) await target.images.share(id, member, { signal })
  await context.ledger.kept(imageKey(context))
  return null
}

function imageKey(context: JobContext): string {
  return `${context.jobId}-image`
}

function preferredFormat(cloud: Cloud): OutputFormat {
  const [format] = cloud.capabilities.images.formats.filter(isOutputFormat)
  if (!format) {
    throw new OperationError('FORMAT_UNKNOWN', `${cloud.name} takes none of the formats that can be written.`)
  }
  return format
}

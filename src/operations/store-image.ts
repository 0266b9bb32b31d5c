import type { Cloud, CloudImage, ImageMember } from '../clouds/cloud.ts'
import type { CheckedDisk } from '../disk/open-disk.ts'
import type { UnwrapWishes } from '../disk/wrapping/wrapping.ts'
import { isOutputFormat, type OutputFormat } from '../disk/write-disk.ts'
import type { JobContext } from '../jobs/job.ts'
import { bootTest } from './boot-test.ts'
import type { CleaningInput } from './cleaning-input.ts'
import { cleaningMark } from './cleaning-mark.ts'
import type { Environment } from './environment.ts'
import { OperationError } from './errors.ts'
import { emptyImage, imageKey, recordImage } from './record-image.ts'
import { retryTransfer } from './retry-transfer.ts'
import type { StorageInput } from './storage-input.ts'
import { verifyStoredImage } from './verify-stored-image.ts'
import { type WrittenImage, writeImage } from './write-image.ts'

export interface StoreImageOptions {
  target: Cloud
  name: string
  openSource: (wishes: UnwrapWishes) => Promise<CheckedDisk>
  clean: CleaningInput | null
  /** Store the container byte for byte instead of writing a new one; not together with `clean`. */
  verbatim?: boolean
  /** Container format of the stored image where it is none that can be written; only together with `verbatim`. */
  format?: string
  /** How the format is wrapped, in the cloud's own word. */
  container?: string
  /** The id it is to have. */
  id?: string
  storage: StorageInput
  /** Properties that say where the image came from. */
  lineage: Readonly<Record<string, string>>
  /** What is carried over from the image it is made of. */
  described?: ImageDescription
  /** Tells the images of one job apart: `image` when absent. Steps and the ledger are named after it. */
  part?: string
}

/** What a copy takes over from an image beside its data. */
export type ImageDescription = {
  readonly properties: Readonly<Record<string, string>>
  readonly tags: readonly string[]
  /** GiB. */
  readonly minDisk: number
  /** MiB. */
  readonly minRam: number
  readonly hidden: boolean
}

export type StoredImage = WrittenImage & {
  readonly cloud: string
  readonly image: CloudImage
  /** How what was stored was proved: by the cloud's own checksums, or by reading it back. */
  readonly verified: 'checksum' | 'read-back'
  /** Who the image is shared with; one that is `pending` has not accepted yet. */
  readonly members: readonly ImageMember[]
  /** Names of properties that the cloud refused and the image does without. */
  readonly skippedProperties: readonly string[]
}

/**
 * Puts a disk into a cloud as a new image: record, write, verify, publish. Until the last step the image is private,
 * and any failure removes it again.
 */
export async function storeImage(
  environment: Environment,
  context: JobContext,
  options: StoreImageOptions,
): Promise<StoredImage> {
  const { target, storage, part } = options
  const { signal } = context
  const format = options.format ?? storage.format ?? preferredFormat(target)
  const step = (name: string) => (part ? `${part}-${name}` : name)

  const recorded = await context.step(step('record'), `Recording the image in ${target.name}`, () =>
    recordImage(context, options, format),
  )
  const { id, skipped, proved, sent, ...written } = await context.step(
    step('write'),
    options.verbatim ? 'Checking and copying' : 'Checking, cleaning and writing',
    () => {
      // Of the attempt before: it may have made the image anew, and given that one data.
      let last = recorded
      return retryTransfer(context, async () => {
        last = await emptyImage(context, options, { recorded: last, format })
        return { ...last, ...(await writeImage(environment, context, { ...options, id: last.id, format })) }
      })
    },
  )
  if (!proved) {
    await context.step(step('verify'), 'Verifying what was stored', async () => {
      await verifyStoredImage(environment, context, {
        cloud: target,
        id,
        contentDigest: written.contentDigest,
        sent,
        cleaned: options.clean,
      })
      return null
    })
  }
  if (storage.bootTest) {
    await context.step(step('boot-test'), 'Booting the new image', async () => {
      await bootTest(context, target, { imageId: id })
      return null
    })
  }
  const members = await context.step(step('publish'), 'Publishing the image', () =>
    publishImage(context, options, { id, written }),
  )
  return {
    cloud: target.name,
    image: await target.images.get(id, { signal }),
    ...written,
    verified: proved ? 'checksum' : 'read-back',
    members,
    skippedProperties: skipped,
  }
}

/** Shows the image to whoever is to see it. Protection comes last: until then the image can be taken back. */
export async function publishImage(
  context: JobContext,
  options: Omit<StoreImageOptions, 'openSource'>,
  { id, written }: { id: string; written: Pick<WrittenImage, 'contentDigest'> },
): Promise<ImageMember[]> {
  const { target, storage, clean } = options
  const { signal } = context
  // Only a shared image has members, so naming some asks for it.
  const visibility =
    storage.members.length > 0 && storage.visibility === 'private' ? 'shared' : storage.visibility
  const properties = {
    ...(written.contentDigest ? { imagewright_content_sha256: written.contentDigest } : {}),
    imagewright_job: context.jobId,
    ...cleaningMark(clean),
  }
  await target.images.update(id, { visibility, properties }, { signal })
  const members: ImageMember[] = []
  for (const member of storage.members) members.push(await target.images.share(id, member, { signal }))
  if (storage.protected) await target.images.update(id, { protected: true }, { signal })
  await context.ledger.kept(imageKey(context, options))
  return members
}

function preferredFormat(cloud: Cloud): OutputFormat {
  const [format] = cloud.capabilities.images.formats.filter(isOutputFormat)
  if (!format) {
    throw new OperationError('FORMAT_UNKNOWN', `${cloud.name} takes none of the formats that can be written.`)
  }
  return format
}

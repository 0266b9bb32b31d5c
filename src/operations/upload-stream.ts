import { z } from 'zod'
import type { Cloud, CloudImage } from '../clouds/cloud.ts'
import { CloudError } from '../clouds/errors.ts'
import { GiB, KiB } from '../core/bytes.ts'
import { probeBytes } from '../disk/probe.ts'
import { recognisedFormats } from '../disk/signatures.ts'
import { isWrappedFormat } from '../disk/wrapping/wrappings.ts'
import { isOutputFormat } from '../disk/write-disk.ts'
import type { JobContext } from '../jobs/job.ts'
import type { OperationDefinition } from '../jobs/operation-definition.ts'
import { type Digests, digestAlgorithms } from '../transfer/digests.ts'
import { hashingSink } from '../transfer/hashing-sink.ts'
import { peekStream } from '../transfer/peeked-stream.ts'
import { checkStorage, unsupported } from './check-request.ts'
import type { Environment } from './environment.ts'
import { OperationError } from './errors.ts'
import { describedBy, imageRecordInput } from './image-record-input.ts'
import { takeStream } from './offered-streams.ts'
import { openImageDisk } from './open-image-disk.ts'
import { progressOf } from './progress.ts'
import { recordImage, refuseTakenName } from './record-image.ts'
import { storageInput } from './storage-input.ts'
import { publishImage, type StoredImage, type StoreImageOptions } from './store-image.ts'
import { verifyStoredImage } from './verify-stored-image.ts'
import { warnOfLateFormat } from './warn-of-late-format.ts'

const uploadStreamInput = z.strictObject({
  /** Name under which the stream is offered. */
  stream: z.string(),
  /** Bytes it will have, where that is known. */
  size: z.number().int().nonnegative().optional(),
  cloud: z.string(),
  name: z.string().min(1),
  record: imageRecordInput.prefault({}),
  storage: storageInput.prefault({}),
})

export type UploadStreamInput = z.infer<typeof uploadStreamInput>

/** Enough to tell the formats that can be written by their beginning. */
const headLength = 64 * KiB

/**
 * A stream as an image of a cloud, byte for byte, with nothing stored on the way. What cannot be checked before it is sent is
 * checked in the cloud, where the image is private until then.
 */
export function uploadStreamOperation(
  environment: Environment,
): OperationDefinition<UploadStreamInput, StoredImage> {
  return {
    name: 'upload-stream',
    input: uploadStreamInput,
    title: ({ cloud, name }) => `a stream to ${cloud}:${name}`,
    run: (context, input) => uploadStream(environment, context, input),
  }
}

async function uploadStream(
  environment: Environment,
  context: JobContext,
  input: UploadStreamInput,
): Promise<StoredImage> {
  const { name, record, storage } = input
  const { signal } = context
  const target = await environment.clouds.get(input.cloud)
  const options = { target, name, storage, clean: null, lineage: {}, ...describedBy(record) }
  const { id, skipped, digests } = await context.step('write', `Uploading to ${input.cloud}:${name}`, () =>
    send(context, input, options),
  )
  await context.step('check', 'Checking what was stored', async () => {
    // Everything in it is refused here that a file would have been refused for.
    await using disk = await openImageDisk(target, id, { proof: 'used', signal })
    const isOfDisk = !['aki', 'ari'].includes(disk.format)
    const minDisk = Math.max(record.minDisk, isOfDisk ? Math.ceil(disk.disk.size / GiB) : 0)
    if (minDisk > 0) await target.images.update(id, { minDisk }, { signal })
    return null
  })
  const image = await target.images.get(id, { signal })
  const proved = provesItself(target, image) && storage.verify === 'checksum'
  const containerDigest = digests.sha256 ?? null
  if (!proved) {
    await context.step('verify', 'Reading back what was stored', async () => {
      const stored = { cloud: target, id, contentDigest: null, sent: digests, cleaned: null }
      await verifyStoredImage(environment, context, stored)
      return null
    })
  }
  const members = await context.step('publish', 'Publishing the image', () =>
    publishImage(context, options, { id, written: { contentDigest: null } }),
  )
  return {
    cloud: target.name,
    image: await target.images.get(id, { signal }),
    contentDigest: null,
    containerDigest,
    sourceProof: null,
    freeSpaceLeftOut: false,
    cleaning: null,
    verified: proved ? 'checksum' : 'read-back',
    members,
    skippedProperties: skipped,
  }
}

/** Records the image and gives it the stream, in one step: it can be taken once only. */
async function send(
  context: JobContext,
  { stream: offer, size, name, record, storage }: UploadStreamInput,
  options: Omit<StoreImageOptions, 'openSource'>,
): Promise<{ id: string; skipped: readonly string[]; digests: Digests }> {
  const { target } = options
  const { signal } = context
  const declared = record.diskFormat ?? storage.format
  if (declared !== undefined) requireKnown(target, declared)
  checkStorage(target, storage)
  if (!storage.allowDuplicateName) await refuseTakenName(target, name, { signal })
  const stream = takeStream(offer)
  if (!stream) {
    throw new OperationError('INPUT_INVALID', 'The stream that was to be uploaded is gone.', {
      hint: 'A stream cannot be read twice: undo the job and upload it again.',
    })
  }
  using peeked = await peekStream(stream, { length: headLength, signal })
  const format = declared ?? formatOf(peeked.head)
  requireKnown(target, format)
  const subformat = isVhdByHead(peeked.head) ? 'dynamic' : 'fixed'
  warnOfLateFormat(context, { target, name, format, subformat })
  const { id, skipped } = await recordImage(context, options, format)
  const onProgress = progressOf(context, `write-${id}`, `Uploading to ${target.name}:${name}`)
  let digests: Digests = {}
  await target.images.upload(
    id,
    async (sink) => {
      // Nobody has seen the stream before, so where the cloud computes nothing there is only this to compare with.
      const hashing = target.capabilities.images.checksUploads ? null : hashingSink(sink, ['sha256'])
      try {
        let done = 0
        for await (const chunk of peeked.chunks) {
          await (hashing ?? sink).write(chunk, { signal })
          done += chunk.length
          onProgress(done, size ?? null)
        }
        if (hashing) digests = await hashing.digests({ signal })
      } catch (error) {
        await hashing?.abort()
        throw error
      }
    },
    { signal, ...(size === undefined ? {} : { size }) },
  )
  return { id, skipped, digests }
}

/** @throws CloudError `CLOUD_UNSUPPORTED` for a format that the cloud does not store */
function requireKnown(target: Cloud, format: string): void {
  const { formats } = target.capabilities.images
  if (formats.includes(format)) return
  if (!isOutputFormat(format)) throw unsupported(target, `the format "${format}"`, formats)
  throw new CloudError('CLOUD_UNSUPPORTED', `${target.name} does not know the format "${format}".`, {
    hint: `It knows: ${formats.join(', ')}. A stream is stored as it is; a file is converted on the way, so give its name instead of "-".`,
  })
}

/** A fixed VHD begins with its disk. */
function isVhdByHead(head: Buffer): boolean {
  return probeBytes({ head, tail: Buffer.alloc(0), size: head.length }).format === 'vhd'
}

/** What the beginning of a stream says it is. The check afterwards sees all of it. */
function formatOf(head: Buffer): string {
  const found = probeBytes({ head, tail: Buffer.alloc(0), size: head.length }).format
  if (found !== null && isOutputFormat(found)) return found
  if (found !== null && isWrappedFormat(found)) {
    throw new OperationError(
      'FORMAT_UNKNOWN',
      `The stream is ${recognisedFormats[found]}, not a disk image.`,
      {
        hint: 'A stream is stored as it is; of a file the disk in it is taken out on the way, so give its name instead of "-".',
        details: { found },
      },
    )
  }
  throw new OperationError('FORMAT_UNKNOWN', 'The beginning of the stream is not that of a disk image.', {
    hint: 'Give its format with --disk-format.',
    details: { found },
  })
}

/** Whether the cloud has compared what it stored with what was sent. */
function provesItself(target: Cloud, image: CloudImage): boolean {
  return target.capabilities.images.checksUploads && digestAlgorithms.some((name) => image.checksums[name])
}

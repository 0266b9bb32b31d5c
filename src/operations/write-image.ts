import type { CloudImage } from '../clouds/cloud.ts'
import { GiB } from '../core/bytes.ts'
import type { Plain } from '../core/json.ts'
import { digestWhileReading } from '../disk/content-digest.ts'
import type { Disk } from '../disk/disk.ts'
import type { CheckedDisk } from '../disk/open-disk.ts'
import { isOutputFormat, writeDisk } from '../disk/write-disk.ts'
import type { CleaningReport } from '../guest/cleaning/report.ts'
import type { JobContext } from '../jobs/job.ts'
import { type Digests, digestAlgorithms } from '../transfer/digests.ts'
import { hashingSink } from '../transfer/hashing-sink.ts'
import { cleanOnTheWay } from './clean-on-the-way.ts'
import { diskForOutput } from './disk-for-output.ts'
import type { Environment } from './environment.ts'
import { OperationError } from './errors.ts'
import { proofOf, type SourceProof } from './open-image-disk.ts'
import { progressOf } from './progress.ts'
import { beginPass, proveSource } from './prove-source.ts'
import { skipFreeSpace } from './skip-free-space.ts'
import type { StoreImageOptions } from './store-image.ts'
import { unwrappingIn } from './unwrapping.ts'
import { warnOfLateFormat } from './warn-of-late-format.ts'

export type WrittenImage = {
  /** SHA-256 of what the guest sees, independent of the container format; null when stored byte for byte. */
  readonly contentDigest: string | null
  /** SHA-256 of the stored bytes, when they were stored as they came and it was computed. */
  readonly containerDigest: string | null
  /** How what was read was proved; null for a file of this machine. */
  readonly sourceProof: SourceProof | null
  /** The free space of the file systems inside was left out, and reads as zeros. */
  readonly freeSpaceLeftOut: boolean
  /** What was cleaned; null when nothing was asked for. */
  readonly cleaning: Plain<CleaningReport> | null
}

export type WriteOutcome = WrittenImage & {
  /** Whether the cloud's own checksums prove what it stored. */
  readonly proved: boolean
  /** Digests of the container that was sent, as far as they are known. */
  readonly sent: Digests
}

export interface WriteImageOptions extends StoreImageOptions {
  id: string
  format: string
}

/** Gives the image its data in one pass: the source's container as it is, or its disk in a new one, cleaned if asked. */
export async function writeImage(
  environment: Environment,
  context: JobContext,
  options: WriteImageOptions,
): Promise<WriteOutcome> {
  const wishes = await unwrappingIn(environment, context, options.clean ? 'random' : 'sequential')
  await using source = await options.openSource(wishes)
  if (proofOf(source)?.proof === 'unproved') {
    context.emit({
      type: 'warning',
      code: 'SOURCE_UNPROVED',
      message: `The cloud has recorded no checksum for ${source.source.name}: what was read cannot be compared.`,
    })
  }
  const { target, name, format, verbatim, storage } = options
  const subformat = verbatim ? source.verdict.subformat : storage.subformat
  warnOfLateFormat(context, { target, name, format, subformat })
  return verbatim
    ? await copyContainer(context, options, source)
    : await writeContainer(environment, context, { ...options, source })
}

async function writeContainer(
  environment: Environment,
  context: JobContext,
  options: WriteImageOptions & { source: CheckedDisk },
): Promise<WriteOutcome> {
  const { target, storage, source, format, id } = options
  const { signal } = context
  if (!isOutputFormat(format)) throw new Error(`The format ${format} cannot be written.`)
  await using view = await viewOf(environment, context, options)
  const container = { format, ...(storage.subformat ? { subformat: storage.subformat } : {}) }
  const disk = diskForOutput(context, view.disk, container)
  await using digested = digestWhileReading(disk)
  const onProgress = progressOf(context, `write-${id}`, `Writing ${target.name}:${options.name}`)
  const passes = beginPass(source, { signal, onProgress })
  const image = await target.images.upload(
    id,
    async (sink) => {
      await writeDisk(digested.disk, sink, {
        ...container,
        ...(storage.compression ? { compression: storage.compression } : {}),
        signal,
        ...(passes ? {} : { onProgress }),
      })
      await proveSource(source, { signal })
    },
    { signal, ...(format === 'raw' ? { size: disk.size } : {}) },
  )
  await setMinimumDisk(context, options, disk.size)
  return {
    contentDigest: await digested.digest(),
    containerDigest: null,
    sourceProof: proofOf(source)?.proof ?? null,
    freeSpaceLeftOut: view.freeSpaceLeftOut,
    cleaning: view.report,
    proved: provesItself(options, image),
    sent: {},
  }
}

/** Stores the container as it is, byte for byte. */
async function copyContainer(
  context: JobContext,
  options: WriteImageOptions,
  source: CheckedDisk,
): Promise<WriteOutcome> {
  const { signal } = context
  const { target, id } = options
  const { size } = source.source
  const proof = proofOf(source)
  const onProgress = progressOf(context, `write-${id}`, `Uploading to ${target.name}:${options.name}`)
  let digests: Digests = proof?.digests ?? {}
  // Known where the source has some that are being proved; needed where it has none, or the stored bytes are read back.
  const hashed = Object.keys(digests).length === 0 && (proof !== null || isReadBack(options))
  const image = await target.images.upload(
    id,
    async (sink) => {
      const hashing = hashed ? hashingSink(sink, ['sha256']) : null
      let done = 0
      try {
        for await (const chunk of source.source.stream({ signal, transient: true })) {
          await (hashing ?? sink).write(chunk, { signal })
          done += chunk.length
          onProgress(done, size)
        }
        await proof?.prove({ signal })
        if (hashing) digests = await hashing.digests({ signal })
      } catch (error) {
        await hashing?.abort()
        throw error
      }
    },
    { signal, size },
  )
  const different = digestAlgorithms.find((name) => {
    const [sent, stored] = [digests[name], image.checksums[name]]
    return sent !== undefined && stored !== undefined && sent !== stored
  })
  if (different && provesItself(options, image)) {
    throw new OperationError(
      'VERIFICATION_FAILED',
      `${target.name}:${id} has another ${different} than its source.`,
      { hint: 'Run the job again. If it fails again, check the storage behind the cloud.' },
    )
  }
  await setMinimumDisk(context, options, source.disk.size)
  return {
    contentDigest: null,
    containerDigest: digests.sha256 ?? null,
    sourceProof: proof?.proof ?? null,
    freeSpaceLeftOut: false,
    cleaning: null,
    proved: provesItself(options, image),
    sent: digests,
  }
}

interface View extends AsyncDisposable {
  readonly disk: Disk
  readonly report: Plain<CleaningReport> | null
  readonly freeSpaceLeftOut: boolean
}

/** The disk as it is to be stored. */
async function viewOf(
  environment: Environment,
  context: JobContext,
  options: WriteImageOptions & { source: CheckedDisk },
): Promise<View> {
  const { source, clean, target, format } = options
  if (!clean && skipsFreeSpace(source, format)) {
    const view = await skipFreeSpace(environment, context, source.disk)
    return {
      disk: view.disk,
      report: null,
      freeSpaceLeftOut: view.leftOut,
      [Symbol.asyncDispose]: () => view[Symbol.asyncDispose](),
    }
  }
  // Where nothing is read back, what is about to be sent is what must be clean.
  const verify = target.capabilities.images.checksUploads
  const cleaned = await cleanOnTheWay(environment, context, { disk: source.disk, clean, verify })
  return {
    disk: cleaned.disk,
    report: cleaned.report,
    freeSpaceLeftOut: clean !== null,
    [Symbol.asyncDispose]: () => cleaned[Symbol.asyncDispose](),
  }
}

/**
 * Free space is left out where only what is used is to be read, and where nothing else would tell that it need not be
 * stored: a raw disk that comes over the network has no holes.
 */
function skipsFreeSpace(source: CheckedDisk, format: string): boolean {
  const proof = proofOf(source)?.proof
  if (proof === undefined || source.source.dataRanges) return false
  return proof === 'used' || (source.format === 'raw' && format !== 'raw')
}

/** Whether the cloud has compared what it stored with what was sent, and stored it in the container it was sent in. */
function provesItself({ target, storage, format }: WriteImageOptions, image: CloudImage): boolean {
  return (
    target.capabilities.images.checksUploads &&
    storage.verify === 'checksum' &&
    image.format === format &&
    digestAlgorithms.some((name) => image.checksums[name])
  )
}

/** Whether it is known from the start that what was stored will be read back. */
function isReadBack({ target, storage }: WriteImageOptions): boolean {
  const { checksUploads, checksums } = target.capabilities.images
  return storage.verify === 'read-back' || !checksUploads || checksums.length === 0
}

async function setMinimumDisk(
  { signal }: JobContext,
  { target, id, described, format }: WriteImageOptions,
  size: number,
): Promise<void> {
  // A kernel or a ramdisk is nobody's disk.
  const needed = format === 'aki' || format === 'ari' ? 0 : Math.ceil(size / GiB)
  const minDisk = Math.max(described?.minDisk ?? 0, needed)
  if (minDisk > 0) await target.images.update(id, { minDisk }, { signal })
}

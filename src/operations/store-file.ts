import { existsSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { basename } from 'node:path'
import { z } from 'zod'
import type { Plain } from '../core/json.ts'
import { contentDigest, digestWhileReading } from '../disk/content-digest.ts'
import type { Disk } from '../disk/disk.ts'
import { type CheckedDisk, openCheckedDisk } from '../disk/open-disk.ts'
import type { UnwrapWishes } from '../disk/wrapping/wrapping.ts'
import { type OutputFormat, outputFormats, writeDisk } from '../disk/write-disk.ts'
import type { BootableReport } from '../guest/bootable/bootable.ts'
import type { CleaningReport } from '../guest/cleaning/report.ts'
import type { JobContext } from '../jobs/job.ts'
import { outputExists } from '../transfer/errors.ts'
import { createFileSink } from '../transfer/file-sink.ts'
import { openFileSource } from '../transfer/file-source.ts'
import { hashingSink } from '../transfer/hashing-sink.ts'
import { cleanOnTheWay } from './clean-on-the-way.ts'
import type { CleaningInput } from './cleaning-input.ts'
import { describeAppliance, isAppliance } from './describe-appliance.ts'
import { diskForOutput } from './disk-for-output.ts'
import type { Environment } from './environment.ts'
import { OperationError } from './errors.ts'
import { type MachineInput, machineInput } from './machine-input.ts'
import type { BootableDisk } from './make-bootable.ts'
import { progressOf } from './progress.ts'
import { beginPass, proveSource } from './prove-source.ts'
import { unwrappingIn } from './unwrapping.ts'

/** How a disk is written to a file, as a job keeps it. */
export const fileInput = z.strictObject({
  path: z.string(),
  format: z.enum(outputFormats),
  /** A kind of the format; the usual one when absent. */
  subformat: z.string().optional(),
  compression: z.enum(['zlib', 'zstd']).optional(),
  level: z.number().int().optional(),
  clusterSize: z.number().int().optional(),
  /** Of an appliance: what it says about its machine, beside what the guest inside shows. */
  machine: machineInput.optional(),
  /** Digest of the file's bytes to give in the result, computed while they are written. */
  checksum: z.enum(['md5', 'sha1', 'sha256', 'sha512']).optional(),
  overwrite: z.boolean().default(false),
  /** Wait until the file is on stable storage. */
  durable: z.boolean().default(true),
})

export type FileInput = z.infer<typeof fileInput>

export interface StoreFileOptions {
  file: FileInput
  openSource: (wishes: UnwrapWishes) => Promise<CheckedDisk>
  clean: CleaningInput | null
  /** Make the disk one that starts by itself, after the cleaning. */
  makeBootable?: ((disk: Disk) => Promise<BootableDisk>) | null
  /** Read everything back and compare before the name appears. */
  verify: boolean
  /** What the disk comes from, for people: `CLOUD:NAME`, or the name of a file without its folders. */
  origin: string
  /** A name of the source for people, where it has one beside its file's. */
  name?: string
}

export type StoredFile = {
  readonly path: string
  readonly format: OutputFormat
  /** Bytes of the guest's disk. */
  readonly virtualSize: number
  /** SHA-256 of what the guest sees, independent of the container format; null when nothing was verified. */
  readonly contentDigest: string | null
  readonly checksum: { readonly algorithm: string; readonly value: string } | null
  readonly cleaning: Plain<CleaningReport> | null
  /** What was done so that it starts by itself; null when nothing was asked for. */
  readonly bootable: Plain<BootableReport> | null
}

/**
 * Writes a disk to a file in one step. The name appears only when the content is complete and, if asked, verified;
 * an interrupted run leaves a temporary file that the ledger knows.
 */
export function storeFile(
  environment: Environment,
  context: JobContext,
  options: StoreFileOptions,
): Promise<StoredFile> {
  const title = options.clean ? 'Checking, cleaning and writing' : 'Checking and writing'
  return context.step('write', title, () => writeFile(environment, context, options))
}

/** Looked at again when the file gets its name; here so that nothing is done for nothing. */
export function refuseTakenFile({ path, overwrite }: FileInput): void {
  if (!overwrite && existsSync(path)) throw outputExists(path)
}

async function writeFile(
  environment: Environment,
  context: JobContext,
  { file, openSource, clean, makeBootable, verify, origin, name }: StoreFileOptions,
): Promise<StoredFile> {
  const { signal } = context
  refuseTakenFile(file)
  // Cleaning and what starts the guest look around in it, and an appliance describes it.
  const access = clean || makeBootable || isAppliance(file.format) ? 'random' : 'sequential'
  await using source = await openSource(await unwrappingIn(environment, context, access))
  await using cleaned = await cleanOnTheWay(environment, context, { disk: source.disk, clean })
  await using bootable = (await makeBootable?.(cleaned.disk)) ?? null
  const key = `${context.jobId}-file`
  const earlier = await context.ledger.intend({
    kind: 'file',
    cloud: '',
    key,
    label: `temporary file of ${file.path}`,
  })
  if (earlier.id) await rm(earlier.id, { force: true })
  const sink = await createFileSink(file.path, { overwrite: file.overwrite, durable: file.durable })
  await context.ledger.created(key, sink.temporaryPath)
  const hashing = file.checksum ? hashingSink(sink, [file.checksum]) : null
  try {
    const disk = diskForOutput(context, bootable?.disk ?? cleaned.disk, writeOptions(file))
    await using digested = verify ? digestWhileReading(disk) : null
    const onProgress = progressOf(context, 'write', `Writing ${file.path}`)
    const appliance = isAppliance(file.format)
      ? await describeAppliance(disk, {
          path: file.path,
          wishes: { ...firmwareOf(bootable?.report), ...file.machine },
          source: source.appliance ?? null,
          name,
          provenance: [`Made by Imagewright from ${origin}, job ${context.jobId}.`],
          signal,
        })
      : null
    const passes = beginPass(source, { signal, onProgress })
    await writeDisk(digested?.disk ?? disk, hashing ?? sink, {
      ...writeOptions(file),
      ...(appliance && {
        appliance: { ...appliance, ...(digested && { contentDigest: () => digested.digest({ signal }) }) },
      }),
      signal,
      ...(passes ? {} : { onProgress }),
    })
    await proveSource(source, { signal })
    const digests = hashing ? await hashing.digests() : {}
    const expected = digested ? await digested.digest() : null
    if (expected) await verifyFile(context, sink.temporaryPath, { file, expected })
    await sink.finish({ signal })
    await context.ledger.released(key)
    const value = file.checksum ? digests[file.checksum] : undefined
    return {
      path: file.path,
      format: file.format,
      virtualSize: disk.size,
      contentDigest: expected,
      checksum: file.checksum && value ? { algorithm: file.checksum, value } : null,
      cleaning: cleaned.report,
      bootable: bootable?.report ?? null,
    }
  } catch (error) {
    await (hashing ?? sink).abort()
    throw error
  }
}

/** Where a disk was made for one kind of machine, that is the machine. */
function firmwareOf(report: Plain<BootableReport> | undefined): Pick<MachineInput, 'firmware'> {
  const [only, ...others] = report?.firmware ?? []
  return only === undefined || others.length > 0 ? {} : { firmware: only }
}

async function verifyFile(
  context: JobContext,
  path: string,
  { file, expected }: { file: FileInput; expected: string },
): Promise<void> {
  const { signal } = context
  const source = await openFileSource(path, { signal })
  await using written = await openCheckedDisk(source, { format: file.format, signal })
  beginPass(written, { signal })
  const actual = await contentDigest(written.disk, {
    signal,
    onProgress: progressOf(context, 'verify', `Verifying ${file.path}`),
  })
  await proveSource(written, { signal })
  if (actual !== expected) {
    throw new OperationError('VERIFICATION_FAILED', `${file.path} does not read back as it was written.`, {
      hint: 'Check the disk it was written to; nothing has appeared under that name.',
      details: { expected, actual },
    })
  }
}

export function writeOptions(file: FileInput) {
  return {
    format: file.format,
    fileName: basename(file.path),
    ...(file.subformat ? { subformat: file.subformat } : {}),
    ...(file.compression ? { compression: file.compression } : {}),
    ...(file.level === undefined ? {} : { level: file.level }),
    ...(file.clusterSize === undefined ? {} : { clusterSize: file.clusterSize }),
  }
}

import { resolve } from 'node:path'
import type { Writable } from 'node:stream'
import type { z } from 'zod'
import type { CloudCheck } from '../clouds/cloud.ts'
import { CloudError } from '../clouds/errors.ts'
import type { Config } from '../config/config.ts'
import { removeCloud } from '../config/edit-config.ts'
import { loadConfig } from '../config/load-config.ts'
import type { AskSecret } from '../config/resolve-secret.ts'
import type { AbortOptions } from '../core/abort.ts'
import { MiB } from '../core/bytes.ts'
import type { Json } from '../core/json.ts'
import { isOutputFormat } from '../disk/write-disk.ts'
import type { BootableReport } from '../guest/bootable/bootable.ts'
import type { CleaningPlan } from '../guest/cleaning/plan.ts'
import type { JobRecord, RecordedEvent } from '../jobs/job-record.ts'
import type { Jobs } from '../jobs/open-jobs.ts'
import { type BootableInput, bootableInput } from './bootable-input.ts'
import { checkWriteOptions } from './check-write-options.ts'
import type { CleanedInPlace } from './clean-in-place.ts'
import { type CleaningRequest, cleaningInput } from './cleaning-input.ts'
import { type CloudAccess, openCloudAccess } from './cloud-access.ts'
import type { CreateImageInput, CreateImageResult } from './create-image.ts'
import type { CreatePlan } from './create-plan.ts'
import { type Images, openImages } from './images.ts'
import type { Inspection, InspectOptions } from './inspect-thing.ts'
import { type Instances, openInstances } from './instances.ts'
import { JobRunner } from './job-runner.ts'
import type { MigrateImageResult } from './migrate-image.ts'
import type { migrateImageInput } from './migrate-input.ts'
import type { MigratePlan } from './migrate-plan.ts'
import { offerStream } from './offered-streams.ts'
import type { OperationHandle } from './operation-handle.ts'
import { outputFormatOf } from './output-format.ts'
import { parseRequest } from './parse-request.ts'
import type { DownloadResult } from './receive-image.ts'
import { parseCloudReference, parseReference, parseTarget } from './reference.ts'
import type {
  BootableRequest,
  CleanFileRequest,
  CleanStoredImageRequest,
  ConvertRequest,
  CreateImageRequest,
  ExportRequest,
  FileRequest,
  MigrateImageRequest,
  RecordRequest,
  StorageRequest,
  UploadRequest,
  UploadStreamRequest,
} from './requests.ts'
import type { SnapshotResult } from './snapshot-instance.ts'
import { storageInput } from './storage-input.ts'
import { type FileInput, fileInput, type StoredFile } from './store-file.ts'
import type { StoredImage } from './store-image.ts'

export interface OpenOptions {
  /** A configuration file instead of the usual places. */
  configPath?: string
  /** Variables that say where things are, instead of those of the process. */
  environment?: Readonly<Record<string, string | undefined>>
  /** Asks a person for a secret that is configured as `ask`. Without it, such a cloud cannot be signed in to. */
  ask?: AskSecret
  /** Leave what a failed job made, so that it can be resumed at the failed step; undone otherwise. */
  keepFailedJobs?: boolean
}

/**
 * The library: every operation of Imagewright with the configuration of the command line. What takes long gives a
 * handle that can be awaited, iterated for its events, and cancelled, and is a job that survives a crash.
 *
 * Things are named as on the command line: `CLOUD:NAME`, `CLOUD:ID`, or the path of a file.
 */
export class Imagewright {
  readonly config: Config
  /** The image service of every configured cloud. */
  readonly images: Images
  /** The machines of every configured cloud. */
  readonly instances: Instances
  readonly #clouds: CloudAccess
  readonly #runner: JobRunner

  private constructor(config: Config, { ask, keepFailedJobs = false }: OpenOptions) {
    this.config = config
    this.#clouds = openCloudAccess(config, { ask })
    this.images = openImages(this.#clouds)
    this.instances = openInstances(this.#clouds)
    this.#runner = new JobRunner({ config, clouds: this.#clouds }, { keepFailed: keepFailedJobs })
  }

  /** @throws ConfigError `CONFIG_INVALID` */
  static async open(options: OpenOptions = {}): Promise<Imagewright> {
    const { configPath: path, environment } = options
    return new Imagewright(await loadConfig({ path, ...(environment ? { environment } : {}) }), options)
  }

  /** An image from an instance: snapshot, check, clean, write, verify, publish. */
  createImage(
    instance: string,
    name: string,
    request: CreateImageRequest = {},
  ): OperationHandle<CreateImageResult> {
    return this.#runner.start<CreateImageResult>('create', createImageInput(instance, name, request))
  }

  /** What `createImage` would do. Looks only; takes no snapshot. */
  async planCreateImage(
    instance: string,
    name: string,
    request: CreateImageRequest = {},
    options: AbortOptions = {},
  ): Promise<CreatePlan> {
    const { planCreateImage } = await import('./create-plan.ts')
    return planCreateImage(this.#clouds, createImageInput(instance, name, request), options)
  }

  /**
   * An image, or an instance, of one cloud as an image of another.
   * @param target `CLOUD`, or `CLOUD:NAME` for another name than the source has
   */
  migrateImage(
    source: string,
    target: string,
    request: MigrateImageRequest = {},
  ): OperationHandle<MigrateImageResult> {
    return this.#runner.start<MigrateImageResult>('migrate', migrateInput(source, target, request))
  }

  /** What `migrateImage` would do. Looks only; takes no snapshot. */
  async planMigrateImage(
    source: string,
    target: string,
    request: MigrateImageRequest = {},
    options: AbortOptions = {},
  ): Promise<MigratePlan> {
    const [{ planMigrateImage }, { migrateImageInput }] = await Promise.all([
      import('./migrate-plan.ts'),
      import('./migrate-input.ts'),
    ])
    const input = parseRequest(migrateImageInput, migrateInput(source, target, request))
    return planMigrateImage(this.#clouds, input, options)
  }

  /** The cloud's own snapshot of an instance, untouched. */
  snapshotInstance(
    instance: string,
    name: string,
    { allowDuplicateName = false }: { allowDuplicateName?: boolean } = {},
  ): OperationHandle<SnapshotResult> {
    const { cloud, thing } = parseCloudReference(instance)
    return this.#runner.start<SnapshotResult>('snapshot', {
      cloud,
      instance: thing,
      name,
      allowDuplicateName,
    })
  }

  /** An image, an instance or a file as a disk-image file. */
  exportImage(
    source: string,
    path: string,
    { clean, disk, bootable, ...file }: ExportRequest = {},
  ): OperationHandle<StoredFile> {
    const reference = parseReference(source)
    return this.#runner.start<StoredFile>('export', {
      source:
        reference.kind === 'file'
          ? { kind: 'file', file: { path: reference.path, ...(disk ? { disk } : {}) } }
          : { kind: 'cloud', cloud: reference.cloud, thing: reference.thing },
      file: outputFile(path, file),
      clean: clean ? parseRequest(cleaningInput, clean) : null,
      bootable: bootable ? bootableInputOf(bootable) : null,
    })
  }

  /** What `exportImage` would do to make the disk of an image or a file start by itself. Changes nothing. */
  async planBootable(
    thing: string,
    { disk, ...request }: BootableRequest & { disk?: string } = {},
    options: AbortOptions = {},
  ): Promise<BootableReport> {
    const { planBootableOf } = await import('./plan-bootable.ts')
    const bootable = bootableInputOf(request)
    return planBootableOf(this.#clouds, parseReference(thing), { ...options, bootable, disk })
  }

  /** File to file, any format to any format. */
  convertImage(
    input: string,
    output: string,
    { inputFormat, allowBacking = false, disk, verify = false, ...file }: ConvertRequest = {},
  ): OperationHandle<StoredFile> {
    return this.#runner.start<StoredFile>('convert', {
      input: {
        path: resolve(input),
        ...(inputFormat ? { format: inputFormat } : {}),
        ...(disk ? { disk } : {}),
        allowBacking,
      },
      output: outputFile(output, file),
      verify,
    })
  }

  /** As `convertImage`, into a stream. Not a job: a stream cannot be resumed. */
  async convertToStream(
    input: string,
    output: Writable,
    request: ConvertRequest & AbortOptions = {},
  ): Promise<void> {
    const { convertToStream } = await import('./convert-to-stream.ts')
    return convertToStream({ path: resolve(input), output, ...request })
  }

  /**
   * Cleans a raw disk-image file by changing it where it lies: only what changes is written, and no second file is
   * needed. Once it has begun it is finished, by a resume or an undo too.
   */
  cleanFileInPlace(
    path: string,
    { clean }: { clean?: CleaningRequest } = {},
  ): OperationHandle<CleanedInPlace> {
    return this.#runner.start<CleanedInPlace>('clean-in-place', {
      path: resolve(path),
      clean: parseRequest(cleaningInput, clean ?? {}),
    })
  }

  /** Cleans a disk-image file into a new one that takes its place in one step, or into another file. */
  cleanFile(path: string, { clean, output, ...file }: CleanFileRequest = {}): OperationHandle<StoredFile> {
    return this.#runner.start<StoredFile>('clean-file', {
      path: resolve(path),
      clean: parseRequest(cleaningInput, clean ?? {}),
      ...(output ? { output: outputFile(output, file) } : {}),
    })
  }

  /** Cleans an image of a cloud into a new image beside it. */
  cleanStoredImage(image: string, request: CleanStoredImageRequest = {}): OperationHandle<StoredImage> {
    const { cloud, thing } = parseCloudReference(image)
    return this.#runner.start<StoredImage>('clean-image', {
      cloud,
      image: thing,
      ...(request.name ? { name: request.name } : {}),
      clean: parseRequest(cleaningInput, request.clean ?? {}),
      storage: request.storage ?? {},
    })
  }

  /** What a cleaning would do, exactly: operation, path and bytes. Changes nothing. */
  async planCleaning(
    thing: string,
    clean: CleaningRequest = {},
    options: AbortOptions = {},
  ): Promise<CleaningPlan> {
    const { planCleaningOf } = await import('./inspect-thing.ts')
    return planCleaningOf(this.#clouds, parseReference(thing), {
      ...options,
      clean: parseRequest(cleaningInput, clean),
    })
  }

  /** What is in an image, and whether it is safe. */
  async inspect(thing: string, options: InspectOptions = {}): Promise<Inspection> {
    const { inspectThing } = await import('./inspect-thing.ts')
    return inspectThing(this.#clouds, parseReference(thing), options)
  }

  /** A disk-image file as an image of a cloud; `target` is `CLOUD:NAME`. */
  uploadImage(path: string, target: string, request: UploadRequest = {}): OperationHandle<StoredImage> {
    const { inputFormat, allowBacking = false, disk, clean, storage, ...record } = request
    const { cloud, thing } = parseCloudReference(target)
    return this.#runner.start<StoredImage>('upload', {
      file: {
        path: resolve(path),
        ...(inputFormat ? { format: inputFormat } : {}),
        ...(disk ? { disk } : {}),
        allowBacking,
      },
      cloud,
      name: thing,
      clean: clean ? parseRequest(cleaningInput, clean) : null,
      ...recordAndStorage(record, storage),
    })
  }

  /**
   * A stream as an image of a cloud, byte for byte, with nothing stored on the way. It is checked in the cloud before it
   * is published.
   */
  uploadStream(
    stream: AsyncIterable<Uint8Array>,
    target: string,
    { size, storage, ...record }: UploadStreamRequest = {},
  ): OperationHandle<StoredImage> {
    const { cloud, thing } = parseCloudReference(target)
    return this.#runner.start<StoredImage>('upload-stream', {
      stream: offerStream(stream),
      ...(size === undefined ? {} : { size }),
      cloud,
      name: thing,
      ...recordAndStorage(record, storage),
    })
  }

  /** The stored bytes of an image, as they are, into a file. */
  downloadImage(
    image: string,
    path: string,
    { overwrite = false }: { overwrite?: boolean } = {},
  ): OperationHandle<DownloadResult & { path: string }> {
    const { cloud, thing } = parseCloudReference(image)
    return this.#runner.start<DownloadResult & { path: string }>('download', {
      cloud,
      image: thing,
      path: resolve(path),
      overwrite,
    })
  }

  /** The stored bytes of an image, as they are, into a stream; fails at the end when they are wrong. */
  async downloadToStream(
    image: string,
    output: Writable,
    options: AbortOptions = {},
  ): Promise<DownloadResult> {
    const { downloadToStream } = await import('./download-image.ts')
    const { cloud, thing } = parseCloudReference(image)
    return downloadToStream(await this.#clouds.get(cloud), { image: thing, output, ...options })
  }

  /** The stored bytes of an image in memory, at most `maximumBytes` (default 256 MiB), compared like a file's. */
  async downloadToMemory(
    image: string,
    { maximumBytes = 256 * MiB, signal }: AbortOptions & { maximumBytes?: number } = {},
  ): Promise<Buffer> {
    const { downloadToMemory } = await import('./download-image.ts')
    const { cloud, thing } = parseCloudReference(image)
    return downloadToMemory(await this.#clouds.get(cloud), { image: thing, maximumBytes, signal })
  }

  /** Whether a name refers to a file of this machine rather than to something in a cloud. */
  isFile(thing: string): boolean {
    return parseReference(thing).kind === 'file'
  }

  /** What this account can do in the named clouds, or in all. */
  async checkClouds(
    names: readonly string[] = [],
    options: AbortOptions = {},
  ): Promise<(CloudCheck & { cloud: string })[]> {
    const rows: (CloudCheck & { cloud: string })[] = []
    for (const name of names.length > 0 ? names : this.#clouds.names) {
      const cloud = await this.#clouds.get(name)
      for (const row of await cloud.check(options)) rows.push({ cloud: name, ...row })
    }
    return rows
  }

  /**
   * Removes a cloud from the configuration file.
   * @throws CloudError `CLOUD_UNKNOWN` when the file does not have it
   */
  async forgetCloud(name: string): Promise<void> {
    if (await removeCloud(this.config.path, name)) return
    throw new CloudError('CLOUD_UNKNOWN', `${this.config.path} has no cloud "${name}".`)
  }

  /** The jobs of this machine. */
  jobs(): Promise<Jobs> {
    return this.#runner.jobs()
  }

  /** Goes on with a job that failed or was interrupted. */
  resumeJob(id: string): OperationHandle<Json> {
    return this.#runner.resume(id)
  }

  async jobEvents(
    id: string,
    options: AbortOptions & { follow?: boolean } = {},
  ): Promise<AsyncIterable<RecordedEvent>> {
    return (await this.jobs()).events(id, options)
  }

  async cancelJob(id: string, options: AbortOptions = {}): Promise<JobRecord> {
    return (await this.jobs()).cancel(id, options)
  }

  async undoJob(id: string, options: AbortOptions = {}): Promise<JobRecord> {
    return (await this.jobs()).undo(id, options)
  }

  /** Interrupts what still runs in this process and lets go of everything. */
  async close(): Promise<void> {
    try {
      await this.#runner.close()
    } finally {
      await this.#clouds.close()
    }
  }
}

function createImageInput(
  instance: string,
  name: string,
  { to, clean, storage, keepSnapshot, reuseSnapshot, sourceProof }: CreateImageRequest,
): CreateImageInput {
  const reference = parseCloudReference(instance)
  return {
    cloud: reference.cloud,
    instance: reference.thing,
    name,
    ...(to ? { target: to } : {}),
    clean: clean === null ? null : parseRequest(cleaningInput, clean ?? {}),
    storage: parseRequest(storageInput, storage ?? {}),
    keepSnapshot: keepSnapshot ?? false,
    ...(reuseSnapshot ? { reuseSnapshot } : {}),
    ...(sourceProof ? { sourceProof } : {}),
  }
}

function migrateInput(
  source: string,
  target: string,
  { clean, storage, ...rest }: MigrateImageRequest,
): z.input<typeof migrateImageInput> {
  const from = parseCloudReference(source)
  const to = parseTarget(target)
  return {
    cloud: from.cloud,
    thing: from.thing,
    target: to.cloud,
    ...(to.name ? { name: to.name } : {}),
    clean: clean ? parseRequest(cleaningInput, clean) : null,
    storage: storage ?? {},
    ...rest,
  }
}

function bootableInputOf({ kernel, ramdisk, grubFolder, ...rest }: BootableRequest): BootableInput {
  return parseRequest(bootableInput, {
    ...rest,
    ...(kernel === undefined ? {} : { kernel: parseReference(kernel) }),
    ...(ramdisk === undefined ? {} : { ramdisk: parseReference(ramdisk) }),
    ...(grubFolder === undefined ? {} : { grubFolder: resolve(grubFolder) }),
  })
}

function outputFile(path: string, { format, ...rest }: FileRequest): FileInput {
  const file = parseRequest(fileInput, {
    ...rest,
    path: resolve(path),
    format: format ?? outputFormatOf(path),
  })
  checkWriteOptions(file)
  return file
}

/** A format that can be written is one to write; any other is the cloud's word for data that are stored as they are. */
function recordAndStorage(
  { diskFormat, ...record }: RecordRequest,
  storage: StorageRequest = {},
): { record: RecordRequest; storage: StorageRequest } {
  if (diskFormat === undefined) return { record, storage }
  if (!isOutputFormat(diskFormat)) return { record: { ...record, diskFormat }, storage }
  return { record, storage: { format: diskFormat, ...storage } }
}

import { join } from 'node:path'
import type { Cloud, CloudImage } from '../clouds/cloud.ts'
import { CloudError } from '../clouds/errors.ts'
import { openRaw } from '../disk/raw/raw-reader.ts'
import { windowDisk } from '../disk/window-disk.ts'
import type { SeparateFile } from '../guest/bootable/bootable.ts'
import type { JobContext } from '../jobs/job.ts'
import { createFileSink } from '../transfer/file-sink.ts'
import { openFileSource } from '../transfer/file-source.ts'
import type { BootableInput, BootFileInput } from './bootable-input.ts'
import type { CloudAccess } from './cloud-access.ts'
import { findImage } from './find.ts'
import { receiveImage } from './receive-image.ts'

/** An image of a cloud that may name its kernel and ramdisk. */
export interface RelatedTo {
  readonly cloud: string
  readonly id: string
}

export interface BootFiles extends AsyncDisposable {
  readonly kernel: SeparateFile | null
  readonly ramdisk: SeparateFile | null
}

export interface OpenBootFiles {
  clouds: CloudAccess
  bootable: BootableInput
  /** Names of kernel and ramdisk are looked for in it when none were given. */
  related: RelatedTo | null
  /** Of the caller's: images of clouds go there, compared with their checksums. */
  folder: string
  context: Pick<JobContext, 'signal' | 'emit'>
}

/** The kernel and ramdisk that were named, or that the image itself names. */
export async function openBootFiles(options: OpenBootFiles): Promise<BootFiles> {
  const { kernel, ramdisk } = options.bootable
  const opened: OpenFile[] = []
  const dispose = async (): Promise<void> => {
    for (const { close } of opened.splice(0)) await close()
  }
  const open = async (file: Promise<OpenFile | null>): Promise<SeparateFile | null> => {
    const found = await file
    if (found) opened.push(found)
    return found?.file ?? null
  }
  try {
    const files = kernel
      ? {
          kernel: await open(openNamed(options, 'kernel', kernel)),
          ramdisk: ramdisk && (await open(openNamed(options, 'ramdisk', ramdisk))),
        }
      : await openRelated(options, open)
    return { ...files, [Symbol.asyncDispose]: dispose }
  } catch (error) {
    await dispose()
    throw error
  }
}

type Purpose = 'kernel' | 'ramdisk'

interface OpenFile {
  readonly file: SeparateFile
  readonly close: () => Promise<void>
}

/** A ramdisk without its kernel is of no use, and the other way round it may be all there is. */
async function openRelated(
  options: OpenBootFiles,
  open: (file: Promise<OpenFile | null>) => Promise<SeparateFile | null>,
): Promise<{ kernel: SeparateFile | null; ramdisk: SeparateFile | null }> {
  const { related, clouds } = options
  if (!related) return { kernel: null, ramdisk: null }
  const cloud = await clouds.get(related.cloud)
  const { properties } = await cloud.images.get(related.id, { signal: options.context.signal })
  const ids = { kernel: properties.kernel_id, ramdisk: properties.ramdisk_id }
  const kernel = ids.kernel ? await open(openById(options, 'kernel', { cloud, id: ids.kernel })) : null
  if (!kernel || !ids.ramdisk) return { kernel, ramdisk: null }
  return { kernel, ramdisk: await open(openById(options, 'ramdisk', { cloud, id: ids.ramdisk })) }
}

async function openNamed(options: OpenBootFiles, purpose: Purpose, file: BootFileInput): Promise<OpenFile> {
  if (file.kind === 'file') return openPath(file.path, { name: file.path, isSuggestion: false })
  const cloud = await options.clouds.get(file.cloud)
  const image = await findImage(cloud, file.thing, { signal: options.context.signal })
  return fetchImage(options, purpose, { cloud, image, isSuggestion: false })
}

/** Null, with a warning, where the image that is named is not there any more. */
async function openById(
  options: OpenBootFiles,
  purpose: Purpose,
  { cloud, id }: { cloud: Cloud; id: string },
): Promise<OpenFile | null> {
  const { signal, emit } = options.context
  try {
    const image = await cloud.images.get(id, { signal })
    return await fetchImage(options, purpose, { cloud, image, isSuggestion: true })
  } catch (error) {
    if (
      !(error instanceof CloudError) ||
      !['IMAGE_NOT_FOUND', 'IMAGE_HAS_NO_DATA', 'IMAGE_STATE'].includes(error.code)
    )
      throw error
    emit({ type: 'warning', code: 'RELATED_IMAGE_LEFT', message: `${purpose}_id ${id}: ${error.message}` })
    return null
  }
}

async function fetchImage(
  { folder, context }: OpenBootFiles,
  purpose: Purpose,
  { cloud, image, isSuggestion }: { cloud: Cloud; image: CloudImage; isSuggestion: boolean },
): Promise<OpenFile> {
  const { signal } = context
  const path = join(folder, purpose)
  const sink = await createFileSink(path, { overwrite: true, mode: 0o600, durable: false, signal })
  try {
    await receiveImage(context, cloud, { image, sink, done: null })
    await sink.finish({ signal })
  } catch (error) {
    await sink.abort()
    throw error
  }
  return openPath(path, { name: `${cloud.name}:${image.name}`, isSuggestion })
}

/** Exactly the bytes of the file, which need not be whole sectors. */
async function openPath(path: string, described: Omit<SeparateFile, 'content'>): Promise<OpenFile> {
  const source = await openFileSource(path)
  const content = windowDisk(await openRaw(source), 0, source.size)
  return { file: { ...described, content }, close: () => source.close() }
}

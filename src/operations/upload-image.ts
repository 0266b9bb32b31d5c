import { basename } from 'node:path'
import { z } from 'zod'
import type { Cloud } from '../clouds/cloud.ts'
import type { AbortOptions } from '../core/abort.ts'
import { openContainer } from '../disk/open-container.ts'
import type { CheckedDisk } from '../disk/open-disk.ts'
import { probeFormat } from '../disk/probe.ts'
import type { UnwrapWishes } from '../disk/wrapping/wrapping.ts'
import { isCompression } from '../disk/wrapping/wrappings.ts'
import type { OperationDefinition } from '../jobs/operation-definition.ts'
import { openFileSource } from '../transfer/file-source.ts'
import { checkCleaning, checkStorage, unsupported } from './check-request.ts'
import { cleaningInput } from './cleaning-input.ts'
import { diskFileInput, openDiskFile } from './convert-image.ts'
import type { Environment } from './environment.ts'
import { OperationError } from './errors.ts'
import { describedBy, imageRecordInput } from './image-record-input.ts'
import { refuseTakenName } from './record-image.ts'
import { storageInput } from './storage-input.ts'
import { type StoredImage, type StoreImageOptions, storeImage } from './store-image.ts'

const uploadImageInput = z.strictObject({
  file: diskFileInput,
  cloud: z.string(),
  name: z.string().min(1),
  clean: cleaningInput.nullable().default(null),
  record: imageRecordInput.prefault({}),
  storage: storageInput.prefault({}),
})

export type UploadImageInput = z.infer<typeof uploadImageInput>

/**
 * A disk-image file as an image of a cloud. The file's bytes are stored as they are, unless cleaning, another format,
 * compression or following its other files asks for a new container.
 */
export function uploadImageOperation(
  environment: Environment,
): OperationDefinition<UploadImageInput, StoredImage> {
  return {
    name: 'upload',
    input: uploadImageInput,
    title: ({ file, cloud, name }) => `${file.path} to ${cloud}:${name}`,
    async run(context, input) {
      const { name, clean, record, storage } = input
      const { signal } = context
      const cloud = await environment.clouds.get(input.cloud)
      const format = await context.step('resolve', 'Checking the file', async () => {
        checkCleaning(clean)
        checkStorage(cloud, storage)
        checkFormat(cloud, input)
        if (!storage.allowDuplicateName) await refuseTakenName(cloud, name, { signal })
        return formatOf(input, { signal })
      })
      return storeImage(environment, context, {
        target: cloud,
        name,
        openSource: (wishes) =>
          openUpload({ record, file: { ...input.file, ...(format === null ? {} : { format }) } }, wishes),
        clean,
        ...containerOf(cloud, input, format),
        ...describedBy(record),
        lineage: { imagewright_source: `file:${basename(input.file.path)}` },
      })
    },
  }
}

/**
 * @throws CloudError `CLOUD_UNSUPPORTED` for a format that the cloud does not know; OperationError `INPUT_INVALID` when
 *   what is to be stored as it is is also to be changed
 */
function checkFormat(cloud: Cloud, { record, clean, storage, file }: UploadImageInput): void {
  const { diskFormat } = record
  if (diskFormat === undefined) return
  const { formats } = cloud.capabilities.images
  if (!formats.includes(diskFormat)) throw unsupported(cloud, `the format "${diskFormat}"`, formats)
  const changes = {
    '--clean': clean,
    '--subformat': storage.subformat,
    '--compress': storage.compression,
    '--format': storage.format,
    '--allow-backing': file.allowBacking,
  }
  const [changed] = Object.entries(changes).flatMap(([option, given]) => (given ? [option] : []))
  if (!changed) return
  throw new OperationError('INPUT_INVALID', `${changed} does not go with the disk format ${diskFormat}.`, {
    hint: `Images of the format ${diskFormat} are stored as they are.`,
  })
}

/**
 * The format of the file after its safety check. Null for a compressed one, which is never stored as it is, and would have to
 * be decompressed for that: it is checked when it is written.
 */
async function formatOf(input: UploadImageInput, options: AbortOptions): Promise<string | null> {
  const { file, record } = input
  if (
    file.format === undefined &&
    record.diskFormat === undefined &&
    (await isCompressed(file.path, options))
  ) {
    return null
  }
  await using source = await openUpload(input, options)
  return source.format
}

async function isCompressed(path: string, options: AbortOptions): Promise<boolean> {
  const source = await openFileSource(path, options)
  try {
    const { format } = await probeFormat(source, options)
    return format !== null && isCompression(format)
  } finally {
    await source.close()
  }
}

async function openUpload(
  { file, record: { diskFormat } }: Pick<UploadImageInput, 'file' | 'record'>,
  options: UnwrapWishes,
): Promise<CheckedDisk> {
  if (diskFormat === undefined) return openDiskFile(file, options)
  return openContainer(await openFileSource(file.path, options), { format: diskFormat }, options)
}

function containerOf(
  cloud: Cloud,
  { file, clean, record, storage }: UploadImageInput,
  format: string | null,
): Pick<StoreImageOptions, 'verbatim' | 'format' | 'storage'> {
  if (record.diskFormat !== undefined) return { verbatim: true, format: record.diskFormat, storage }
  const verbatim =
    format !== null &&
    !clean &&
    !storage.subformat &&
    !storage.compression &&
    !file.allowBacking &&
    (storage.format ?? format) === format &&
    cloud.capabilities.images.formats.includes(format)
  return {
    verbatim,
    storage: verbatim ? { ...storage, format: storageInput.shape.format.parse(format) } : storage,
  }
}

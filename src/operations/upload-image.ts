import { basename } from 'node:path'
import { z } from 'zod'
import type { OperationDefinition } from '../jobs/operation-definition.ts'
import { checkCleaning, checkStorage } from './check-request.ts'
import { cleaningInput } from './cleaning-input.ts'
import { diskFileInput, openDiskFile } from './convert-image.ts'
import type { Environment } from './environment.ts'
import { refuseTakenName } from './record-image.ts'
import { storageInput } from './storage-input.ts'
import { type StoredImage, storeImage } from './store-image.ts'

const uploadImageInput = z.strictObject({
  file: diskFileInput,
  cloud: z.string(),
  name: z.string().min(1),
  clean: cleaningInput.nullable().default(null),
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
    async run(context, { file, cloud: cloudName, name, clean, storage }) {
      const { signal } = context
      const cloud = await environment.clouds.get(cloudName)
      const format = await context.step('resolve', 'Checking the file', async () => {
        checkCleaning(clean)
        checkStorage(cloud, storage)
        if (!storage.allowDuplicateName) await refuseTakenName(cloud, name, { signal })
        await using source = await openDiskFile(file, { signal })
        return source.format
      })
      const verbatim =
        !clean &&
        !storage.compression &&
        !file.allowBacking &&
        (storage.format ?? format) === format &&
        cloud.capabilities.images.formats.includes(format)
      return storeImage(environment, context, {
        target: cloud,
        name,
        openSource: (options) => openDiskFile({ ...file, format }, options),
        clean,
        verbatim,
        storage: verbatim ? { ...storage, format: storageInput.shape.format.parse(format) } : storage,
        lineage: { imagewright_source: `file:${basename(file.path)}` },
      })
    },
  }
}

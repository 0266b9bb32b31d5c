import { basename } from 'node:path'
import { z } from 'zod'
import type { OperationDefinition } from '../jobs/operation-definition.ts'
import { checkCleaning, checkStorage } from './check-request.ts'
import { cleaningInput } from './cleaning-input.ts'
import { openDiskFile } from './convert-image.ts'
import { describeCopy } from './describe-copy.ts'
import { detectFormat } from './detect-format.ts'
import type { Environment } from './environment.ts'
import { findImage } from './find.ts'
import { openForCopy } from './open-for-copy.ts'
import { refuseTakenName } from './record-image.ts'
import { storageInput } from './storage-input.ts'
import { fileInput, type StoredFile, storeFile } from './store-file.ts'
import { type StoredImage, storeImage } from './store-image.ts'

const cleanFileInput = z.strictObject({
  path: z.string(),
  clean: cleaningInput.prefault({}),
  /** Where the cleaned disk goes; it takes the place of the file when absent. */
  output: fileInput.optional(),
})

const cleanStoredImageInput = z.strictObject({
  cloud: z.string(),
  image: z.string(),
  /** Name of the cleaned image, by default the old one and " (clean)"; the image it is made from stays as it is. */
  name: z.string().min(1).optional(),
  clean: cleaningInput.prefault({}),
  storage: storageInput.prefault({}),
})

export type CleanFileInput = z.infer<typeof cleanFileInput>
export type CleanStoredImageInput = z.infer<typeof cleanStoredImageInput>

/**
 * Cleans a disk-image file. The cleaned disk is written beside it, read back, and takes its place in one rename, so
 * that there is always either the old file or the new one.
 */
export function cleanFileOperation(
  environment: Environment,
): OperationDefinition<CleanFileInput, StoredFile> {
  return {
    name: 'clean-file',
    input: cleanFileInput,
    title: ({ path }) => `Cleaning ${path}`,
    async run(context, { path, clean, output }) {
      const container = await context.step('resolve', 'Checking the file', async () => {
        checkCleaning(clean)
        // What the file is matters where it is replaced.
        return output ? null : detectFormat(path, { signal: context.signal })
      })
      return storeFile(environment, context, {
        file: output ?? fileInput.parse({ path, ...container, overwrite: true }),
        openSource: (options) =>
          openDiskFile(
            { path, ...(container && { format: container.format }), allowBacking: false },
            options,
          ),
        clean,
        verify: true,
        origin: basename(path),
      })
    },
  }
}

/** Cleans an image of a cloud into a new image beside it: clouds do not change the data of an image. */
export function cleanStoredImageOperation(
  environment: Environment,
): OperationDefinition<CleanStoredImageInput, StoredImage> {
  return {
    name: 'clean-image',
    input: cleanStoredImageInput,
    title: ({ cloud, image }) => `Cleaning ${cloud}:${image}`,
    async run(context, input) {
      const { cloud: cloudName, image, clean, storage } = input
      const { signal } = context
      const cloud = await environment.clouds.get(cloudName)
      const { id, name, description } = await context.step('resolve', 'Looking up the image', async () => {
        checkCleaning(clean)
        checkStorage(cloud, storage)
        const found = await findImage(cloud, image, { signal })
        const wanted = input.name ?? `${found.name} (clean)`
        if (!storage.allowDuplicateName) await refuseTakenName(cloud, wanted, { signal })
        const { description } = describeCopy(found, { sameCloud: true })
        return { id: found.id, name: wanted, description }
      })
      return storeImage(environment, context, {
        target: cloud,
        name,
        openSource: () => openForCopy(environment, context, { cloud, id }),
        clean,
        storage,
        lineage: { imagewright_source: `${cloud.name}:${id}` },
        described: description,
      })
    },
  }
}

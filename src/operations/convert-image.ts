import { dirname } from 'node:path'
import { z } from 'zod'
import type { AbortOptions } from '../core/abort.ts'
import { type CheckedDisk, openCheckedDisk } from '../disk/open-disk.ts'
import type { OperationDefinition } from '../jobs/operation-definition.ts'
import { openFileSource } from '../transfer/file-source.ts'
import type { Environment } from './environment.ts'
import { fileInput, type StoredFile, storeFile } from './store-file.ts'

export const diskFileInput = z.strictObject({
  path: z.string(),
  /** Told from the content when absent. */
  format: z.string().optional(),
  /** Follow a backing file and an external data file in the same folder. */
  allowBacking: z.boolean().default(false),
})

export type DiskFileInput = z.infer<typeof diskFileInput>

const convertImageInput = z.strictObject({
  input: diskFileInput,
  output: fileInput,
  /** Read everything back and compare before the output appears. */
  verify: z.boolean().default(false),
})

export type ConvertImageInput = z.infer<typeof convertImageInput>

/** File to file, any format to any format. */
export function convertImageOperation(
  environment: Environment,
): OperationDefinition<ConvertImageInput, StoredFile> {
  return {
    name: 'convert',
    input: convertImageInput,
    title: ({ input, output }) => `${input.path} to ${output.path}`,
    run: (context, { input, output, verify }) =>
      storeFile(environment, context, {
        file: output,
        openSource: (options) => openDiskFile(input, options),
        clean: null,
        verify,
      }),
  }
}

/** The disk in an image file, after its safety check. */
export async function openDiskFile(
  input: DiskFileInput,
  { signal }: AbortOptions = {},
): Promise<CheckedDisk> {
  const source = await openFileSource(input.path, { signal })
  return openCheckedDisk(source, {
    ...(input.format ? { format: input.format } : {}),
    ...(input.allowBacking ? { allowOtherFilesWithin: dirname(input.path) } : {}),
    signal,
  })
}

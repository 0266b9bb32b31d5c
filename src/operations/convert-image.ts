import { basename, dirname } from 'node:path'
import { z } from 'zod'
import { type CheckedDisk, openCheckedDisk } from '../disk/open-disk.ts'
import type { UnwrapWishes } from '../disk/wrapping/wrapping.ts'
import type { OperationDefinition } from '../jobs/operation-definition.ts'
import { openFileSource } from '../transfer/file-source.ts'
import type { Environment } from './environment.ts'
import { OperationError } from './errors.ts'
import { fileInput, type StoredFile, storeFile } from './store-file.ts'

export const diskFileInput = z.strictObject({
  path: z.string(),
  /** Told from the content when absent. */
  format: z.string().optional(),
  /** Follow a backing file and an external data file in the same folder. */
  allowBacking: z.boolean().default(false),
  /** Of an appliance: its number from 1, its id, or the name of its file. */
  disk: z.string().optional(),
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
        origin: basename(input.path),
      }),
  }
}

/**
 * The disk in an image file, after its safety check.
 * @throws OperationError `INPUT_INVALID` when a disk was chosen and the file is no appliance
 */
export async function openDiskFile(input: DiskFileInput, wishes: UnwrapWishes = {}): Promise<CheckedDisk> {
  const source = await openFileSource(input.path, { signal: wishes.signal })
  const checked = await openCheckedDisk(source, {
    ...(input.format ? { format: input.format } : {}),
    ...(input.allowBacking ? { allowOtherFilesWithin: dirname(input.path) } : {}),
    disk: input.disk,
    ...wishes,
  })
  if (input.disk === undefined || checked.appliance) return checked
  await checked[Symbol.asyncDispose]()
  throw new OperationError('INPUT_INVALID', `${input.path} is no appliance, so there is no disk to choose.`, {
    hint: 'Leave --disk out.',
  })
}

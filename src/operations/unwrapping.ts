import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { formatSize } from '../core/bytes.ts'
import type { UnwrapWishes } from '../disk/wrapping/wrapping.ts'
import type { JobContext } from '../jobs/job.ts'
import type { Environment } from './environment.ts'
import { progressOf } from './progress.ts'

/**
 * How a job opens a disk, for the case that it is compressed: it tells how far the first pass is, and warns when a
 * temporary file is needed, which lies where the job's other working files do.
 */
export async function unwrappingIn(
  environment: Environment,
  context: JobContext,
  access: NonNullable<UnwrapWishes['access']>,
): Promise<UnwrapWishes> {
  const scratchFolder = join(environment.config.folders.state, 'work')
  await mkdir(scratchFolder, { recursive: true, mode: 0o700 })
  return {
    access,
    scratchFolder,
    onProgress: progressOf(context, 'decompress', 'Checking what is compressed'),
    onScratch: ({ name, size }) =>
      context.emit({
        type: 'warning',
        code: 'SOURCE_SPOOLED',
        message: `${name} is compressed and is read in any order: its data, ${formatSize(size)} of them so far, go to a temporary file.`,
      }),
    signal: context.signal,
  }
}

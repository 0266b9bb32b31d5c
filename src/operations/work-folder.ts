import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { JobContext } from '../jobs/job.ts'
import type { Environment } from './environment.ts'

/** A folder for what a job cannot stream: the metadata of the file systems it edits. Goes away on disposal. */
export interface WorkFolder extends AsyncDisposable {
  readonly path: string
}

/**
 * Makes a work folder of the job, empty, also when an interrupted run left one; the ledger knows it.
 * @param purpose tells the folders of one job apart that are in use at the same time
 */
export async function openWorkFolder(
  environment: Environment,
  context: JobContext,
  purpose: 'work' | 'source' | 'boot' = 'work',
): Promise<WorkFolder> {
  const name = purpose === 'work' ? context.jobId : `${context.jobId}-${purpose}`
  const path = join(environment.config.folders.state, 'work', name)
  const key = `${context.jobId}-${purpose}`
  await context.ledger.intend({ kind: 'file', cloud: '', key, label: `${purpose} folder` })
  await context.ledger.created(key, path)
  await rm(path, { recursive: true, force: true })
  await mkdir(path, { recursive: true, mode: 0o700 })
  return {
    path,
    async [Symbol.asyncDispose]() {
      await rm(path, { recursive: true, force: true })
      await context.ledger.released(key)
    },
  }
}

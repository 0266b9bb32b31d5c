import { mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { JobContext } from '../jobs/job.ts'
import type { Environment } from './environment.ts'

/** A folder for what a job cannot stream: the metadata of the file systems it edits. Goes away on disposal. */
export interface WorkFolder extends AsyncDisposable {
  readonly path: string
}

/** Makes the job's work folder, empty, also when an interrupted run left one; the ledger knows it. */
export async function openWorkFolder(environment: Environment, context: JobContext): Promise<WorkFolder> {
  const path = join(environment.config.folders.state, 'work', context.jobId)
  const key = `${context.jobId}-work`
  await context.ledger.intend({ kind: 'file', cloud: '', key, label: 'work folder' })
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

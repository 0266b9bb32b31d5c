import type { Resource } from '../../jobs/job.ts'
import type { JobRecord } from '../../jobs/job-record.ts'
import { properties, table } from './table.ts'

export function presentJobs(jobs: readonly JobRecord[]): string {
  return table(
    ['JOB', 'STATUS', 'STARTED', 'WHAT'],
    jobs.map(({ id, status, createdAt, title }) => [id, status, createdAt, title]),
  )
}

export function presentJob(job: JobRecord & { resources: readonly Resource[] }): string {
  const facts = properties([
    ['job', job.id],
    ['what', job.title],
    ['status', job.status],
    ['error', job.error ? `${job.error.message} [${job.error.code}]` : null],
    ['hint', job.error?.hint ?? null],
    ['started', job.createdAt],
    ['finished', job.finishedAt],
    ['process', job.pid === null ? null : `${job.pid} on ${job.host}`],
    ['next', nextStep(job)],
  ])
  if (job.resources.length === 0) return facts
  const made = table(
    ['MADE', 'STATE', 'WHERE', 'ID'],
    job.resources.map(({ label, state, cloud, id }) => [label, state, cloud || 'this machine', id ?? '-']),
  )
  return `${facts}\n\n${made}`
}

function nextStep({ id, status, undoing }: JobRecord): string | null {
  if (status !== 'failed' && status !== 'interrupted') return null
  const undo = `imagewright jobs undo ${id}`
  return undoing ? undo : `imagewright jobs resume ${id}   or   ${undo}`
}

import type { JobEvent } from '../core/events.ts'
import type { Json } from '../core/json.ts'

/**
 * `running`: a process that is alive works on it. `interrupted`: it was running and nobody works on it any more.
 * `failed` and `interrupted` jobs can be resumed or undone; the others are final.
 */
export type JobStatus = 'running' | 'done' | 'failed' | 'cancelled' | 'interrupted' | 'undone'

/** What is known of a job. Times are ISO 8601. */
export interface JobRecord {
  readonly id: string
  readonly operation: string
  readonly title: string
  readonly status: JobStatus
  readonly input: Json
  /** Of a job that is done; null otherwise. */
  readonly result: Json
  readonly error: JobFailure | null
  /** Where it runs, or ran last. */
  readonly host: string | null
  readonly pid: number | null
  /** Whether its resources have begun to be released: it can be undone, but not resumed. */
  readonly undoing: boolean
  readonly createdAt: string
  readonly updatedAt: string
  readonly finishedAt: string | null
}

export interface JobFailure {
  readonly code: string
  readonly message: string
  readonly hint?: string
}

/** An event as it is stored. `sequence` rises within a job, also over resumes; only the latest progress of a transfer is kept. */
export type RecordedEvent = JobEvent & { readonly sequence: number; readonly at: string }

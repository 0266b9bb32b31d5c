import type { AbortOptions } from '../core/abort.ts'
import { JobError } from './errors.ts'
import { openEventLog } from './event-log.ts'
import { describeFailure } from './job-failure.ts'
import type { JobFailure, RecordedEvent } from './job-record.ts'
import { discardJournal } from './journal.ts'
import { giveUpOwnership, type Owner, takeOwnership } from './owner.ts'
import { type ReleaseResource, releaseResources } from './release-resources.ts'
import { claimJob, endJob, findJob, freeJob, type StoredJob } from './state/job-table.ts'
import type { State } from './state/open-state.ts'
import { listResources, openLedger } from './state/resource-table.ts'
import { watchJob } from './watch-job.ts'

export interface UndoJobOptions extends AbortOptions {
  state: State
  id: string
  /** What an unfinished job becomes. */
  status: 'undone' | 'cancelled'
  release: ReleaseResource
  onEvent: ((event: RecordedEvent) => void) | undefined
}

/**
 * Releases what a job that nobody runs has made, the newest first. An unfinished job loses everything, what it had marked as
 * its result too, and can never be resumed; a done one keeps its result and loses what it left behind. A job that is
 * cancelled or undone already stays as it is. What is interrupted or fails half way can be repeated.
 * @throws JobError `JOB_RUNNING` | `JOB_DONE` (nothing is left behind) | `JOB_UNDO_INCOMPLETE`; CoreError `CANCELLED`
 */
export async function undoJob(options: UndoJobOptions): Promise<StoredJob> {
  const { state, id } = options
  const found = findJob(state, id)
  if (isUndone(found)) return found
  const status = found.status === 'done' || found.releasing === 'done' ? 'done' : options.status
  const owner = takeOwnership()
  try {
    const { error } = claimJob(state, {
      id,
      owner,
      releasing: status,
      check: (job) => assertUndoable(state, job, status),
    })
    try {
      await releaseHeld({ ...options, status, owner, failure: ownFailure(error) })
    } finally {
      freeJob(state, id, owner)
    }
  } finally {
    giveUpOwnership(owner)
  }
  if (status !== 'done') discardJournal(state.journalFile(id))
  return findJob(state, id)
}

async function releaseHeld(
  options: Omit<UndoJobOptions, 'status'> & {
    status: 'undone' | 'cancelled' | 'done'
    owner: Owner
    /** What the job itself failed with. */
    failure: { error?: JobFailure }
  },
): Promise<void> {
  const { state, id, status, owner, failure } = options
  const stopping = new AbortController()
  const stop = (reason: unknown) => stopping.abort(reason)
  const onAbort = () => stop(options.signal?.reason)
  options.signal?.addEventListener('abort', onAbort)
  if (options.signal?.aborted) onAbort()
  const log = openEventLog({ state, jobId: id, onEvent: options.onEvent, onFailure: stop })
  // There is no way to cancel an undo from elsewhere: it does what a cancellation would do.
  const unwatch = watchJob({
    state,
    jobId: id,
    owner,
    onCancel: () => undefined,
    onLost: () => stop(undefined),
    onFailure: stop,
  })
  try {
    await releaseResources({
      jobId: id,
      ledger: openLedger(state, id),
      release: options.release,
      which: (resource) => status !== 'done' || resource.state !== 'kept',
      emit: log.emit,
      signal: stopping.signal,
    })
    log.close()
    endJob(state, id, owner, { status, ...failure })
  } catch (error) {
    log.close()
    const unfinished = stopping.signal.aborted ? 'interrupted' : 'failed'
    endJob(state, id, owner, {
      status: status === 'done' ? 'done' : unfinished,
      error: describeFailure(error),
      ...failure,
    })
    throw error
  } finally {
    unwatch()
    options.signal?.removeEventListener('abort', onAbort)
  }
}

/** The job's error unless it tells of an earlier undo. */
function ownFailure(error: JobFailure | null): { error?: JobFailure } {
  return error && error.code !== 'JOB_UNDO_INCOMPLETE' ? { error } : {}
}

/** Looks again under the lock: the job may have changed since it was found. */
function assertUndoable(state: State, job: StoredJob, status: StoredJob['releasing']): void {
  if (job.held) return
  if (isUndone(job)) throw new JobError('JOB_UNDONE', `Job ${job.id} is ${job.status} already.`)
  if (job.status !== 'done') return
  if (status !== 'done' || listResources(state, job.id).every(isAccountedFor)) {
    throw new JobError('JOB_DONE', `Job ${job.id} is done: its result is kept and nothing else is left.`, {
      hint: 'Delete the result itself, for example with "imagewright images delete".',
    })
  }
}

function isUndone(job: StoredJob): boolean {
  return job.status === 'cancelled' || job.status === 'undone'
}

function isAccountedFor({ state }: { state: string }): boolean {
  return state === 'kept' || state === 'released'
}

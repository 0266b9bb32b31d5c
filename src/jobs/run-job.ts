import { CoreError } from '../core/errors.ts'
import type { JobEvent, JobOutcome } from '../core/events.ts'
import type { Json } from '../core/json.ts'
import { JobError } from './errors.ts'
import { openEventLog } from './event-log.ts'
import type { Resource } from './job.ts'
import { createJobContext } from './job-context.ts'
import { describeFailure } from './job-failure.ts'
import type { JobFailure, RecordedEvent } from './job-record.ts'
import { discardJournal, openJournal, type RunStep } from './journal.ts'
import type { OperationDefinition } from './operation-definition.ts'
import { giveUpOwnership, type Owner } from './owner.ts'
import { type ReleaseResource, releaseResources } from './release-resources.ts'
import { beginReleasing, endJob, freeJob, type StoredJob } from './state/job-table.ts'
import type { State } from './state/open-state.ts'
import { openLedger } from './state/resource-table.ts'
import { watchJob } from './watch-job.ts'

/*
 * One run of a job in this process, from its first event to its last. How it can end:
 *
 * - done: what the job made and did not keep is released, then the result is written down.
 * - failed: written down with its code; everything stays for a resume or an undo.
 * - cancelled: the operation is stopped and waited for, then everything the job made is released.
 * - interrupted: written down at once. The operation is told to stop, and the job stays held until it has, so that a
 *   resume cannot run beside it; usually the process ends before that, which lets go of the job as well.
 */
export interface JobRun {
  readonly jobId: string
  readonly result: Promise<Json>
  cancel(): void
  interrupt(): void
  /** Fulfilled when this process has let go of the job, however it ended. */
  readonly settled: Promise<void>
}

export interface JobRunOptions {
  state: State
  job: StoredJob
  /** Holds the job already; given up when the run has settled. */
  owner: Owner
  operation: OperationDefinition
  input: unknown
  release: ReleaseResource
  onEvent: ((event: RecordedEvent) => void) | undefined
  /** Cancels the job. */
  signal: AbortSignal | undefined
}

export function runJob(options: JobRunOptions): JobRun {
  const { state, job, owner } = options
  const jobId = job.id
  const working = new AbortController()
  const releasing = new AbortController()
  const result = Promise.withResolvers<Json>()
  // Who only looks at the events or the record need not handle the rejection as well.
  result.promise.catch(() => undefined)
  let cancelling = false
  let outcome: JobOutcome | undefined
  let fault: { error: unknown } | undefined
  const ledger = openLedger(state, jobId)
  const log = openEventLog({ state, jobId, onEvent: options.onEvent, onFailure: fail })
  const unwatch = watchJob({ state, jobId, owner, onCancel: cancel, onLost: interrupt, onFailure: fail })
  options.signal?.addEventListener('abort', cancel)
  if (options.signal?.aborted) cancel()
  return { jobId, result: result.promise, cancel, interrupt, settled: run() }

  async function run(): Promise<void> {
    try {
      log.emit({ type: 'started', operation: job.operation, title: job.title })
      result.resolve(await finish(await work()))
    } catch (error) {
      result.reject(await stop(error))
    } finally {
      unwatch()
      options.signal?.removeEventListener('abort', cancel)
      giveUpOwnership(owner)
    }
  }

  /** The operation itself, on its journal; no step of it runs any more when this returns or throws. */
  async function work(): Promise<Json> {
    const journal = await openJournal(state.journalFile(jobId))
    try {
      return await journal.execute(runOperation)
    } finally {
      await journal.close()
    }
  }

  async function runOperation(runStep: RunStep): Promise<Json> {
    const { context, idle } = createJobContext({
      jobId,
      signal: working.signal,
      emit: log.emit,
      ledger,
      runStep,
    })
    try {
      return await options.operation.run(context, options.input)
    } catch (error) {
      working.abort(error)
      throw error
    } finally {
      await idle()
    }
  }

  async function finish(output: Json): Promise<Json> {
    const left = (await ledger.list()).filter(({ state }) => state === 'created')
    for (const { label } of left) {
      log.emit({
        type: 'warning',
        code: 'JOB_RESOURCE_LEFT',
        message: `Left behind, and now released: ${label}.`,
      })
    }
    try {
      await release(({ state }) => state !== 'kept')
    } catch (error) {
      // The result stands; each failure has been told as a warning, and `undo` releases what is left of a done job.
      if (!isIncomplete(error)) throw error
    }
    if (fault) throw fault.error
    end('done', { result: output })
    letGo()
    return output
  }

  /** Writes down how an unfinished run ended, and gives the error its result is rejected with. */
  async function stop(error: unknown): Promise<unknown> {
    try {
      const reason = fault ? fault.error : cancelling && !outcome ? await cancelAll() : error
      if (!outcome) end('failed', { error: describeFailure(reason) })
      letGo()
      return reason
    } catch (worse) {
      return worse
    }
  }

  /** Gives the error that says how it went: `CANCELLED`, or why something could not be released. */
  async function cancelAll(): Promise<unknown> {
    beginReleasing(state, jobId, 'cancelled')
    try {
      await release(() => true)
      end('cancelled', {})
      return new CoreError('CANCELLED', `Job ${jobId} was cancelled; everything it had made was released.`)
    } catch (error) {
      return error
    }
  }

  function release(which: (resource: Resource) => boolean): Promise<void> {
    const { signal } = releasing
    return releaseResources({ jobId, ledger, release: options.release, which, emit: log.emit, signal })
  }

  function end(status: JobOutcome, { result, error }: { result?: Json; error?: JobFailure }): void {
    if (outcome) return
    log.close()
    const event: JobEvent = { type: 'finished', status, ...(error ? { error } : {}) }
    const recorded = endJob(state, jobId, owner, {
      status,
      event,
      ...(error ? { error } : {}),
      ...(result === undefined ? {} : { result }),
    })
    outcome = status
    // A listener that fails now changes nothing: how the run ended is written down.
    log.tell(recorded)
  }

  function letGo(): void {
    freeJob(state, jobId, owner)
    if (outcome === 'done' || outcome === 'cancelled') discardJournal(state.journalFile(jobId))
  }

  function cancel(): void {
    cancelling = true
    working.abort(new CoreError('CANCELLED', 'The job is being cancelled.'))
  }

  function interrupt(): void {
    if (outcome) return
    const error = new JobError('JOB_INTERRUPTED', `Job ${jobId} was stopped before its end.`, {
      hint: `Go on with "imagewright jobs resume ${jobId}", or release what it made with "imagewright jobs undo ${jobId}".`,
    })
    try {
      end('interrupted', {})
    } catch (failure) {
      // The record still says running; once this process has ended, that means interrupted.
      fault = { error: failure }
      outcome = 'interrupted'
    }
    result.reject(error)
    working.abort(error)
    releasing.abort(error)
  }

  /** The state cannot be written any more, or a listener failed: the job must not go on unrecorded. */
  function fail(error: unknown): void {
    fault ??= { error }
    working.abort(error)
    releasing.abort(error)
  }
}

function isIncomplete(error: unknown): boolean {
  return error instanceof JobError && error.code === 'JOB_UNDO_INCOMPLETE'
}

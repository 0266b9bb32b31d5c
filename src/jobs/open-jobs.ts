import { type AbortOptions, sleep } from '../core/abort.ts'
import type { Json } from '../core/json.ts'
import { JobError } from './errors.ts'
import { type EventQuery, followEvents } from './follow-events.ts'
import type { Resource } from './job.ts'
import type { JobRecord, RecordedEvent } from './job-record.ts'
import type { OperationDefinition } from './operation-definition.ts'
import { giveUpOwnership, type Owner, takeOwnership } from './owner.ts'
import type { ReleaseResource } from './release-resources.ts'
import { type JobRun, runJob } from './run-job.ts'
import { claimJob, findJob, insertJob, listJobs, requestCancel, type StoredJob } from './state/job-table.ts'
import { openState } from './state/open-state.ts'
import { listResources } from './state/resource-table.ts'
import { sweepJournals } from './sweep-journals.ts'
import { undoJob } from './undo-job.ts'

export interface RunOptions extends AbortOptions {
  /** Every event, in order, as it happens. Must not throw: a listener that throws fails the job. */
  onEvent?: (event: RecordedEvent) => void
}

/** A job that runs in this process. */
export interface JobHandle {
  readonly id: string
  /**
   * What the operation gave. Rejected with the operation's own error, with `CANCELLED` once everything is released, or with
   * `JOB_INTERRUPTED`.
   */
  readonly result: Promise<Json>
  /** Stops the job and releases everything it made; fulfilled when that is done, or has failed. */
  cancel(): Promise<JobRecord>
  /** Stops at once and leaves everything for a resume or an undo; the process may end right after the call. */
  interrupt(): void
}

/**
 * The jobs of one state folder. Any number of processes may use it at the same time; `id` may be shortened to any
 * beginning that only one job has.
 */
export interface Jobs {
  /** @throws JobError `JOB_OPERATION_UNKNOWN` | `JOB_INPUT_INVALID` */
  start(operationName: string, input: Json, options?: RunOptions): Promise<JobHandle>
  /**
   * Goes on with a failed or interrupted job in this process; finished steps are not run again.
   * @throws JobError `JOB_NOT_FOUND` | `JOB_RUNNING` | `JOB_DONE` | `JOB_UNDONE`
   */
  resume(id: string, options?: RunOptions): Promise<JobHandle>
  /**
   * Stops a job that runs in any process and waits until everything it made is released; the record says how it ended. A
   * job that nobody runs is released by this process.
   * @throws JobError `JOB_NOT_FOUND` | `JOB_DONE` | `JOB_UNDO_INCOMPLETE`
   */
  cancel(id: string, options?: RunOptions): Promise<JobRecord>
  /**
   * Releases what a failed or interrupted job made, or what a done one left behind; repeatable.
   * @throws JobError `JOB_NOT_FOUND` | `JOB_RUNNING` | `JOB_DONE` | `JOB_UNDO_INCOMPLETE`
   */
  undo(id: string, options?: RunOptions): Promise<JobRecord>
  /** The newest first. */
  list(): Promise<JobRecord[]>
  /** @throws JobError `JOB_NOT_FOUND` | `JOB_AMBIGUOUS` */
  get(id: string): Promise<JobRecord>
  /** What the job made, in the order of making. */
  resources(id: string): Promise<Resource[]>
  events(id: string, query?: EventQuery): AsyncIterable<RecordedEvent>
  /** Interrupts what still runs in this process, waits until it has stopped, and closes the state. */
  close(): Promise<void>
}

export interface OpenJobsOptions extends AbortOptions {
  /** Made with mode 0700 where it is missing. */
  folder: string
  operations: readonly OperationDefinition[]
  release: ReleaseResource
}

const cancelPollInterval = 200

/** Opens the jobs of a state folder. @throws StateError, see `openState` */
export async function openJobs(options: OpenJobsOptions): Promise<Jobs> {
  const state = await openState(options.folder, options)
  sweepJournals(state)
  const runs = new Map<string, JobRun>()

  function run(
    job: StoredJob,
    held: { owner: Owner; operation: OperationDefinition; input: unknown },
    { onEvent, signal }: RunOptions,
  ): JobHandle {
    const jobRun = runJob({ state, job, ...held, release: options.release, onEvent, signal })
    runs.set(job.id, jobRun)
    void jobRun.settled.then(() => runs.delete(job.id))
    return {
      id: job.id,
      result: jobRun.result,
      interrupt: jobRun.interrupt,
      cancel: async () => {
        jobRun.cancel()
        await jobRun.settled
        return recordOf(findJob(state, job.id))
      },
    }
  }

  function undo(
    id: string,
    status: 'undone' | 'cancelled',
    { onEvent, signal }: RunOptions,
  ): Promise<StoredJob> {
    return undoJob({ state, id, status, release: options.release, onEvent, signal })
  }

  return {
    async start(operationName, input, runOptions = {}) {
      const operation = findOperation(options.operations, operationName)
      const parsed = parseInput(operation, input)
      const title = operation.title(parsed)
      const { owner, job } = holding((owner) =>
        insertJob(state, { operation: operationName, title, input, owner }),
      )
      return run(job, { owner, operation, input: parsed }, runOptions)
    },

    async resume(id, runOptions = {}) {
      const found = findJob(state, id)
      assertResumable(found)
      const operation = findOperation(options.operations, found.operation)
      const parsed = parseInput(operation, found.input)
      const { owner, job } = holding((owner) =>
        claimJob(state, { id: found.id, owner, check: assertResumable }),
      )
      return run(job, { owner, operation, input: parsed }, runOptions)
    },

    async cancel(id, runOptions = {}) {
      let job = findJob(state, id)
      if (job.status === 'done') {
        throw new JobError('JOB_DONE', `Job ${job.id} is done already.`)
      }
      while (job.held) {
        requestCancel(state, job.id)
        runs.get(job.id)?.cancel()
        await sleep(cancelPollInterval, runOptions)
        job = findJob(state, job.id)
      }
      return recordOf(job.status === 'done' ? job : await undo(job.id, 'cancelled', runOptions))
    },

    undo: async (id, runOptions = {}) => recordOf(await undo(findJob(state, id).id, 'undone', runOptions)),
    list: async () => listJobs(state).map(recordOf),
    get: async (id) => recordOf(findJob(state, id)),
    resources: async (id) => listResources(state, findJob(state, id).id),
    events: (id, query = {}) => followEvents(state, id, query),

    async close() {
      for (const jobRun of runs.values()) jobRun.interrupt()
      await Promise.all([...runs.values()].map(({ settled }) => settled))
      state.close()
    },
  }
}

/** Takes the job that `claim` gives; without it nothing is held. */
function holding(claim: (owner: Owner) => StoredJob): { owner: Owner; job: StoredJob } {
  const owner = takeOwnership()
  try {
    return { owner, job: claim(owner) }
  } catch (error) {
    giveUpOwnership(owner)
    throw error
  }
}

function assertResumable(job: StoredJob): void {
  if (job.status === 'done') {
    throw new JobError('JOB_DONE', `Job ${job.id} is done: there is nothing to resume.`)
  }
  if (job.status === 'cancelled' || job.status === 'undone') {
    throw new JobError('JOB_UNDONE', `Job ${job.id} is ${job.status} and cannot be resumed.`, {
      hint: 'Start it anew.',
    })
  }
  if (job.undoing && !job.held) {
    throw new JobError('JOB_UNDONE', `Job ${job.id} is half undone and cannot be resumed.`, {
      hint: `Finish it with "imagewright jobs undo ${job.id}".`,
    })
  }
}

function findOperation(operations: readonly OperationDefinition[], name: string): OperationDefinition {
  const operation = operations.find((known) => known.name === name)
  if (!operation) {
    throw new JobError('JOB_OPERATION_UNKNOWN', `This version of Imagewright has no operation "${name}".`, {
      hint: 'Use the version the job was started with.',
    })
  }
  return operation
}

function parseInput(operation: OperationDefinition, input: Json): unknown {
  const parsed = operation.input.safeParse(input)
  if (parsed.success) return parsed.data
  const problems = parsed.error.issues.map(({ path, message }) => [...path, message].join(': ')).join('; ')
  throw new JobError('JOB_INPUT_INVALID', `${operation.name}: ${problems}.`, { cause: parsed.error })
}

function recordOf({ held, releasing, ...record }: StoredJob): JobRecord {
  return record
}

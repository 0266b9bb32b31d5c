import { ImagewrightError, isCancellation } from '../core/errors.ts'
import type { Json } from '../core/json.ts'
import type { JobHandle, Jobs, RunOptions } from '../jobs/open-jobs.ts'
import type { Environment } from './environment.ts'
import { EventQueue, type OperationHandle } from './operation-handle.ts'

/**
 * Starts operations as jobs. The jobs' state is opened when the first one needs it. A job that fails is undone at once,
 * so that a failure leaves nothing behind, unless asked otherwise; one that was interrupted is left to be resumed or undone.
 */
export class JobRunner {
  readonly #environment: Environment
  readonly #keepFailed: boolean
  #jobs: Promise<Jobs> | null = null

  /** @param options.keepFailed leave what a failed job made, so that it can be resumed at the failed step */
  constructor(environment: Environment, { keepFailed }: { keepFailed: boolean }) {
    this.#environment = environment
    this.#keepFailed = keepFailed
  }

  jobs(): Promise<Jobs> {
    if (!this.#jobs) {
      this.#jobs = this.#open()
      // What could not be opened is tried again the next time.
      this.#jobs.catch(() => {
        this.#jobs = null
      })
    }
    return this.#jobs
  }

  /** Starts an operation; what is wrong with its input is told by the handle. */
  start<Result>(operation: string, input: Json): OperationHandle<Result> {
    return this.#handle<Result>((jobs, options) => jobs.start(operation, input, options), this.#keepFailed)
  }

  /** A resumed job that fails again is kept: somebody is looking after it. */
  resume(id: string): OperationHandle<Json> {
    return this.#handle<Json>((jobs, options) => jobs.resume(id, options), true)
  }

  /** May be called twice. */
  async close(): Promise<void> {
    const jobs = this.#jobs
    this.#jobs = null
    if (jobs) await (await jobs).close()
  }

  async #open(): Promise<Jobs> {
    const [{ openJobs }, { allOperations }, { releaseResource }] = await Promise.all([
      import('../jobs/open-jobs.ts'),
      import('./all-operations.ts'),
      import('./release-resource.ts'),
    ])
    return openJobs({
      folder: this.#environment.config.folders.state,
      operations: allOperations(this.#environment),
      release: (resource, options) => releaseResource(this.#environment.clouds, resource, options),
    })
  }

  #handle<Result>(
    begin: (jobs: Jobs, options: RunOptions) => Promise<JobHandle>,
    keepFailed: boolean,
  ): OperationHandle<Result> {
    const queue = new EventQueue()
    const jobs = this.jobs()
    const running = jobs.then((opened) => begin(opened, { onEvent: (event) => queue.push(event) }))
    const result = running.then(async (job) => finish<Result>(await jobs, { job, keepFailed }))
    // Whoever iterates the events learns the outcome when awaiting the handle.
    result.then(
      () => queue.close(),
      () => queue.close(),
    )
    const jobId = running.then(({ id }) => id)
    // Most callers never ask for it, and learn from the result that the job could not be started.
    jobId.catch(() => undefined)
    return {
      jobId,
      // biome-ignore lint/suspicious/noThenProperty: a handle is awaited for its result
      then: (onFulfilled, onRejected) => result.then(onFulfilled, onRejected),
      events: () => queue.events(),
      cancel: async () => void (await (await running).cancel()),
      interrupt: async () => (await running).interrupt(),
    }
  }
}

async function finish<Result>(
  jobs: Jobs,
  { job, keepFailed }: { job: JobHandle; keepFailed: boolean },
): Promise<Result> {
  try {
    // The journal gives back JSON; the operation's definition says of what shape.
    return (await job.result) as Result
  } catch (error) {
    if (keepFailed || isCancellation(error) || isInterruption(error)) throw error
    throw await undo(jobs, { id: job.id, error })
  }
}

/** Releases what a failed job made. Gives the error to end with: why it failed, and if need be that something is left. */
async function undo(jobs: Jobs, { id, error }: { id: string; error: unknown }): Promise<unknown> {
  try {
    await jobs.undo(id)
    return error
  } catch (incomplete) {
    if (!(error instanceof ImagewrightError) || !(incomplete instanceof ImagewrightError)) return incomplete
    const { code, message, hint, details } = error
    const left = `${incomplete.message} ${incomplete.hint ?? ''}`.trim()
    return new ImagewrightError(code, message, {
      hint: hint ? `${hint}\n  ${left}` : left,
      details,
      cause: error,
    })
  }
}

function isInterruption(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'JOB_INTERRUPTED'
}

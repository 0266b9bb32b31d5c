import { isCancellation } from '../core/errors.ts'
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
    const running = this.jobs().then((jobs) => begin(jobs, { onEvent: (event) => queue.push(event) }))
    const result = running.then((job) => this.#finish<Result>(job, keepFailed))
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

  async #finish<Result>(job: JobHandle, keepFailed: boolean): Promise<Result> {
    try {
      // The journal gives back JSON; the operation's definition says of what shape.
      return (await job.result) as Result
    } catch (error) {
      if (!keepFailed && !isCancellation(error) && !isInterruption(error))
        await (await this.jobs()).undo(job.id)
      throw error
    }
  }
}

function isInterruption(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'JOB_INTERRUPTED'
}

import { closeSync, openSync, rmSync } from 'node:fs'
import type { Backend, WorkflowRun } from 'openworkflow/internal'
import type { Json } from '../core/json.ts'
import { StateError } from './errors.ts'
import { asStateError, explainingStateErrors } from './state/state-error.ts'

/*
 * The journal of a job: which of its steps are finished, and with what result. It is a workflow run of OpenWorkflow.
 *
 * - **A database file for each job.** An OpenWorkflow worker takes any run it finds, but a process must run exactly the
 *   job it started: secrets live in its memory, Ctrl-C is its own. In a file of its own a job meets no other, so two
 *   processes never wait for each other's lock (OpenWorkflow's connections have no busy time-out), and the file goes
 *   away with the job's end. Who may open it is decided by the owner in the table of jobs, under a lock.
 * - **No lease.** The owner is exact and immediate; a lease would only make a resume wait up to 30 s after a `kill -9`.
 *   So the run is claimed with a lease that ended long ago, which also makes the computer's clock irrelevant.
 * - **A failed run is left as a killed one.** In OpenWorkflow a failed run is final, but a failed job must go on at its failed
 *   step. The worker claims once, for one pass over the workflow, and the journal is not told of failure. Failed, cancelled,
 *   interrupted and killed at any instruction are thus one case: the next pass finds the finished steps, and starts
 *   the others again. (The alternative, a run that waits for a signal after a failure, has a second way to continue, and a
 *   kill between the failure and the wait falls between the two.)
 */
export interface Journal {
  /**
   * Runs the workflow once. Steps that are finished give their result without being run; a workflow that was finished
   * gives its result at once. What the workflow throws is thrown.
   */
  execute(workflow: (runStep: RunStep) => Promise<Json>): Promise<Json>
  close(): Promise<void>
}

/** Runs a step unless the journal knows its result; `name` is unique in the workflow. */
export type RunStep = <T extends Json>(name: string, run: () => Promise<T>) => Promise<T>

/** OpenWorkflow takes about 30 ms to load: only where a job is run. */
export async function openJournal(file: string): Promise<Journal> {
  const [{ OpenWorkflow }, { BackendSqlite }] = await Promise.all([
    import('openworkflow'),
    import('openworkflow/sqlite'),
  ])
  const backend = explainingStateErrors(file, () => {
    closeSync(openSync(file, 'a', 0o600))
    return BackendSqlite.connect(file)
  })

  return {
    async execute(workflow) {
      let outcome: { output: Json } | { error: unknown } | undefined
      const pass = Promise.withResolvers<void>()
      const engine = new OpenWorkflow({ backend: singlePass(backend, pass.resolve) })
      const definition = engine.defineWorkflow({ name: 'job' }, async ({ step }): Promise<Json> => {
        const runStep: RunStep = (name, run) => runOnce((once) => step.run({ name }, once), { run, file })
        try {
          const output = await workflow(runStep)
          outcome = { output }
          return output
        } catch (error) {
          outcome = { error }
          throw error
        }
      })
      try {
        const [known] = (await backend.listWorkflowRuns({ limit: 1 })).data
        if (known?.status === 'completed') return jsonOf(known)
        if (!known) await definition.run(null, { availableAt: new Date(0) })
        if ((await engine.newWorker().tick()) !== 1)
          throw new Error(`The journal ${file} has no run to claim`)
      } catch (error) {
        throw asStateError(error, file)
      }
      await pass.promise
      if (!outcome) throw new StateError('STATE_CORRUPT', `The journal ${file} could not be read.`)
      if ('error' in outcome) throw outcome.error
      return outcome.output
    },
    close: () => backend.stop(),
  }
}

/** Removes the journal of a job that will never be run again. */
export function discardJournal(file: string): void {
  for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, { force: true })
}

/** Runs a step through the engine and gives its own error back instead of the engine's wrapping of it. */
async function runOnce<T extends Json>(
  engineStep: (once: () => Promise<T>) => Promise<T>,
  { run, file }: { run: () => Promise<T>; file: string },
): Promise<T> {
  let failure: { error: unknown } | undefined
  try {
    return await engineStep(async () => {
      try {
        return await run()
      } catch (error) {
        failure = { error }
        // The journal keeps no messages: the job's error is in the table of jobs, with code and hint.
        throw new Error('The step failed.')
      }
    })
  } catch (error) {
    throw failure ? failure.error : asStateError(error, file)
  }
}

/** The backend for one pass of one owner: without lease, without final failure. */
function singlePass(backend: Backend, passed: () => void): Backend {
  let claimed: WorkflowRun | null = null
  return {
    createWorkflowRun: (params) => backend.createWorkflowRun(params),
    getWorkflowRun: (params) => backend.getWorkflowRun(params),
    listWorkflowRuns: (params) => backend.listWorkflowRuns(params),
    countWorkflowRuns: () => backend.countWorkflowRuns(),
    claimWorkflowRun: async (params) => {
      claimed = await backend.claimWorkflowRun({ ...params, leaseDurationMs: -Date.now() })
      return claimed
    },
    extendWorkflowRunLease: (params) =>
      backend.extendWorkflowRunLease({ ...params, leaseDurationMs: -Date.now() }),
    sleepWorkflowRun: (params) => backend.sleepWorkflowRun(params),
    completeWorkflowRun: async (params) => {
      // If this throws, the engine goes on with `failWorkflowRun`.
      const run = await backend.completeWorkflowRun(params)
      passed()
      return run
    },
    failWorkflowRun: async () => {
      passed()
      if (!claimed) throw new Error('No run was claimed')
      return claimed
    },
    rescheduleWorkflowRunAfterFailedStepAttempt: (params) =>
      backend.rescheduleWorkflowRunAfterFailedStepAttempt(params),
    cancelWorkflowRun: (params) => backend.cancelWorkflowRun(params),
    createStepAttempt: (params) => backend.createStepAttempt(params),
    getStepAttempt: (params) => backend.getStepAttempt(params),
    listStepAttempts: (params) => backend.listStepAttempts(params),
    completeStepAttempt: (params) => backend.completeStepAttempt(params),
    failStepAttempt: (params) => backend.failStepAttempt(params),
    setStepAttemptChildWorkflowRun: (params) => backend.setStepAttemptChildWorkflowRun(params),
    sendSignal: (params) => backend.sendSignal(params),
    getSignalDelivery: (params) => backend.getSignalDelivery(params),
    stop: () => backend.stop(),
  }
}

function jsonOf(run: WorkflowRun): Json {
  return run.output
}

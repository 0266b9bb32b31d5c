import { throwIfCancelled } from '../core/abort.ts'
import type { EmitEvent } from '../core/events.ts'
import type { Json } from '../core/json.ts'
import type { JobContext, Ledger } from './job.ts'
import type { RunStep } from './journal.ts'

export interface JobContextOptions {
  jobId: string
  signal: AbortSignal
  emit: EmitEvent
  ledger: Ledger
  runStep: RunStep
}

/** The context of one run of an operation; `idle` is fulfilled when none of its steps runs any more. */
export function createJobContext(options: JobContextOptions): {
  context: JobContext
  idle: () => Promise<void>
} {
  const { jobId, signal, emit, ledger, runStep } = options
  const names = new Set<string>()
  const running = new Set<Promise<Json>>()

  async function step<T extends Json>(name: string, title: string, run: () => Promise<T>): Promise<T> {
    if (names.has(name))
      throw new Error(`The step name "${name}" is used twice: the journal could not tell them apart`)
    names.add(name)
    throwIfCancelled(signal)
    const result = journalled(name, title, run)
    running.add(result)
    try {
      return await result
    } finally {
      running.delete(result)
    }
  }

  async function journalled<T extends Json>(name: string, title: string, run: () => Promise<T>): Promise<T> {
    let reused = true
    const started = () => emit({ type: 'step-started', step: name, title })
    const result = await runStep(name, () => {
      reused = false
      started()
      return run()
    })
    if (reused) started()
    emit({ type: 'step-finished', step: name, reused })
    return result
  }

  return {
    context: { jobId, signal, emit, ledger, step },
    idle: async () => {
      while (running.size > 0) await Promise.allSettled(running)
    },
  }
}

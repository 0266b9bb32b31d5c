import { heartbeatInterval, type Owner } from './owner.ts'
import { beatHeart, ordersFor } from './state/job-table.ts'
import type { State } from './state/open-state.ts'

/** Milliseconds between two looks at what other processes want of a job. */
const watchInterval = 400

/**
 * While a job is held: tells other machines that we are alive, and us what they want. A fault of the state goes to
 * `onFailure`. Gives the function that ends the watch.
 */
export function watchJob(options: {
  state: State
  jobId: string
  owner: Owner
  onCancel: () => void
  /** Another process holds the job: this one must not touch it any more. */
  onLost: () => void
  onFailure: (error: unknown) => void
}): () => void {
  const { state, jobId, owner } = options
  let lastBeat = performance.now()
  const timer = setInterval(() => {
    try {
      const orders = ordersFor(state, jobId, owner)
      if (orders === 'cancel') options.onCancel()
      if (orders === 'lost') options.onLost()
      if (performance.now() - lastBeat >= heartbeatInterval) {
        lastBeat = performance.now()
        beatHeart(state, jobId, owner)
      }
    } catch (error) {
      options.onFailure(error)
    }
  }, watchInterval)
  return () => clearInterval(timer)
}

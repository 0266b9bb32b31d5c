import { type AbortOptions, throwIfCancelled } from '../core/abort.ts'
import { isCancellation } from '../core/errors.ts'
import type { EmitEvent } from '../core/events.ts'
import { JobError } from './errors.ts'
import type { Ledger, Resource } from './job.ts'
import { describeFailure } from './job-failure.ts'

/**
 * Makes a resource go away: found by its id or, while it is only intended, by its key. Fulfilled when the resource is
 * gone, also when there never was one; repeatable.
 */
export type ReleaseResource = (resource: Resource, options: AbortOptions) => Promise<void>

/**
 * Releases the job's resources that `which` chooses, the newest first. One that cannot be released does not stop the others:
 * it stays in the ledger for the next attempt.
 * @throws JobError `JOB_UNDO_INCOMPLETE`; CoreError `CANCELLED` when the signal fires
 */
export async function releaseResources(options: {
  jobId: string
  ledger: Ledger
  release: ReleaseResource
  which: (resource: Resource) => boolean
  emit: EmitEvent
  signal: AbortSignal
}): Promise<void> {
  const { ledger, emit, signal } = options
  const chosen = (await ledger.list()).filter(
    (resource) => resource.state !== 'released' && options.which(resource),
  )
  const failures: { resource: Resource; error: unknown }[] = []
  for (const resource of chosen.toReversed()) {
    throwIfCancelled(signal)
    try {
      await options.release(resource, { signal })
      await ledger.released(resource.key)
      if (resource.state !== 'intended') emit({ type: 'log', message: `Released ${nameOf(resource)}.` })
    } catch (error) {
      if (signal.aborted && isCancellation(error)) throw error
      failures.push({ resource, error })
      const { code, message, hint } = describeFailure(error)
      emit({
        type: 'warning',
        code,
        message: `Could not release ${nameOf(resource)}: ${message}`,
        ...(hint ? { hint } : {}),
      })
    }
  }
  const [first] = failures
  if (!first) return
  const names = failures.map(({ resource }) => nameOf(resource)).join(', ')
  throw new JobError(
    'JOB_UNDO_INCOMPLETE',
    `Could not release ${names}: ${describeFailure(first.error).message}`,
    {
      hint: `Repeat it with "imagewright jobs undo ${options.jobId}" when the cause is gone.`,
      cause: first.error,
    },
  )
}

function nameOf({ kind, label, id, key, cloud }: Resource): string {
  const place = cloud === '' ? '' : ` in ${cloud}`
  return `${label} (${kind} ${id ?? key}${place})`
}

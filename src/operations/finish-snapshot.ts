import type { Cloud } from '../clouds/cloud.ts'
import { ImagewrightError } from '../core/errors.ts'
import type { JobContext } from '../jobs/job.ts'
import { releaseSnapshot, snapshotKey, type TakenSnapshot } from './take-snapshot.ts'

/**
 * Keeps or deletes the snapshot a new image was made of; gives whether it is still there. The image is proved and
 * published by then: a snapshot that cannot be deleted does not take it back.
 */
export async function finishSnapshot(
  context: JobContext,
  cloud: Cloud,
  { snapshot, keep }: { snapshot: TakenSnapshot; keep: boolean },
): Promise<boolean> {
  if (keep) {
    if (!snapshot.borrowed) await context.ledger.kept(snapshotKey(context))
    return true
  }
  try {
    await releaseSnapshot(context, cloud, snapshot)
  } catch (error) {
    if (context.signal.aborted || !(error instanceof ImagewrightError)) throw error
    context.emit({
      type: 'warning',
      code: 'SNAPSHOT_LEFT',
      message: `The snapshot ${cloud.name}:${snapshot.id} could not be deleted: ${error.message}`,
      hint: `Delete it later with: imagewright jobs undo ${context.jobId}`,
    })
    return true
  }
  return false
}

import { rm } from 'node:fs/promises'
import { CloudError } from '../clouds/errors.ts'
import type { AbortOptions } from '../core/abort.ts'
import type { Resource } from '../jobs/job.ts'
import { applyRedoLog, hasBegun } from '../transfer/redo-log.ts'
import type { CloudAccess } from './cloud-access.ts'
import { isSnapshotKey } from './take-snapshot.ts'

/**
 * Removes what a job made and no longer wants: by its id, or by the key it was to be made with when the job was
 * interrupted before it learned the id. What is gone already counts as released.
 */
export async function releaseResource(
  clouds: CloudAccess,
  resource: Resource,
  options: AbortOptions = {},
): Promise<void> {
  if (resource.kind === 'file') {
    if (resource.id) await rm(resource.id, { recursive: true, force: true })
    return
  }
  if (resource.kind === 'redo') {
    if (resource.id) await finishOrDrop(resource.id)
    return
  }
  const cloud = await clouds.get(resource.cloud)
  const service = resource.kind === 'image' ? cloud.images : cloud.instances
  // Some clouds take a snapshot in several pieces; other images are never that, and need no other service.
  if (isSnapshotKey(resource.key)) await cloud.instances.releaseSnapshot(resource.key, options)
  const id = resource.id ?? (await service.findByKey(resource.key, options))?.id
  if (!id) return
  try {
    if (resource.kind === 'image') {
      await cloud.images.update(id, { protected: false }, options)
      await cloud.images.delete(id, options)
    } else {
      await cloud.instances.terminate(id, options)
    }
  } catch (error) {
    const gone = error instanceof CloudError && /_NOT_FOUND$/.test(error.code)
    if (!gone) throw error
  }
}

/** A file that is half changed is neither the old one nor the new one, and only the way to the new one is known. */
async function finishOrDrop(folder: string): Promise<void> {
  if (await hasBegun(folder)) await applyRedoLog(folder)
  await rm(folder, { recursive: true, force: true })
}

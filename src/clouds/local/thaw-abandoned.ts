import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { isFrozen, thawForgotten } from './guest-agent.ts'
import { isLocalId } from './local-folder.ts'
import type { LocalStores } from './local-images.ts'
import { processState } from './machine-process.ts'
import { type Lock, tryLock } from './object-lock.ts'

/** Thaws the guests of processes that were killed while they took a snapshot; leaves those alone that are at work. */
export async function thawAbandoned({ folder, instances }: LocalStores): Promise<void> {
  for (const id of (await readdir(folder.instances)).filter(isLocalId)) {
    const path = instances.pathOf(id)
    if (!(await isFrozen(path))) continue
    let lock: Lock | null = null
    try {
      lock = await tryLock(join(path, 'lock'))
      if (lock !== null && (await processState(path, id)).state === 'running') await thawForgotten(path)
    } catch {
      // The instance has just been terminated; or else the next thing done with it tries again, and is where the
      // failure belongs.
    } finally {
      lock?.release()
    }
  }
}

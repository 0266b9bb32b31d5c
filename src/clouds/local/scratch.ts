import { randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { systemErrorCode } from '../../transfer/errors.ts'
import type { LocalFolder } from './local-folder.ts'
import { acquireLock, tryLock } from './object-lock.ts'

/** Between making a scratch folder, making its lock and taking it lie moments in which a sweep must not take it. */
const unlockedAge = 60_000
const lockedAge = 1000

/** Runs `run` with a new empty folder on the same file system as everything else, and removes the folder afterwards. */
export async function withScratch<T>(folder: LocalFolder, run: (path: string) => Promise<T>): Promise<T> {
  const path = join(folder.scratch, randomUUID())
  await mkdir(path, { mode: 0o700 })
  const lock = await acquireLock(join(path, 'lock'), { what: path })
  try {
    return await run(path)
  } finally {
    lock.release()
    await rm(path, { recursive: true, force: true })
  }
}

/** Makes the folder of a thing disappear at once, then deletes it. A folder that is not there is no error. */
export async function discardFolder(folder: LocalFolder, path: string): Promise<void> {
  const discarded = join(folder.scratch, randomUUID())
  try {
    await rename(path, discarded)
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return
    throw error
  }
  await rm(discarded, { recursive: true, force: true })
}

/** Removes what processes that no longer run left in the scratch folder. */
export async function sweepScratch(folder: LocalFolder): Promise<void> {
  for (const name of await readdir(folder.scratch)) {
    const path = join(folder.scratch, name)
    if (await isAbandoned(path)) await rm(path, { recursive: true, force: true })
  }
}

async function isAbandoned(path: string): Promise<boolean> {
  try {
    const lockPath = join(path, 'lock')
    const age = Date.now() - (await stat(path)).mtimeMs
    if (age < lockedAge || (age < unlockedAge && !existsSync(lockPath))) return false
    const lock = await tryLock(lockPath)
    lock?.release()
    return lock !== null
  } catch (error) {
    // Its owner, or another sweep, has just removed it.
    if (systemErrorCode(error) !== undefined) return false
    throw error
  }
}

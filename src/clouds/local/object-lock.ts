import { stat } from 'node:fs/promises'
import { DatabaseSync } from 'node:sqlite'
import { type AbortOptions, sleep, throwIfCancelled } from '../../core/abort.ts'
import { systemErrorCode } from '../../transfer/errors.ts'
import { CloudError } from '../errors.ts'

export interface LockOptions extends AbortOptions {
  /** What is locked, for the error: `image 1234`. */
  what: string
  /** Milliseconds until the wait fails with `LOCAL_BUSY`. */
  deadline?: number
}

export interface Lock {
  release(): void
}

const defaultDeadline = 2 * 60_000

/**
 * Runs `run` while no other process, and nobody else in this one, holds the lock at `path`. The folder of `path` must
 * exist; the file is made and stays.
 *
 * The lock is SQLite's lock on an empty database, which is the kernel's advisory lock on the file: it ends with the
 * process that holds it, however that ends, so there are no stale locks to recognise. Node has no call of its own for it.
 * @throws CloudError `LOCAL_BUSY`
 */
export async function withLock<T>(path: string, options: LockOptions, run: () => Promise<T>): Promise<T> {
  const lock = await acquireLock(path, options)
  try {
    return await run()
  } finally {
    lock.release()
  }
}

/** The lock at `path`, once it is free; the caller releases it. */
export async function acquireLock(path: string, options: LockOptions): Promise<Lock> {
  const deadline = options.deadline ?? defaultDeadline
  const started = Date.now()
  for (let interval = 5; ; interval = Math.min(interval * 2, 200)) {
    throwIfCancelled(options.signal)
    const lock = await tryLock(path)
    if (lock) return lock
    if (Date.now() - started > deadline) {
      throw new CloudError(
        'LOCAL_BUSY',
        `Another process has been working on ${options.what} for too long.`,
        {
          hint: 'Try again when it has finished.',
        },
      )
    }
    await sleep(interval * (0.75 + Math.random() / 2), { signal: options.signal })
  }
}

/** The lock at `path`, or null while somebody holds it. */
export async function tryLock(path: string): Promise<Lock | null> {
  const before = await inodeOf(path)
  const database = new DatabaseSync(path, { timeout: 0 })
  const release = () => database.close()
  try {
    database.exec('BEGIN EXCLUSIVE')
  } catch (error) {
    release()
    if (isBusy(error)) return null
    throw error
  }
  // The folder of the lock may have been deleted and made anew in between: then this is the lock of nothing.
  const after = await inodeOf(path)
  if (after !== null && (before === null || before === after)) return { release }
  release()
  return null
}

function isBusy(error: unknown): boolean {
  const sqliteBusy = 5
  return error instanceof Error && 'errcode' in error && error.errcode === sqliteBusy
}

async function inodeOf(path: string): Promise<bigint | null> {
  try {
    return (await stat(path, { bigint: true })).ino
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return null
    throw error
  }
}

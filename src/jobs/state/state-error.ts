import { StateError } from '../errors.ts'

/** Gives what `attempt` gives; a failure of SQLite or of the folder becomes a StateError that names `path`. */
export function explainingStateErrors<T>(path: string, attempt: () => T): T {
  try {
    return attempt()
  } catch (error) {
    throw asStateError(error, path)
  }
}

/** The StateError that `error` stands for, or `error` itself when it is none of SQLite's and none of the folder's. */
export function asStateError(error: unknown, path: string): unknown {
  const options = { cause: error }
  switch (failureOf(error)) {
    case 'denied':
      return new StateError(
        'STATE_DENIED',
        `The state in ${path} cannot be written: permission denied or read-only.`,
        {
          ...options,
          hint: 'Give this user write permission, or choose another folder.',
        },
      )
    case 'not a folder':
      return new StateError('STATE_DENIED', `The state cannot be kept in ${path}: a file is in the way.`, {
        ...options,
        hint: 'Choose another folder, or move the file away.',
      })
    case 'full':
      return new StateError('STATE_NO_SPACE', `No space is left for the state in ${path}.`, {
        ...options,
        hint: 'Free some space, then resume the job.',
      })
    case 'busy':
      return new StateError('STATE_BUSY', `Another process keeps the state in ${path} locked.`, {
        ...options,
        hint: 'Try again; if it lasts, look for a process that hangs with "imagewright jobs list".',
      })
    case 'corrupt':
      return new StateError('STATE_CORRUPT', `The state in ${path} is damaged or is not a database.`, {
        ...options,
        hint: 'Move the file away to begin anew; jobs it knew of can then no longer be resumed or undone.',
      })
    case 'io':
      return new StateError('STATE_IO_FAILED', `Reading or writing the state in ${path} failed.`, {
        ...options,
        hint: "Look into the system's log for disk errors.",
      })
    default:
      return error
  }
}

/** Whether `error` is SQLite's word for a lock held by somebody else. */
export function isBusy(error: unknown): boolean {
  return failureOf(error) === 'busy'
}

type Failure = 'denied' | 'not a folder' | 'full' | 'busy' | 'corrupt' | 'io'

function failureOf(error: unknown): Failure | undefined {
  if (!(error instanceof Error)) return undefined
  // OpenWorkflow wraps what its connection throws.
  if (!('code' in error)) return error.cause === undefined ? undefined : failureOf(error.cause)
  switch (error.code) {
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
    // What a recursive mkdir says of a read-only file system.
    case 'ENOENT':
      return 'denied'
    case 'ENOSPC':
    case 'EDQUOT':
      return 'full'
    case 'ENOTDIR':
    case 'EEXIST':
      return 'not a folder'
    case 'ERR_SQLITE_ERROR':
      return 'errcode' in error && typeof error.errcode === 'number'
        ? sqliteFailure(error.errcode)
        : undefined
    default:
      return undefined
  }
}

/** Result codes of SQLite (https://sqlite.org/rescode.html); the low byte is the primary code. */
function sqliteFailure(code: number): Failure | undefined {
  // SQLITE_IOERR_SHMSIZE: the shared-memory file could not grow, which only a full disk does.
  if (code === 4874) return 'full'
  switch (code & 0xff) {
    case 5: // SQLITE_BUSY
    case 6: // SQLITE_LOCKED
      return 'busy'
    case 3: // SQLITE_PERM
    case 8: // SQLITE_READONLY
    case 14: // SQLITE_CANTOPEN
      return 'denied'
    case 13: // SQLITE_FULL
      return 'full'
    case 11: // SQLITE_CORRUPT
    case 26: // SQLITE_NOTADB
      return 'corrupt'
    case 10: // SQLITE_IOERR
      return 'io'
    default:
      return undefined
  }
}

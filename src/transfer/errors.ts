import { ImagewrightError } from '../core/errors.ts'

/** Every code of this room with its meaning; `docs/errors.md` is written from these tables. */
export const transferErrorCodes = {
  SOURCE_NOT_FOUND: 'The file to read does not exist.',
  SOURCE_NO_PERMISSION: 'This user may not read the file.',
  SOURCE_NOT_A_FILE: 'What is to be read is neither a regular file nor a block device.',
  SOURCE_UNREADABLE: 'Reading the file failed, for example because of a bad sector.',
  SOURCE_CHANGED: 'What is read shrank or was changed meanwhile.',
  SOURCE_INTERRUPTED: 'The connection to what is read broke again and again.',
  SOURCE_ANSWER_INVALID: 'A server gave other bytes than the ones it was asked for.',
  OUTPUT_EXISTS: 'Something of this name exists already and overwriting was not asked for.',
  OUTPUT_FOLDER_MISSING: 'The folder that is to hold the output does not exist.',
  OUTPUT_NOT_A_FILE: 'The output name belongs to something that is not a regular file.',
  OUTPUT_NO_PERMISSION: 'This user may not write the output.',
  OUTPUT_NO_SPACE: 'The file system or the quota that holds the output is full.',
  OUTPUT_TOO_LARGE: 'The file system does not take a file of this size.',
  OUTPUT_CHANGED: 'The file that is to be changed was changed or replaced by somebody else meanwhile.',
  OUTPUT_CLOSED: 'The reader of a pipe or connection went away before everything was written.',
  OUTPUT_FAILED: 'Writing the output failed.',
  HASHING_FAILED: 'The thread that computes digests failed.',
} as const

export class TransferError extends ImagewrightError<keyof typeof transferErrorCodes> {}

/** The TransferError for a system error that came up while `name` was opened or read. */
export function sourceError(error: unknown, name: string): unknown {
  switch (systemErrorCode(error)) {
    case undefined:
      return error
    case 'ENOENT':
    case 'ENOTDIR':
      return new TransferError('SOURCE_NOT_FOUND', `${name} does not exist.`, { cause: error })
    case 'EACCES':
    case 'EPERM':
      return new TransferError('SOURCE_NO_PERMISSION', `No permission to read ${name}.`, {
        hint: 'Read it as a user who may, or change its mode.',
        cause: error,
      })
    case 'ENXIO':
    case 'ENODEV':
      return new TransferError('SOURCE_NOT_A_FILE', `${name} is not a regular file or block device.`, {
        cause: error,
      })
    default:
      return new TransferError('SOURCE_UNREADABLE', `Reading ${name} failed: ${messageOf(error)}`, {
        cause: error,
      })
  }
}

/** The TransferError for a system error that came up while `name` was created, written or finished. */
export function outputError(error: unknown, name: string): unknown {
  switch (systemErrorCode(error)) {
    case undefined:
      return error
    case 'EEXIST':
      return outputExists(name, error)
    case 'ENOENT':
    case 'ENOTDIR':
      return new TransferError('OUTPUT_FOLDER_MISSING', `The folder of ${name} does not exist.`, {
        hint: 'Create the folder first.',
        cause: error,
      })
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new TransferError('OUTPUT_NO_PERMISSION', `No permission to write ${name}.`, {
        hint: 'Write to another folder, or as a user who may.',
        cause: error,
      })
    case 'ENOSPC':
    case 'EDQUOT':
      return new TransferError('OUTPUT_NO_SPACE', `No space left to write ${name}.`, {
        hint: 'Free some space or write to another file system.',
        cause: error,
      })
    case 'EFBIG':
      return new TransferError('OUTPUT_TOO_LARGE', `${name} would be larger than its file system allows.`, {
        cause: error,
      })
    case 'EPIPE':
    case 'ECONNRESET':
    case 'ERR_STREAM_DESTROYED':
    case 'ERR_STREAM_PREMATURE_CLOSE':
    case 'ERR_STREAM_WRITE_AFTER_END':
      return outputClosed(name, error)
    default:
      return new TransferError('OUTPUT_FAILED', `Writing ${name} failed: ${messageOf(error)}`, {
        cause: error,
      })
  }
}

export function outputExists(name: string, cause?: unknown): TransferError {
  return new TransferError('OUTPUT_EXISTS', `${name} exists already.`, {
    hint: 'Choose another name, or ask for it to be overwritten.',
    cause,
  })
}

export function outputClosed(name: string, cause?: unknown): TransferError {
  return new TransferError(
    'OUTPUT_CLOSED',
    `The reader of ${name} went away before everything was written.`,
    {
      cause,
    },
  )
}

/** `ENOSPC` and the like; undefined for what did not come from the system. */
export function systemErrorCode(error: unknown): string | undefined {
  if (error instanceof ImagewrightError || !(error instanceof Error) || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

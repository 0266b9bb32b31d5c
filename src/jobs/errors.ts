import { ImagewrightError } from '../core/errors.ts'

/** Every code of this room with its meaning; `docs/errors.md` is written from these tables. */
export const jobErrorCodes = {
  JOB_NOT_FOUND: 'There is no job with this id.',
  JOB_AMBIGUOUS: 'More than one job has an id that begins like this.',
  JOB_RUNNING: 'The job is being run by a process that is alive.',
  JOB_DONE: 'The job is done: there is nothing to resume, cancel or undo.',
  JOB_UNDONE: 'The job was cancelled or undone, or its undoing has begun; it cannot be resumed.',
  JOB_INTERRUPTED: 'The job was stopped at once; it can be resumed or undone.',
  JOB_UNDO_INCOMPLETE: 'Something the job made could not be released; the undo can be repeated.',
  JOB_OPERATION_UNKNOWN: 'This version of Imagewright has no operation of the name the job was started with.',
  JOB_INPUT_INVALID: 'What the job was asked to do is incomplete or contradictory.',
  JOB_CRASHED: 'The job ended with an error that Imagewright did not foresee.',
  JOB_RESOURCE_LEFT: 'A finished job had left something behind that is not part of its result.',
} as const

export class JobError extends ImagewrightError<keyof typeof jobErrorCodes> {}

/** Codes of the folder that holds the jobs' state. */
export const stateErrorCodes = {
  STATE_DENIED: 'The state folder cannot be read or written by this user.',
  STATE_NO_SPACE: 'The disk that holds the state folder is full.',
  STATE_BUSY: 'Another process kept the state locked for too long.',
  STATE_CORRUPT: 'A file in the state folder is damaged or is not a database.',
  STATE_NEWER: 'The state was written by a newer version of Imagewright.',
  STATE_IO_FAILED: 'The disk that holds the state folder failed to read or write.',
} as const

export class StateError extends ImagewrightError<keyof typeof stateErrorCodes> {}

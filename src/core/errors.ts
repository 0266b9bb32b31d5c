/** What an error may carry beside its message. */
export interface ImagewrightErrorOptions {
  /** What the reader can do about it, as one sentence. */
  hint?: string
  cause?: unknown
  /** Facts for programs: offsets, names, counts. Never file content, never a secret. */
  details?: Readonly<Record<string, unknown>>
}

/**
 * An error a user can reach. `code` is stable and documented in `docs/errors.md`; a programmer's mistake is a
 * plain `Error` instead.
 */
export class ImagewrightError<Code extends string = string> extends Error {
  readonly code: Code
  readonly hint: string | undefined
  readonly details: Readonly<Record<string, unknown>>

  constructor(code: Code, message: string, options: ImagewrightErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = new.target.name
    this.code = code
    this.hint = options.hint
    this.details = options.details ?? {}
  }
}

/** Every code of this room with its meaning; `docs/errors.md` is written from these tables. */
export const coreErrorCodes = {
  CANCELLED: 'The operation was cancelled before it finished.',
  TIMED_OUT: 'Something that was waited for did not happen before its deadline.',
  SIZE_INVALID: 'A size was not a number with an optional unit such as 64K, 10G or 1.5GiB.',
  PROGRAM_MISSING: 'A program this job needs is not installed.',
  PROGRAM_FAILED: 'An external program ended with an error.',
  PROGRAM_TIMED_OUT: 'An external program did not finish in its time limit and was stopped.',
} as const

export class CoreError extends ImagewrightError<keyof typeof coreErrorCodes> {}

/** Whether `error` stands for a cancellation: ours, or the AbortError of the platform. */
export function isCancellation(error: unknown): boolean {
  if (error instanceof ImagewrightError) return error.code === 'CANCELLED'
  return error instanceof Error && error.name === 'AbortError'
}

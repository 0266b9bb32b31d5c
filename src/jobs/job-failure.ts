import { ImagewrightError } from '../core/errors.ts'
import type { JobFailure } from './job-record.ts'

/** What is stored and shown of an error: code, message and hint of ours; `JOB_CRASHED` for any other. */
export function describeFailure(error: unknown): JobFailure {
  if (error instanceof ImagewrightError) {
    return { code: error.code, message: error.message, ...(error.hint ? { hint: error.hint } : {}) }
  }
  return { code: 'JOB_CRASHED', message: error instanceof Error ? error.message : String(error) }
}

import { writeSync } from 'node:fs'
import { ImagewrightError, isCancellation } from '../core/errors.ts'
import { toJson } from './render/json.ts'
import { printableLines } from './render/printable.ts'

export const exitCodes = { done: 0, failed: 1, usage: 2, interrupted: 130 } as const

/** Codes that mean the command line itself was wrong. */
const usageCodes: ReadonlySet<string> = new Set([
  'REFERENCE_INVALID',
  'SIZE_INVALID',
  'INPUT_INVALID',
  'FORMAT_UNKNOWN',
  'JOB_INPUT_INVALID',
  'CLEANING_PROFILE_UNKNOWN',
  'CLEANING_PROFILE_INVALID',
  'CLEANING_ACCOUNT_INVALID',
  'CLEANING_KEY_INVALID',
  'CLEANING_OPERATION_UNKNOWN',
  'CLEANING_PATTERN_INVALID',
])

export function exitCodeOf(error: unknown): number {
  if (isCancellation(error)) return exitCodes.interrupted
  if (error instanceof ImagewrightError && usageCodes.has(error.code)) return exitCodes.usage
  return exitCodes.failed
}

/** An error as `--json` shows it. */
export function describeError(error: unknown): {
  code: string
  message: string
  hint?: string
  details?: object
} {
  if (error instanceof ImagewrightError) {
    return {
      code: error.code,
      message: error.message,
      ...(error.hint ? { hint: error.hint } : {}),
      ...(Object.keys(error.details).length > 0 ? { details: error.details } : {}),
    }
  }
  return { code: 'INTERNAL', message: error instanceof Error ? error.message : String(error) }
}

/**
 * Prints an error: for people on stderr, as one JSON document on stdout with `--json`. An error that is not ours is a
 * fault of the program, so its stack is shown.
 */
export async function printError(
  error: unknown,
  { json, verbose }: { json: boolean; verbose: boolean },
): Promise<void> {
  if (json) {
    process.stdout.write(`${toJson({ error: describeError(error) }, 2)}\n`)
    return
  }
  const { code, message, hint } = describeError(error)
  const lines = [`imagewright: ${message} [${code}]`]
  if (hint) lines.push(`  ${hint}`)
  const isOurs = error instanceof ImagewrightError
  if (error instanceof Error && (verbose || !isOurs)) lines.push(error.stack ?? '', ...causesOf(error))
  // Synchronous: the process may be about to end.
  writeSync(2, `${printableLines(lines.join('\n'))}\n`)
}

function causesOf(error: Error): string[] {
  const causes: string[] = []
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause)
    causes.push(`caused by: ${cause.stack}`)
  return causes
}

import { ImagewrightError, isCancellation } from '../core/errors.ts'
import type { CloudCheck } from './cloud.ts'

/** One row of a check: what `attempt` gives is its detail, what it throws is why not. Only a cancellation gets through. */
export async function checkRow(
  capability: string,
  attempt: () => Promise<string | undefined>,
): Promise<CloudCheck> {
  try {
    const detail = await attempt()
    return { capability, allowed: true, ...(detail ? { detail } : {}) }
  } catch (error) {
    if (isCancellation(error)) throw error
    return { capability, allowed: false, detail: detailOf(error) }
  }
}

export function detailOf(error: unknown): string {
  if (error instanceof ImagewrightError && error.hint) return `${error.message} ${error.hint}`
  return error instanceof Error ? error.message : String(error)
}

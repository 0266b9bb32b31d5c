import { sleep } from '../core/abort.ts'
import { ImagewrightError } from '../core/errors.ts'
import type { JobContext } from '../jobs/job.ts'

const tries = 3

/** What a broken connection, an overloaded server or a damaged packet leads to, after the retries of single requests. */
const wireErrors = new Set(['CLOUD_UNREACHABLE', 'CLOUD_FAILED', 'IMAGE_CORRUPT', 'SOURCE_INTERRUPTED'])

/**
 * Runs a transfer up to three times while it breaks on the wire, with a pause in between. `attempt` starts from nothing
 * each time. Everything else fails at once.
 */
export async function retryTransfer<T>(context: JobContext, attempt: () => Promise<T>): Promise<T> {
  for (let number = 1; ; number += 1) {
    try {
      return await attempt()
    } catch (error) {
      if (!mayPass(error) || number === tries || context.signal.aborted) throw error
      context.emit({
        type: 'warning',
        code: 'TRANSFER_RETRIED',
        message: `The transfer broke and is started again (try ${number + 1} of ${tries}): ${error.message}`,
      })
      await sleep(1_000 * 4 ** (number - 1) * (0.75 + Math.random() / 2), context)
    }
  }
}

function mayPass(error: unknown): error is ImagewrightError {
  if (!(error instanceof ImagewrightError)) return false
  return wireErrors.has(error.code) || isTokenRefused(error)
}

/** A token that ended before its time, with data under way that cannot be sent again. The next attempt has a new one. */
function isTokenRefused({ code, details }: ImagewrightError): boolean {
  return (
    code === 'CLOUD_SIGN_IN_FAILED' && typeof details.service === 'string' && details.service !== 'identity'
  )
}

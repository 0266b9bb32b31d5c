import { throwIfCancelled } from '../core/abort.ts'

/**
 * Waits for `promise`, or throws `CANCELLED` as soon as the signal fires. What the promise stands for goes on; the
 * caller stops it.
 */
export async function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise
  const aborted = Promise.withResolvers<never>()
  const listener = () => {
    try {
      throwIfCancelled(signal)
    } catch (error) {
      aborted.reject(error)
    }
  }
  signal.addEventListener('abort', listener, { once: true })
  if (signal.aborted) listener()
  try {
    return await Promise.race([aborted.promise, promise])
  } finally {
    signal.removeEventListener('abort', listener)
  }
}

import { setTimeout as delay } from 'node:timers/promises'
import { CoreError } from './errors.ts'

/** Options every asynchronous call of the project takes. */
export interface AbortOptions {
  signal?: AbortSignal | undefined
}

/** Throws `CANCELLED` when the signal has fired. */
export function throwIfCancelled(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw cancelled(signal)
}

/** Waits `milliseconds`, or throws `CANCELLED` as soon as the signal fires. */
export async function sleep(milliseconds: number, { signal }: AbortOptions = {}): Promise<void> {
  throwIfCancelled(signal)
  try {
    await delay(milliseconds, undefined, signal ? { signal } : {})
  } catch (error) {
    if (signal?.aborted) throw cancelled(signal)
    throw error
  }
}

export interface PollOptions<T> extends AbortOptions {
  /** What is waited for, in words: it ends up in the error. */
  what: string
  /** Milliseconds until the wait fails with `TIMED_OUT`. */
  deadline: number
  /** Milliseconds between the first two attempts; doubles up to `maximumInterval`. */
  interval?: number
  maximumInterval?: number
  /** Gives the value when it is there, `undefined` to wait on; a throw ends the wait. */
  attempt: () => Promise<T | undefined>
}

/** Polls with exponential back-off and jitter until `attempt` gives a value. */
export async function poll<T>(options: PollOptions<T>): Promise<T> {
  const started = Date.now()
  let interval = options.interval ?? 100
  for (;;) {
    throwIfCancelled(options.signal)
    const value = await options.attempt()
    if (value !== undefined) return value
    const left = options.deadline - (Date.now() - started)
    if (left <= 0) {
      throw new CoreError('TIMED_OUT', `Waited ${Math.round(options.deadline / 1000)} s for ${options.what}.`)
    }
    const jittered = interval * (0.75 + Math.random() / 2)
    await sleep(Math.min(jittered, left), { signal: options.signal })
    interval = Math.min(interval * 2, options.maximumInterval ?? 5_000)
  }
}

function cancelled(signal: AbortSignal): CoreError {
  return new CoreError('CANCELLED', 'Cancelled.', { cause: signal.reason })
}

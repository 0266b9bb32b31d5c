import { type AbortOptions, throwIfCancelled } from '../core/abort.ts'
import type { ByteSink } from './byte-sink.ts'

/**
 * Runs `write` with the sink, then finishes it; when either fails or the signal fires, the sink is aborted and
 * nothing of it stays. Gives what `write` gives: to publish only what was verified, verify in `write`.
 */
export async function useSink<Sink extends ByteSink, Result>(
  sink: Sink,
  write: (sink: Sink) => Promise<Result>,
  { signal }: AbortOptions = {},
): Promise<Result> {
  try {
    const result = await write(sink)
    throwIfCancelled(signal)
    await sink.finish({ signal })
    return result
  } catch (error) {
    // The first error is the one to report: a failing abort adds nothing to it.
    await sink.abort().catch(() => undefined)
    throw error
  }
}

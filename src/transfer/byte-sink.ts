import type { AbortOptions } from '../core/abort.ts'

/**
 * Where container bytes go, in order: an HTTP body, a pipe, a tar member, a file. Nothing is visible under its
 * name before `finish` has returned; `abort` leaves nothing behind and may be called at any time, also twice.
 * Whoever made a sink finishes or aborts it (see `useSink`); a writer of a format only writes.
 */
export interface ByteSink {
  readonly name: string
  /** Takes the bytes over: the caller may reuse `chunk` when the promise has settled. */
  write(chunk: Uint8Array, options?: AbortOptions): Promise<void>
  /**
   * As `write` of `length` zeros, for sinks that can do it cheaper, for example by leaving a hole. Callers use the
   * function `writeZeros`, which knows what to do without it.
   */
  writeZeros?(length: number, options?: AbortOptions): Promise<void>
  finish(options?: AbortOptions): Promise<void>
  abort(): Promise<void>
}

/** A sink that takes any range in any order; ranges never written are zeros. */
export interface SeekableSink extends ByteSink {
  writeAt(chunk: Uint8Array, position: number, options?: AbortOptions): Promise<void>
  /** Sets the final length, in bytes. */
  truncate(size: number): Promise<void>
}

export function isSeekable(sink: ByteSink): sink is SeekableSink {
  return 'writeAt' in sink
}

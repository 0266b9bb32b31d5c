import type { AbortOptions } from '../core/abort.ts'

/**
 * Where container bytes go, in order: an HTTP body, a pipe, a tar member, a file. Nothing is visible under its
 * name before `finish` has returned; `abort` leaves nothing behind and may be called at any time, also twice.
 */
export interface ByteSink {
  readonly name: string
  /** Takes the bytes over: the caller may reuse `chunk` when the promise has settled. */
  write(chunk: Uint8Array, options?: AbortOptions): Promise<void>
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

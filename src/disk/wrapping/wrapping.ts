import type { AbortOptions } from '../../core/abort.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import type { SafetyCheckResult, SafetyLimits } from '../safety/verdict.ts'

/** What a disk image may be wrapped in, by what it is to whoever unwraps it: an OVA is more than a tar archive. */
export type WrappingName = 'gzip' | 'xz' | 'zstd' | 'tar' | 'ova'

/** What takes a wrapping off. A folder per wrapping has one. */
export interface Wrapping {
  /**
   * The wrapping's own checks, and the image inside when none of them refused. What is wrong comes in the results;
   * thrown are only errors of reading, and `CANCELLED`. The source stays open.
   */
  unwrap(source: RandomAccessSource, options: UnwrapOptions): Promise<Unwrapped>
}

export interface UnwrapOptions extends AbortOptions {
  readonly limits: SafetyLimits
}

export interface Unwrapped {
  /** What it was, for the verdict. */
  readonly wrapping: WrappingName
  readonly checks: SafetyCheckResult[]
  /**
   * The image inside, which may be wrapped itself; null when a check refused. Closing it frees what unwrapping took and
   * leaves the source open.
   */
  readonly image: RandomAccessSource | null
  /** The disk format it must have, where the wrapping says so: the member `disk.raw` of a GCP archive is raw. */
  readonly format?: string
}

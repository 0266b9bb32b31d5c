import type { AbortOptions } from '../../core/abort.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import type { ContainerProof } from '../container-proof.ts'
import type { Appliance } from '../ova/appliance.ts'
import type { SafetyCheckResult, SafetyLimits } from '../safety/verdict.ts'

/**
 * What a disk image may be wrapped in, by what it is to whoever unwraps it: an OVA is more than a tar archive, and `ovf` is
 * the same in a folder.
 */
export type WrappingName = 'gzip' | 'xz' | 'zstd' | 'tar' | 'ova' | 'ovf'

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
  /** Of an appliance: the disk that is wanted, by its number from 1, its id or the name of its file. */
  readonly disk?: string | undefined
  /** Folder within which other files may be opened; none are when it is absent. */
  readonly allowOtherFilesWithin?: string | undefined
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
  /** What an appliance says about itself; also when a check refused. */
  readonly appliance?: Appliance | null
  /** Where the wrapping brings digests of what is in it. */
  readonly proof?: ContainerProof | null
}

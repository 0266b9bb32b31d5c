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

/** What a caller may say about images that have to be decompressed; of no consequence for others. */
export interface UnwrapWishes extends AbortOptions {
  /**
   * How the disk will be read: front to end, which needs no scratch space, or in any order, for which everything goes to
   * a temporary file in the first pass. Default `sequential`; reads that go back again and again make it `random`.
   */
  readonly access?: 'sequential' | 'random'
  /** Folder for the temporary file, which has no name and goes away with the process. Default: TMPDIR or `/var/tmp`. */
  readonly scratchFolder?: string
  /** Told when a temporary file is begun, and how many bytes of it are known to be needed. */
  readonly onScratch?: (scratch: { readonly name: string; readonly size: number }) => void
  /** Compressed bytes that the first pass has taken, and all of them: the one part of opening that can take long. */
  readonly onProgress?: (done: number, total: number) => void
}

export interface UnwrapOptions extends UnwrapWishes {
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

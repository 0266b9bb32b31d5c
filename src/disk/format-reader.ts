import type { AbortOptions } from '../core/abort.ts'
import type { RandomAccessSource } from '../transfer/byte-source.ts'
import type { Disk } from './disk.ts'
import type { SafetyCheckResult, SafetyLimits } from './safety/verdict.ts'

/** What is needed of a container format to let an image of it in. A folder per format has one. */
export interface FormatReader {
  /**
   * The format's own checks, then those of the guest's disk inside; the next group only when the one before refused
   * nothing. What is wrong comes in the results; thrown are only errors of reading, and `CANCELLED`. The source stays open.
   */
  check(source: RandomAccessSource, options: CheckContainerOptions): Promise<ContainerCheck>
  /** The disk of an image that was checked. Takes the source over: it is closed with the disk. */
  open(source: RandomAccessSource, options: OpenContainerOptions): Promise<Disk>
}

export interface CheckContainerOptions extends AbortOptions {
  /** Other files that the image names pass with a warning, for a caller who opens them only where that is safe. */
  readonly allowOtherFiles: boolean
  readonly limits: SafetyLimits
}

export interface ContainerCheck {
  /** Bytes of the guest's disk; null when that was not reached. */
  readonly virtualSize: number | null
  /** The kind of the image by its field's own name, where the format has several. */
  readonly subformat?: string
  readonly checks: SafetyCheckResult[]
}

export interface OpenContainerOptions extends AbortOptions {
  /** Folder within which other files that the image names may be opened; refused when absent. */
  allowOtherFilesWithin?: string | undefined
}

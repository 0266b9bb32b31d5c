import type { diskErrorCodes } from '../errors.ts'
import type { WrappingName } from '../wrapping/wrapping.ts'

export type DiskErrorCode = keyof typeof diskErrorCodes

/** What one named check found. A check that found several things gives several results. */
export interface SafetyCheckResult {
  /** Stable name, as `qcow2.l2_tables`. */
  readonly name: string
  readonly outcome: 'passed' | 'warning' | 'refused'
  /** Absent when the check passed. */
  readonly code?: DiskErrorCode
  readonly message: string
  /** Where it was found: bytes from the start of the file, or of the guest's disk for `partition.…` and `guest.…`. */
  readonly offset?: number
}

/** Whether an image may be handled, and why. Data, so that it can be shown, stored and compared. */
export interface SafetyVerdict {
  /** No check refused. */
  readonly accepted: boolean
  /** What the image is to be read as, wrapping and all (`raw.gz`, `gcp`); `unknown` when several formats claim it. */
  readonly format: string
  /** What the disk is wrapped in, outermost first; empty when it is bare. */
  readonly wrapping: readonly WrappingName[]
  /** Bytes of the guest's disk; null when the image does not say or was refused before that was known. */
  readonly virtualSize: number | null
  /** The kind of the image by its field's own name, where its format has several and that was reached. */
  readonly subformat?: string
  readonly checks: readonly SafetyCheckResult[]
}

/** What the checks allow at most. */
export interface SafetyLimits {
  /** Bytes of the guest's disk. */
  readonly virtualSize: number
  /** Bytes out for one byte of compressed clusters in; only held against images that expand to more than 256 MiB. */
  readonly expansionRatio: number
  /** Bytes of tables that are read. A qcow2 image of 16 TiB, all of it allocated, has 2 GiB. */
  readonly tableBytes: number
  /** Bytes of memory for the references to clusters: two per cluster of the file. */
  readonly memoryBytes: number
}

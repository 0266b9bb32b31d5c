import type { AuditReport } from '../audit/finding.ts'
import type { GuestWarning } from '../warnings.ts'
import type { PlanEntry } from './plan.ts'

/** What was done to a guest. JSON. */
export interface CleaningReport {
  readonly profile: string
  /** False when there was nothing to do, and nothing was done. */
  readonly changed: boolean
  /** Each operation that was looked at, with how much it did. */
  readonly operations: readonly OperationReport[]
  readonly entries: readonly PlanEntry[]
  readonly warnings: readonly GuestWarning[]
  /** What an audit of the cleaned guest found; `null` before there was one. */
  readonly audit: AuditReport | null
}

export interface OperationReport {
  readonly id: string
  readonly title: string
  /** Paths changed. */
  readonly paths: number
  readonly bytes: number
}

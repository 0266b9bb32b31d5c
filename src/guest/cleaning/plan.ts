import type { FileKind } from '../filesystem/filesystem.ts'
import type { GuestWarning } from '../warnings.ts'
import type { ContentName } from './contents.ts'
import type { EditorName } from './editors.ts'
import type { ProfileName } from './select-operations.ts'

/** One change to one file. Paths are absolute in the guest, without links. */
export type PlanEntry = PlanRemove | PlanTruncate | PlanEdit | PlanWrite

interface PlanEntryBase {
  /** Id of the operation; `exclude` for what the caller named. */
  readonly operation: string
  readonly path: string
  /** Bytes that go: the size of what is removed or emptied, the difference for an edit. */
  readonly bytes: number
}

export interface PlanRemove extends PlanEntryBase {
  readonly action: 'remove'
  readonly kind: FileKind
}

export interface PlanTruncate extends PlanEntryBase {
  readonly action: 'truncate'
}

export interface PlanEdit extends PlanEntryBase {
  readonly action: 'edit'
  readonly editor: EditorName
}

export interface PlanWrite extends PlanEntryBase {
  readonly action: 'write'
  readonly content: ContentName
}

/** Something that had to be done and cannot be; applying the plan fails because of it. */
export interface PlanProblem {
  readonly operation: string
  readonly path: string
  readonly message: string
}

/** What cleaning will do to one guest, complete and in order. JSON; made without changing anything. */
export interface CleaningPlan {
  readonly profile: ProfileName
  /** Ids of the operations that were looked at, in order. */
  readonly operations: readonly string[]
  readonly entries: readonly PlanEntry[]
  readonly problems: readonly PlanProblem[]
  readonly warnings: readonly GuestWarning[]
}

import type { FileAttributes, FileKind } from '../filesystem/filesystem.ts'
import type { GuestWarning } from '../warnings.ts'
import type { FixedContent } from './contents.ts'
import type { Edit } from './editors.ts'

/**
 * One change to one file. Paths are absolute in the guest, without links. A path has one entry, except that several
 * edits of it follow each other.
 */
export type PlanEntry = PlanRemove | PlanTruncate | PlanEdit | PlanWrite | PlanMakeDirectory

interface PlanEntryBase {
  /** Id of the operation, one of the catalogue or of those that options make. */
  readonly operation: string
  readonly path: string
  /** Bytes that go: the size of what is removed or emptied, the difference for an edit. */
  readonly bytes: number
  /** Of the content that goes, when that was asked for and there is one. */
  readonly sha256?: string
}

export interface PlanRemove extends PlanEntryBase {
  readonly action: 'remove'
  readonly kind: FileKind
}

export interface PlanTruncate extends PlanEntryBase {
  readonly action: 'truncate'
}

export interface PlanEdit extends PlanEntryBase, Edit {
  readonly action: 'edit'
}

export interface PlanWrite extends PlanEntryBase, FixedContent {
  readonly action: 'write'
  /** Set when the file is not there yet. */
  readonly create: FileAttributes | null
}

export interface PlanMakeDirectory extends PlanEntryBase {
  readonly action: 'make-directory'
  readonly attributes: FileAttributes
}

/** Something that had to be done and cannot be; applying the plan fails because of it. */
export interface PlanProblem {
  readonly operation: string
  readonly path: string
  readonly message: string
}

/** What cleaning will do to one guest, complete and in order. JSON; made without changing anything. */
export interface CleaningPlan {
  readonly profile: string
  /** Ids of the operations that were looked at, in order. */
  readonly operations: readonly string[]
  readonly entries: readonly PlanEntry[]
  readonly problems: readonly PlanProblem[]
  readonly warnings: readonly GuestWarning[]
}

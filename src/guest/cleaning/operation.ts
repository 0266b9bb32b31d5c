import type { FileAttributes } from '../filesystem/filesystem.ts'
import type { OsFamily } from '../inspect/os-release.ts'
import type { ContentName, FixedContent } from './contents.ts'
import type { EditParameters } from './editors/editor.ts'
import type { EditorName } from './editors.ts'

/**
 * One thing cleaning can do, as data. Adding an operation is adding one of these to the catalogue, and an example
 * to `test/guest/cleaning/planted.ts`.
 */
export interface CleaningOperation {
  /** What `--enable` and `--disable` take. */
  readonly id: string
  /** One sentence for people, in the third person. */
  readonly title: string
  /** Whether the `default` profile has it. */
  readonly default: boolean
  /** Whether the `minimal` profile has it: what must differ between two clones, and nothing else. */
  readonly minimal?: true
  /** Whether the `strict` profile has it beside those of `default`. */
  readonly strict?: true
  /** Whether the `atmosphere` profile has it beside those of `default`. */
  readonly atmosphere?: true
  /** What somebody may miss afterwards, as one sentence. */
  readonly risk?: string
  readonly actions: readonly CleaningAction[]
}

export type CleaningAction = (
  | RemoveAction
  | EmptyAction
  | TruncateAction
  | EditAction
  | WriteAction
  | MakeDirectoryAction
  | RemoveAccountsAction
  | AuthorizeKeysAction
) &
  ActionConditions

/** Patterns are those of `parsePattern`: `*` within a name, `**` across directories, `{home}` for every home. */
export interface RemoveAction {
  readonly remove: readonly string[]
  readonly except?: readonly string[]
  /** Leaves directories that match, and what is in them. */
  readonly filesOnly?: true
}

/** Removes all a directory holds, files with a leading dot too; the directory keeps inode, mode and owner. */
export interface EmptyAction {
  readonly empty: readonly string[]
}

/** Makes regular files empty; inode, owner, mode and extended attributes stay. */
export interface TruncateAction {
  readonly truncate: readonly string[]
}

/** Rewrites files with one of the structured editors, record by record. */
export interface EditAction {
  readonly edit: readonly string[]
  readonly editor: EditorName
  readonly parameters?: EditParameters
  /** A file that is not understood stops the cleaning instead of being left with a warning. */
  readonly essential?: true
}

/** Gives files a fixed content. */
export interface WriteAction {
  readonly write: readonly string[]
  readonly content: ContentName | FixedContent
  /** Files that do not exist are made, with this owner; their patterns are plain paths then. */
  readonly create?: Pick<FileAttributes, 'uid' | 'gid'>
}

/** Makes a directory where nothing is; its parent must be there. */
export interface MakeDirectoryAction {
  readonly makeDirectory: string
  readonly attributes: FileAttributes
}

/** Takes accounts out of the system with all that is theirs; expanded for a guest by `expandAccounts`. */
export interface RemoveAccountsAction {
  /** `people`: every account of the range that login.defs(5) gives to people. */
  readonly removeAccounts: 'people' | readonly string[]
}

/** Lets the holders of keys sign in over SSH; expanded for a guest by `expandKeys`. */
export interface AuthorizeKeysAction {
  readonly authorizeKeys: readonly AuthorizedKey[]
}

/** A public key of SSH, and the account it opens. */
export interface AuthorizedKey {
  readonly user: string
  /** One line of authorized_keys(5). */
  readonly key: string
}

export interface ActionConditions {
  /** Only in guests of these families. */
  readonly families?: readonly OsFamily[]
  /** Not in guests of these families. */
  readonly notFamilies?: readonly OsFamily[]
  /** Only where this holds; where it does not, and there is something to do, the plan has a warning. */
  readonly when?: CleaningCondition
  /** Programs that read what is removed; where the guest has none of them, nobody misses it and `when` does not matter. */
  readonly readBy?: readonly string[]
}

/** Conditions on what the guest will do by itself when a clone of it starts. */
export const cleaningConditions = {
  'cloud-init': 'cloud-init is installed and enabled',
  'cloud-init-network': 'cloud-init writes the network configuration',
  systemd: 'systemd starts the guest',
} as const

export type CleaningCondition = keyof typeof cleaningConditions

import type { AbortOptions } from '../../core/abort.ts'
import { GuestError } from '../errors.ts'
import { baseName, joinPath, parentPath } from '../guest-path.ts'
import type { GuestTree } from '../guest-tree.ts'
import type { GuestWarning } from '../warnings.ts'
import { contents, type FixedContent } from './contents.ts'
import { type AppliedEdit, applyEdit, type Edit } from './editors.ts'
import { mayFollow } from './link-policy.ts'
import { findLeftTargets } from './link-targets.ts'
import { type MatchContext, matchPattern, type PatternMatch } from './match-pattern.ts'
import {
  type CleaningAction,
  type CleaningOperation,
  cleaningConditions,
  type EditAction,
  type MakeDirectoryAction,
  type WriteAction,
} from './operation.ts'
import { type Pattern, parsePatterns } from './pattern.ts'
import type { PlanEntry, PlanProblem } from './plan.ts'
import { Claims } from './plan-claims.ts'
import { planRemoval } from './plan-removal.ts'
import { planTruncations, type TruncationCandidate } from './plan-truncations.ts'
import { accountFiles } from './profile-definition.ts'
import { type CleaningFacts, concerns, holds } from './read-facts.ts'

export interface PlanChangesOptions extends AbortOptions {
  readonly tree: GuestTree
  readonly facts: CleaningFacts
  readonly operations: readonly CleaningOperation[]
  readonly keep: readonly Pattern[]
}

export interface PlannedChanges {
  readonly entries: PlanEntry[]
  readonly problems: PlanProblem[]
  readonly warnings: GuestWarning[]
}

/**
 * Turns operations into changes. A path is changed once: writing wins over removing, removing over emptying and
 * editing, and among equals the earlier operation. The result is in the order of the operations.
 */
export async function planChanges(options: PlanChangesOptions): Promise<PlannedChanges> {
  const { tree, facts, operations, signal } = options
  const context: MatchContext = { tree, anchors: facts.anchors, homes: facts.homes, signal }
  const claims = new Claims(await keptPaths(options.keep, context))
  const planner: Planner = { ...options, context, claims, edited: new Map(), problems: [], warnings: [] }

  for (const { operation, action } of actionsOf(operations)) {
    if ('makeDirectory' in action) await planDirectory(planner, operation, action)
    if ('write' in action && (await applies(planner, operation, action)))
      await planWrite(planner, operation, action)
  }
  await planLabels(planner)
  for (const { operation, action } of actionsOf(operations)) {
    if (('remove' in action || 'empty' in action) && (await applies(planner, operation, action))) {
      for await (const match of matches(planner, operation, action)) {
        if ('remove' in action && action.filesOnly && match.kind === 'directory') continue
        await planRemoval({ path: match.path, kind: match.kind, operation, tree, claims, signal })
      }
    }
  }
  const candidates: TruncationCandidate[] = []
  for (const { operation, action } of actionsOf(operations)) {
    if ('truncate' in action && (await applies(planner, operation, action))) {
      for await (const match of matches(planner, operation, action)) candidates.push({ ...match, operation })
    }
    if ('edit' in action && (await applies(planner, operation, action)))
      await planEdit(planner, operation, action)
  }
  planner.warnings.push(...(await planTruncations({ candidates, tree, claims, signal })))
  planner.warnings.push(...(await findLeftTargets({ candidates, tree, claims, signal })))
  planner.warnings.push(...claims.keptWarnings())
  const order = new Map(operations.map((operation, index) => [operation.id, index]))
  const entries = claims
    .entries()
    .sort((one, other) => (order.get(one.operation) ?? 0) - (order.get(other.operation) ?? 0))
  return { entries, problems: planner.problems, warnings: planner.warnings }
}

interface Planner extends PlanChangesOptions {
  readonly context: MatchContext
  readonly claims: Claims
  /** Content of files after the edits planned so far. */
  readonly edited: Map<string, Uint8Array>
  readonly problems: PlanProblem[]
  readonly warnings: GuestWarning[]
}

function* actionsOf(
  operations: readonly CleaningOperation[],
): Generator<{ operation: CleaningOperation; action: CleaningAction }> {
  for (const operation of operations) {
    for (const action of operation.actions) yield { operation, action }
  }
}

async function keptPaths(keep: readonly Pattern[], context: MatchContext): Promise<string[]> {
  const paths: string[] = []
  for (const pattern of keep) {
    for await (const match of matchPattern(pattern, context)) paths.push(match.path)
  }
  return paths
}

/** A condition that does not hold is worth a warning only where there would have been something to do. */
async function applies(
  planner: Planner,
  operation: CleaningOperation,
  action: CleaningAction,
): Promise<boolean> {
  if (!concerns(action, planner.facts)) return false
  if (action.when === undefined || holds(action.when, planner.facts)) return true
  if (action.readBy && !(await hasAny(planner, action.readBy))) return true
  const left: string[] = []
  for await (const { path } of matches(planner, operation, action)) {
    if (!('edit' in action) || (await wouldChange(planner, path, action))) left.push(path)
  }
  if (left.length > 0) {
    planner.warnings.push({
      code: 'CLEANING_OPERATION_SKIPPED',
      message: `${left.join(', ')} stays (${operation.id}): it goes only where ${cleaningConditions[action.when]}.`,
    })
  }
  return false
}

async function hasAny({ tree, signal }: Planner, programs: readonly string[]): Promise<boolean> {
  for (const program of programs) {
    if ((await tree.resolve(program, { signal })) !== null) return true
  }
  return false
}

/** What the patterns of an action match, less what is excepted; a forbidden match becomes a problem instead. */
async function* matches(
  planner: Planner,
  operation: CleaningOperation,
  action: CleaningAction,
): AsyncGenerator<PatternMatch> {
  const excepted = new Set<string>()
  for (const pattern of 'remove' in action ? (action.except ?? []).flatMap(parsePatterns) : []) {
    for await (const match of matchPattern(pattern, planner.context)) excepted.add(match.path)
  }
  for (const pattern of patternsOf(action).flatMap(parsePatterns)) {
    for await (const match of matchPattern(pattern, planner.context)) {
      if (match.forbidden !== null) {
        planner.claims.unlessKept(match.path, () => forbid(planner, operation, match.path, match.forbidden))
      } else if (!excepted.has(match.path)) {
        yield match
      }
    }
  }
}

function patternsOf(action: CleaningAction): readonly string[] {
  if ('remove' in action) return action.remove
  if ('empty' in action) return action.empty.map((directory) => `${directory}/*`)
  if ('truncate' in action) return action.truncate
  if ('edit' in action) return action.edit
  return 'write' in action ? action.write : []
}

function forbid(planner: Planner, operation: CleaningOperation, path: string, target: string | null): void {
  const known = planner.problems.some(
    (problem) => problem.operation === operation.id && problem.path === path,
  )
  if (known) return
  planner.problems.push({
    operation: operation.id,
    path,
    message: `${path} is a link to ${target}, where ${operation.id} has no business.`,
  })
}

async function planWrite(planner: Planner, operation: CleaningOperation, action: WriteAction): Promise<void> {
  const content =
    typeof action.content === 'string' ? contents[action.content](planner.facts) : action.content
  let isThere = false
  for await (const match of matches(planner, operation, action)) {
    isThere = true
    const path = await editable(planner, operation, match)
    const stat = path === null ? null : await planner.tree.stat(path, planner)
    if (path === null || !stat) continue
    const { text, mode } = content
    const isSame =
      stat.size === Buffer.byteLength(text) && Buffer.from(text).equals(await contentOf(planner, path))
    if (isSame && (mode === null || stat.mode === mode)) {
      planner.claims.settle(path)
    } else {
      const entry = { operation: operation.id, action: 'write', path, bytes: stat.size } as const
      planner.claims.add({ ...entry, text, mode, create: null })
    }
  }
  if (isThere || !action.create) return
  const owner = action.create
  for (const path of action.write) await planNewFile(planner, operation, path, { ...content, owner })
}

/** A file that is not there, in a directory that has to be. */
async function planNewFile(
  planner: Planner,
  operation: CleaningOperation,
  written: string,
  { text, mode, owner }: FixedContent & { owner: NonNullable<WriteAction['create']> },
): Promise<void> {
  const parent = parentPath(written)
  const actual = (await planner.tree.resolve(parent, planner)) ?? parent
  const path = joinPath(actual, baseName(written))
  const isDirectory = (await planner.tree.stat(actual, planner))?.kind === 'directory'
  if (!isDirectory && planner.claims.get(actual)?.action !== 'make-directory') {
    const message = `${written} cannot be made: there is no directory ${parent}.`
    planner.problems.push({ operation: operation.id, path: written, message })
  } else if (!mayFollow(parent, actual, planner.facts.homes)) {
    forbid(planner, operation, written, path)
  } else {
    const create = { mode: mode ?? 0o644, ...owner }
    planner.claims.add({ operation: operation.id, action: 'write', path, bytes: 0, text, mode, create })
  }
}

async function planDirectory(
  planner: Planner,
  operation: CleaningOperation,
  { makeDirectory: path, attributes }: MakeDirectoryAction,
): Promise<void> {
  const stat = await planner.tree.stat(path, planner)
  if (stat?.kind === 'directory') return
  if (stat) {
    const message = `${path} is no directory.`
    planner.problems.push({ operation: operation.id, path, message })
  } else planner.claims.add({ operation: operation.id, action: 'make-directory', path, bytes: 0, attributes })
}

/** New files have no SELinux label, and its policy forbids their use; the guest labels everything when it finds this file. */
async function planLabels({ tree, facts, claims, signal }: Planner): Promise<void> {
  const made = claims
    .entries()
    .find((entry) => entry.action === 'make-directory' || (entry.action === 'write' && entry.create !== null))
  const path = '/.autorelabel'
  if (!made || !facts.selinux || (await tree.stat(path, { signal }))) return
  const create = { mode: 0o644, uid: 0, gid: 0 }
  claims.add({ operation: made.operation, action: 'write', path, bytes: 0, text: '', mode: null, create })
}

async function planEdit(planner: Planner, operation: CleaningOperation, action: EditAction): Promise<void> {
  const { claims, warnings, problems } = planner
  for await (const match of matches(planner, operation, action)) {
    const path = await editable(planner, operation, match)
    if (path === null || (claims.get(path)?.action ?? 'edit') !== 'edit') continue
    if (action.editor === 'lines' && accountFiles.has(path)) {
      const message = `${path} is not edited line by line, which could set a password that others know.`
      problems.push({ operation: operation.id, path, message })
      continue
    }
    const edit = editOf(planner, action)
    const { content, bytes, doubts, strange } = await edited(planner, path, edit)
    if (strange !== null) {
      const message = `${path} ${strange}; it is left as it is.`
      if (action.essential) problems.push({ operation: operation.id, path, message })
      else warnings.push({ code: 'CLEANING_FILE_NOT_UNDERSTOOD', message })
    }
    for (const doubt of doubts) {
      warnings.push({
        code: 'CLEANING_FILE_NOT_UNDERSTOOD',
        message: `${path} ${doubt}, which is left as it is.`,
      })
    }
    if (content === null) continue
    planner.edited.set(path, content)
    claims.add({ operation: operation.id, action: 'edit', path, bytes, ...edit })
  }
}

/** What an editor has to know of the guest, beside what the operation says. */
function editOf({ facts, tree }: Planner, { editor, parameters }: EditAction): Edit {
  if (editor === 'hosts-old-name') return { editor, parameters: { hostName: facts.hostName ?? '' } }
  if (editor === 'fstab-data-disks') {
    return { editor, parameters: { mounted: tree.mounts.map(({ path }) => path) } }
  }
  return { editor, parameters: parameters ?? {} }
}

async function wouldChange(planner: Planner, path: string, action: EditAction): Promise<boolean> {
  return (await edited(planner, path, editOf(planner, action))).content !== null
}

/** A file after an edit and those before it; `content` is `null` when this one changes nothing. */
async function edited(
  planner: Planner,
  path: string,
  edit: Edit,
): Promise<Omit<AppliedEdit, 'content'> & { content: Uint8Array | null }> {
  try {
    const before = planner.edited.get(path) ?? (await contentOf(planner, path))
    const applied = applyEdit(edit, before)
    return { ...applied, content: applied.content === before ? null : applied.content }
  } catch (error) {
    if (!(error instanceof GuestError && error.code === 'GUEST_FILE_TOO_LARGE')) throw error
    return { content: null, bytes: 0, doubts: [], strange: 'is too large' }
  }
}

/** The regular file that a match stands for, its link followed; its content must be its own alone. */
async function editable(
  planner: Planner,
  operation: CleaningOperation,
  match: PatternMatch,
): Promise<string | null> {
  const { tree, facts, claims, signal } = planner
  const path = match.kind === 'symlink' ? await tree.resolve(match.path, { signal }) : match.path
  const stat = path === null ? null : await tree.stat(path, { signal })
  if (path === null || stat?.kind !== 'file' || claims.isKept(path)) return null
  if (!mayFollow(match.path, path, facts.homes)) {
    forbid(planner, operation, match.path, path)
    return null
  }
  if (stat.links > 1) {
    const message = `${path} has ${stat.links} names; changing it would change files elsewhere.`
    planner.problems.push({ operation: operation.id, path, message })
    return null
  }
  return path
}

async function contentOf({ tree, signal }: Planner, path: string): Promise<Buffer> {
  return Buffer.from((await tree.read(path, { signal })) ?? new Uint8Array())
}

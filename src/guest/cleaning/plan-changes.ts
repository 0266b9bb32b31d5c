import type { AbortOptions } from '../../core/abort.ts'
import type { GuestTree } from '../guest-tree.ts'
import type { GuestWarning } from '../warnings.ts'
import { contents } from './contents.ts'
import { applyEditor } from './editors.ts'
import { mayFollow } from './link-policy.ts'
import { findLeftTargets } from './link-targets.ts'
import { type MatchContext, matchPattern, type PatternMatch } from './match-pattern.ts'
import {
  type CleaningAction,
  type CleaningOperation,
  cleaningConditions,
  type EditAction,
  type WriteAction,
} from './operation.ts'
import { type Pattern, parsePatterns } from './pattern.ts'
import type { PlanEntry, PlanProblem } from './plan.ts'
import { Claims } from './plan-claims.ts'
import { planRemoval } from './plan-removal.ts'
import { planTruncations, type TruncationCandidate } from './plan-truncations.ts'
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
  const planner: Planner = { ...options, context, claims, problems: [], warnings: [] }

  for (const { operation, action } of actionsOf(operations)) {
    if ('write' in action && (await applies(planner, operation, action)))
      await planWrite(planner, operation, action)
  }
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
    if (!('edit' in action) || (await droppedBytes(planner, path, action)) > 0) left.push(path)
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
  return 'edit' in action ? action.edit : action.write
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
  const { text, mode } = contents[action.content](planner.facts)
  for await (const match of matches(planner, operation, action)) {
    const path = await editable(planner, operation, match)
    const stat = path === null ? null : await planner.tree.stat(path, planner)
    if (path === null || !stat) continue
    const same = stat.size === text.length && (await contentOf(planner, path)).equals(Buffer.from(text))
    if (same && (mode === null || stat.mode === mode)) continue
    planner.claims.add({
      operation: operation.id,
      action: 'write',
      path,
      bytes: stat.size,
      content: action.content,
    })
  }
}

async function planEdit(planner: Planner, operation: CleaningOperation, action: EditAction): Promise<void> {
  for await (const match of matches(planner, operation, action)) {
    const path = await editable(planner, operation, match)
    if (path === null) continue
    const bytes = await droppedBytes(planner, path, action)
    if (bytes === 0) continue
    planner.claims.add({ operation: operation.id, action: 'edit', path, bytes, editor: action.editor })
  }
}

/** Bytes the editor drops; 0 when it changes nothing. */
async function droppedBytes(planner: Planner, path: string, { editor }: EditAction): Promise<number> {
  const before = await contentOf(planner, path)
  return before.length - applyEditor(editor, before).length
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

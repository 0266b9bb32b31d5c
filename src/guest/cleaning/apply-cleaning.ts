import { type AbortOptions, throwIfCancelled } from '../../core/abort.ts'
import { GuestError } from '../errors.ts'
import { cleanableTree, type Guest } from '../guest.ts'
import { parentPath } from '../guest-path.ts'
import type { GuestTree } from '../guest-tree.ts'
import { applyEdit } from './editors.ts'
import { operationTitle } from './option-operations.ts'
import type { CleaningPlan, PlanEntry } from './plan.ts'
import type { CleaningReport, OperationReport } from './report.ts'
import { verifyCleaning } from './verify-cleaning.ts'

/**
 * Does what a plan says, commits it, and looks whether it is done. All or nothing: when it throws, nothing of the
 * guest may be published. A plan without entries changes nothing.
 * @throws GuestError `CLEANING_INCOMPLETE` with the list of what is not done, or what `Filesystem.commit` throws
 */
export async function applyCleaning(
  guest: Pick<Guest, 'tree' | 'obstacles'>,
  plan: CleaningPlan,
  { signal }: AbortOptions = {},
): Promise<CleaningReport> {
  const tree = cleanableTree(guest)
  failIfAny(plan.problems.map(({ path, message }) => ({ path, message })))
  const prepared = await prepare(tree, plan, { signal })
  if (prepared.length > 0) {
    throwIfCancelled(signal)
    const removed = new Set(plan.entries.flatMap((entry) => (entry.action === 'remove' ? [entry.path] : [])))
    const enacted = new Set<string>()
    for (const change of prepared) {
      const { action, path } = change.entry
      // A directory takes what is below it along, and the last of several edits is the result of all.
      if ((action === 'remove' && removed.has(parentPath(path))) || enacted.has(path)) continue
      enacted.add(path)
      enact(tree, change)
    }
    await tree.commit({ signal })
    failIfAny(await verifyCleaning(tree, prepared, { signal }))
  }
  return {
    profile: plan.profile,
    changed: plan.entries.length > 0,
    operations: plan.operations.map((id) => summarise(id, plan.entries)),
    entries: plan.entries,
    warnings: plan.warnings,
    audit: null,
  }
}

/** An entry of the plan with what the path must be afterwards. */
export interface PreparedChange {
  readonly entry: PlanEntry
  /** `null` for what is made. */
  readonly before: {
    readonly inode: number
    readonly mode: number
    readonly uid: number
    readonly gid: number
  } | null
  /** The content to write; `null` where nothing is written. */
  readonly content: Uint8Array | null
  readonly mode: number | null
}

export interface UndoneChange {
  readonly path: string
  readonly message: string
}

/** Looks at every path before anything is changed: a plan made for another guest must not touch this one. */
async function prepare(
  tree: GuestTree,
  plan: CleaningPlan,
  options: AbortOptions,
): Promise<PreparedChange[]> {
  const prepared: PreparedChange[] = []
  const undone: UndoneChange[] = []
  const edited = new Map<string, Uint8Array>()
  for (const entry of plan.entries) {
    const resolved = await tree.resolve(entry.path, { ...options, follow: false })
    const before = resolved === entry.path ? await tree.stat(entry.path, options) : null
    if ((resolved === null ? null : (before?.kind ?? 'elsewhere')) !== expectedKind(entry)) {
      undone.push({ path: entry.path, message: `${entry.path} is not there any more, or is something else.` })
      continue
    }
    if (entry.action === 'edit') {
      const content = edited.get(entry.path) ?? (await tree.read(entry.path, options)) ?? new Uint8Array()
      edited.set(entry.path, applyEdit(entry, content).content)
    }
    const content = entry.action === 'write' ? Buffer.from(entry.text) : null
    prepared.push({ entry, before, content, mode: entry.action === 'write' ? entry.mode : null })
  }
  failIfAny(undone)
  return prepared.map((change) => ({ ...change, content: edited.get(change.entry.path) ?? change.content }))
}

/** What has to be at the path before; `null` for nothing. */
function expectedKind(entry: PlanEntry): string | null {
  if (entry.action === 'remove') return entry.kind
  if (entry.action === 'make-directory' || (entry.action === 'write' && entry.create)) return null
  return 'file'
}

function enact(tree: GuestTree, { entry, content, mode }: PreparedChange): void {
  if (entry.action === 'remove') tree.remove(entry.path)
  else if (entry.action === 'truncate') tree.truncate(entry.path)
  else if (entry.action === 'make-directory') tree.makeDirectory(entry.path, entry.attributes)
  else if (entry.action === 'write' && entry.create)
    tree.write(entry.path, Buffer.from(entry.text), entry.create)
  else if (content) tree.write(entry.path, content)
  if (mode !== null && !(entry.action === 'write' && entry.create)) tree.setMode(entry.path, mode)
}

/** Names a few; `details` has them all. */
function failIfAny(undone: readonly UndoneChange[]): void {
  if (undone.length === 0) return
  const few = undone.slice(0, 5).map(({ message }) => message)
  const rest = undone.length > few.length ? ` And ${undone.length - few.length} more.` : ''
  throw new GuestError('CLEANING_INCOMPLETE', `The guest cannot be cleaned: ${few.join(' ')}${rest}`, {
    hint: 'Nothing was published. Leave the operation out with --disable, or the path with --keep, to go on without it.',
    details: { undone },
  })
}

function summarise(id: string, entries: readonly PlanEntry[]): OperationReport {
  const own = entries.filter((entry) => entry.operation === id)
  return {
    id,
    title: operationTitle(id),
    paths: own.length,
    bytes: own.reduce((total, entry) => total + entry.bytes, 0),
  }
}

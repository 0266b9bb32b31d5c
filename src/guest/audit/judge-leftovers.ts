import type { AbortOptions } from '../../core/abort.ts'
import type { CleaningPlan } from '../cleaning/plan.ts'
import { readFacts } from '../cleaning/read-facts.ts'
import { type OperationSelection, selectOperations } from '../cleaning/select-operations.ts'
import { GuestError } from '../errors.ts'
import type { GuestTree } from '../guest-tree.ts'
import type { GuestWarning } from '../warnings.ts'
import { keptFinder, operationFinder } from './answering-operation.ts'
import type { AuditFinding, AuditReport } from './finding.ts'

export interface JudgeLeftoversOptions extends AbortOptions {
  /** What was asked for, and the plan that was made of it. */
  readonly selection: OperationSelection
  readonly plan: CleaningPlan
}

/**
 * What the audit of a cleaned guest means: what one of the operations that were run should have removed is a failure of the
 * cleaning, and everything else is there because the profile leaves it, which is worth a warning.
 * @throws GuestError `CLEANING_LEFTOVERS`
 */
export async function judgeLeftovers(
  tree: GuestTree,
  report: AuditReport,
  { selection, plan, signal }: JudgeLeftoversOptions,
): Promise<GuestWarning[]> {
  if (report.found === 0) return []
  const { anchors } = await readFacts(tree, { signal })
  const { operations, keep } = selectOperations(selection)
  const answering = operationFinder(operations, anchors)
  const isKept = keptFinder(keep, anchors)
  // Keys that were to be added, and files of the caller's own profile.
  const written = new Set(plan.entries.flatMap(({ action, path }) => (action === 'write' ? [path] : [])))
  const selected = new Set(operations.map(({ id }) => id))
  const missed = report.findings.flatMap(({ rule, path, account }) => {
    if (path === null || written.has(path) || isKept(path)) return []
    const operation = account === null ? answering(path) : lockingOperation(account, selected)
    return operation === null ? [] : [{ rule, path, operation }]
  })
  if (missed.length === 0) return report.rules.map((rule) => left(rule, report.findings))
  const few = missed.slice(0, 5).map(({ rule, path, operation }) => `${path} (${rule}, ${operation})`)
  throw new GuestError(
    'CLEANING_LEFTOVERS',
    `The audit found ${missed.length} things that cleaning should have removed: ${few.join(', ')}.`,
    {
      hint: 'Nothing was published. This is a fault of the cleaning: please report it with the rule and the operation.',
      details: { missed },
    },
  )
}

/** The operation that should have locked an account of the guest. */
function lockingOperation(account: string, selected: ReadonlySet<string>): string | null {
  if (selected.has('password-hashes')) return 'password-hashes'
  return account === 'root' && selected.has('lock-root') ? 'lock-root' : null
}

function left(
  { id, title, found }: AuditReport['rules'][number],
  findings: readonly AuditFinding[],
): GuestWarning {
  const paths = [...new Set(findings.flatMap(({ rule, path }) => (rule === id ? (path ?? []) : [])))]
  const named = paths.slice(0, 3).join(', ')
  const more = paths.length > 3 ? ` and ${paths.length - 3} more files` : ''
  return {
    code: 'AUDIT_FOUND',
    message: `The audit found ${id} (${title}) ${found} times; the profile leaves it: ${named}${more}.`,
  }
}

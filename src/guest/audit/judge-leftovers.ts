import type { AbortOptions } from '../../core/abort.ts'
import type { CleaningPlan } from '../cleaning/plan.ts'
import { readFacts } from '../cleaning/read-facts.ts'
import { type OperationSelection, selectOperations } from '../cleaning/select-operations.ts'
import { GuestError } from '../errors.ts'
import type { GuestTree } from '../guest-tree.ts'
import type { GuestWarning } from '../warnings.ts'
import { keptFinder, operationFinder } from './answering-operation.ts'
import type { AuditFinding, AuditReport } from './finding.ts'

export interface LeftoverJudgeOptions extends AbortOptions {
  /** What was asked for, and the plan that was made of it. */
  readonly selection: OperationSelection
  readonly plan: CleaningPlan
}

/** Tells what an audit of a cleaned guest means. */
export interface LeftoverJudge {
  /** Whether one of the operations that were run should have removed this. */
  isMissed(finding: AuditFinding): boolean
  /**
   * What was missed is a failure of the cleaning; everything else is there because the profile leaves it, which is worth a
   * warning.
   * @throws GuestError `CLEANING_LEFTOVERS`
   */
  judge(report: AuditReport): GuestWarning[]
}

export async function createLeftoverJudge(
  tree: GuestTree,
  { selection, plan, signal }: LeftoverJudgeOptions,
): Promise<LeftoverJudge> {
  const { anchors } = await readFacts(tree, { signal })
  const { operations, keep } = selectOperations(selection)
  const answering = operationFinder(operations, anchors)
  const isKept = keptFinder(keep, anchors)
  // Keys that were to be added, and files of the caller's own profile.
  const written = new Set(plan.entries.flatMap(({ action, path }) => (action === 'write' ? [path] : [])))
  const selected = new Set(operations.map(({ id }) => id))

  function missedBy({ path, account }: AuditFinding): string | null {
    if (path === null || written.has(path) || isKept(path)) return null
    return account === null ? answering(path) : lockingOperation(account, selected)
  }

  return {
    isMissed: (finding) => missedBy(finding) !== null,
    judge(report) {
      const missed = report.findings.flatMap((finding) => {
        const { rule, path } = finding
        const operation = missedBy(finding)
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
    },
  }
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

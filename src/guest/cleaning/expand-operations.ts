import type { AbortOptions } from '../../core/abort.ts'
import type { GuestTree } from '../guest-tree.ts'
import type { GuestWarning } from '../warnings.ts'
import { type ExpandedActions, expandAccounts } from './expand-accounts.ts'
import { expandKeys } from './expand-keys.ts'
import type { CleaningAction, CleaningOperation, RemoveAccountsAction } from './operation.ts'
import type { PlanProblem } from './plan.ts'
import type { CleaningFacts } from './read-facts.ts'

export interface ExpandedOperations {
  readonly operations: CleaningOperation[]
  readonly problems: PlanProblem[]
  readonly warnings: GuestWarning[]
}

/** Turns the actions that depend on the guest's accounts into actions on files. */
export async function expandOperations(
  operations: readonly CleaningOperation[],
  { tree, facts, signal }: AbortOptions & { tree: GuestTree; facts: CleaningFacts },
): Promise<ExpandedOperations> {
  const result: ExpandedOperations = { operations: [], problems: [], warnings: [] }
  const removed = operations.flatMap(({ actions }) =>
    actions.flatMap((action) => ('removeAccounts' in action ? accountsOf(action, facts) : [])),
  )
  const alone = operations.some(({ id }) => id === 'ssh-userdir' || id === 'root-home')
  const expand = async (action: CleaningAction): Promise<ExpandedActions> => {
    if ('removeAccounts' in action) return expandAccounts(accountsOf(action, facts), { tree, facts, signal })
    if ('authorizeKeys' in action) {
      return expandKeys(action.authorizeKeys, { tree, facts, removed, alone, signal })
    }
    return { actions: [action], problems: [], warnings: [] }
  }
  for (const operation of operations) {
    const actions: CleaningAction[] = []
    for (const action of operation.actions) {
      const expanded = await expand(action)
      actions.push(...expanded.actions)
      result.problems.push(...expanded.problems.map((problem) => ({ operation: operation.id, ...problem })))
      result.warnings.push(...expanded.warnings)
    }
    result.operations.push({ ...operation, actions })
  }
  return result
}

function accountsOf({ removeAccounts }: RemoveAccountsAction, { people }: CleaningFacts): readonly string[] {
  return removeAccounts === 'people' ? people : removeAccounts
}

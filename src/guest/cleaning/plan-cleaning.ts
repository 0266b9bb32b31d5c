import type { AbortOptions } from '../../core/abort.ts'
import { cleanableTree, type Guest } from '../guest.ts'
import { readSsh } from '../inspect/services.ts'
import type { GuestWarning } from '../warnings.ts'
import { excludeOperation } from './exclude-operation.ts'
import { parsePatterns } from './pattern.ts'
import type { CleaningPlan } from './plan.ts'
import { planChanges } from './plan-changes.ts'
import { type CleaningFacts, readFacts } from './read-facts.ts'
import { type OperationSelection, selectOperations } from './select-operations.ts'

export interface PlanCleaningOptions extends OperationSelection, AbortOptions {
  /** Patterns of further paths to remove. */
  exclude?: readonly string[] | undefined
  /** Patterns of paths that stay whatever the operations say, with everything below them. */
  keep?: readonly string[] | undefined
}

/**
 * Works out what cleaning will do to a guest: every path, in order, with its bytes. Only reads. The same plan is
 * the dry run and the input of `applyCleaning`.
 * @throws GuestError an obstacle of the guest (`FILESYSTEM_UNSUPPORTED`, `GUEST_NOT_FOUND`, ...),
 * `CLEANING_PROFILE_UNKNOWN`, `CLEANING_OPERATION_UNKNOWN`, `CLEANING_PATTERN_INVALID`
 */
export async function planCleaning(
  guest: Pick<Guest, 'tree' | 'obstacles' | 'warnings'>,
  options: PlanCleaningOptions = {},
): Promise<CleaningPlan> {
  const { profile, operations } = selectOperations(options)
  const selected = options.exclude?.length ? [...operations, excludeOperation(options.exclude)] : operations
  const keep = (options.keep ?? []).flatMap(parsePatterns)
  const tree = cleanableTree(guest)
  const { signal } = options
  const facts = await readFacts(tree, { signal })
  const changes = await planChanges({ tree, facts, operations: selected, keep, signal })
  const warnings = [...guest.warnings, ...unknownOs(facts), ...changes.warnings]
  if (changes.entries.some((entry) => entry.operation === 'ssh-hostkeys')) {
    const ssh = await readSsh(tree, { signal })
    if (ssh.server && ssh.hostKeysMadeBy.length === 0) warnings.push(noHostKeys)
  }
  return {
    profile,
    operations: selected.map((operation) => operation.id),
    entries: changes.entries,
    problems: changes.problems,
    warnings,
  }
}

const noHostKeys: GuestWarning = {
  code: 'CLEANING_HOST_KEYS_NOT_REGENERATED',
  message:
    'The SSH host keys go, and neither cloud-init nor a unit of the guest makes new ones: its SSH server will not start until somebody does (ssh-keygen -A).',
}

function unknownOs({ os }: CleaningFacts): GuestWarning[] {
  if (os.family !== null) return []
  return [
    {
      code: 'GUEST_UNKNOWN_OS',
      message: `The guest says it is "${os.prettyName}" (${os.id}); only what is the same in all distributions was looked at.`,
    },
  ]
}

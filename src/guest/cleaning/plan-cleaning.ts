import type { AbortOptions } from '../../core/abort.ts'
import { cleanableTree, type Guest } from '../guest.ts'
import type { GuestTree } from '../guest-tree.ts'
import { readSsh } from '../inspect/services.ts'
import type { GuestWarning } from '../warnings.ts'
import { expandOperations } from './expand-operations.ts'
import { hashRemoved } from './hash-removed.ts'
import type { CleaningOperation } from './operation.ts'
import { parsePatterns } from './pattern.ts'
import type { CleaningPlan } from './plan.ts'
import { planChanges } from './plan-changes.ts'
import { type CleaningFacts, readFacts } from './read-facts.ts'
import { type OperationSelection, selectOperations } from './select-operations.ts'

export interface PlanCleaningOptions extends OperationSelection, AbortOptions {
  /** Whether each entry gets the SHA-256 of the content that goes. */
  hashRemoved?: boolean | undefined
}

/**
 * Works out what cleaning will do to a guest: every path, in order, with its bytes. Only reads. The same plan is
 * the dry run and the input of `applyCleaning`.
 * @throws GuestError an obstacle of the guest (`FILESYSTEM_UNSUPPORTED`, `GUEST_NOT_FOUND`, ...),
 * and what `selectOperations` throws
 */
export async function planCleaning(
  guest: Pick<Guest, 'tree' | 'obstacles' | 'warnings'>,
  options: PlanCleaningOptions = {},
): Promise<CleaningPlan> {
  const { profile, operations, keep } = selectOperations(options)
  const tree = cleanableTree(guest)
  const { signal } = options
  const facts = await readFacts(tree, { signal })
  const expanded = await expandOperations(operations, { tree, facts, signal })
  const changes = await planChanges({
    tree,
    facts,
    operations: expanded.operations,
    keep: keep.flatMap(parsePatterns),
    signal,
  })
  const warnings = [
    ...guest.warnings,
    ...unknownOs(facts),
    ...(await unrunScripts(tree, operations, { signal })),
    ...expanded.warnings,
    ...changes.warnings,
  ]
  if (changes.entries.some((entry) => entry.operation === 'ssh-hostkeys')) {
    const ssh = await readSsh(tree, { signal })
    if (ssh.server && ssh.hostKeysMadeBy.length === 0) warnings.push(noHostKeys)
  }
  return {
    profile,
    operations: operations.map(({ id }) => id),
    entries: options.hashRemoved ? await hashRemoved(tree, changes.entries, { signal }) : changes.entries,
    problems: [...expanded.problems, ...changes.problems],
    warnings,
  }
}

const noHostKeys: GuestWarning = {
  code: 'CLEANING_HOST_KEYS_NOT_REGENERATED',
  message:
    'The SSH host keys go, and neither cloud-init nor a unit of the guest makes new ones: its SSH server will not start until somebody does (ssh-keygen -A).',
}

/** Scripts in the guest that other cleaners run. What they would have done is for somebody to decide. */
async function unrunScripts(
  tree: GuestTree,
  operations: readonly CleaningOperation[],
  options: AbortOptions,
): Promise<GuestWarning[]> {
  if (!operations.some(({ id }) => id === 'cloud-init-state')) return []
  const scripts: string[] = []
  for (const { name, kind } of await tree.list('/etc/cloud/clean.d', options)) {
    if (kind !== 'directory' && name !== 'README') scripts.push(`/etc/cloud/clean.d/${name}`)
  }
  if ((await tree.stat('/etc/chromogenic/clean', options)) !== null) scripts.push('/etc/chromogenic/clean')
  return scripts.map((path) => ({
    code: 'CLEANING_SCRIPT_NOT_RUN',
    message: `${path} is for cleaning, and nothing of a guest is run: look whether it removes what no operation does.`,
  }))
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

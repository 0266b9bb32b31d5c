import type { AbortOptions } from '../../core/abort.ts'
import { joinPath } from '../guest-path.ts'
import type { GuestTree } from '../guest-tree.ts'
import type { ExpandedActions } from './expand-accounts.ts'
import { homeOf, isPlainPath } from './expand-accounts.ts'
import type { AuthorizedKey, CleaningAction } from './operation.ts'
import type { CleaningFacts } from './read-facts.ts'

export interface ExpandKeysOptions extends AbortOptions {
  readonly tree: GuestTree
  readonly facts: CleaningFacts
  /** Accounts that are removed; a key of theirs would open nothing. */
  readonly removed: readonly string[]
  /** Whether the keys that are there go, so that the given ones become the only ones. */
  readonly alone: boolean
}

/** What it takes to let keys sign in: `.ssh` and `authorized_keys` in the homes of their accounts. */
export async function expandKeys(
  keys: readonly AuthorizedKey[],
  options: ExpandKeysOptions,
): Promise<ExpandedActions> {
  const expanded: ExpandedActions = { actions: [], problems: [], warnings: [] }
  const users = [...new Set(keys.map(({ user }) => user))]
  for (const user of users) {
    const lines = [...new Set(keys.filter((key) => key.user === user).map(({ key }) => key))]
    const actions = await expandUser(user, lines, options)
    if (typeof actions === 'string')
      expanded.problems.push({ path: `~${user}/.ssh/authorized_keys`, message: actions })
    else expanded.actions.push(...actions)
  }
  return expanded
}

/** The actions for one account, or why there can be none. */
async function expandUser(
  user: string,
  lines: readonly string[],
  { tree, facts, removed, alone, signal }: ExpandKeysOptions,
): Promise<CleaningAction[] | string> {
  const account = facts.accounts.find(({ name }) => name === user)
  if (!account || removed.includes(user)) return `There is no account ${user} that a key could sign in to.`
  const home = await homeOf(account, tree, { signal })
  if (home === null || home === '/') return `The account ${user} has no home to put a key into.`
  const folder = joinPath(home, '.ssh')
  const file = joinPath(folder, 'authorized_keys')
  if (!isPlainPath(file)) return `The home of ${user} has a name that cannot be written down.`
  const folderStat = await tree.stat(folder, { signal })
  const fileStat = folderStat ? await tree.stat(file, { signal }) : null
  if ((folderStat && folderStat.kind !== 'directory') || (fileStat && fileStat.kind !== 'file')) {
    return `${folder} is not a directory with a file, and a key put there would lie elsewhere.`
  }
  const { uid, gid } = account
  if (fileStat && !alone) {
    return [{ edit: [file], editor: 'lines', parameters: { rules: { append: lines } }, essential: true }]
  }
  return [
    { makeDirectory: folder, attributes: { mode: 0o700, uid, gid } },
    {
      write: [file],
      content: { text: lines.map((line) => `${line}\n`).join(''), mode: 0o600 },
      create: { uid, gid },
    },
  ]
}

import type { AbortOptions } from '../../core/abort.ts'
import { isWithin, normalisePath } from '../guest-path.ts'
import type { GuestTree } from '../guest-tree.ts'
import type { GuestAccount } from '../inspect/accounts.ts'
import type { GuestWarning } from '../warnings.ts'
import type { CleaningAction } from './operation.ts'
import type { CleaningFacts } from './read-facts.ts'
import { isAccountName } from './select-operations.ts'

export interface ExpandedActions {
  readonly actions: CleaningAction[]
  readonly problems: { readonly path: string; readonly message: string }[]
  readonly warnings: GuestWarning[]
}

/** What it takes to remove accounts from a guest: their records in every file, homes, mail, cron tables. */
export async function expandAccounts(
  names: readonly string[],
  { tree, facts, signal }: AbortOptions & { tree: GuestTree; facts: CleaningFacts },
): Promise<ExpandedActions> {
  const expanded: ExpandedActions = { actions: [], problems: [], warnings: [] }
  const going = facts.accounts.filter(({ name }) => names.includes(name))
  const staying = facts.accounts.filter(({ name }) => !names.includes(name))
  for (const { name, uid } of going) {
    const fault =
      uid === 0 ? 'is an administrator by another name' : isAccountName(name) ? null : 'has an unusual name'
    if (fault !== null) {
      expanded.problems.push({
        path: '/etc/passwd',
        message: `The account ${JSON.stringify(name)} ${fault}.`,
      })
    }
  }
  const accounts = names.filter(isAccountName)
  if (expanded.problems.length > 0 || accounts.length === 0) return expanded
  for (const name of names) {
    if (going.some((account) => account.name === name)) continue
    const message = `There is no account ${name} in the guest.`
    expanded.warnings.push({ code: 'CLEANING_ACCOUNT_MISSING', message })
  }
  await removeHomes(going, staying, expanded, { tree, facts, signal })
  const groups = await groupsOf(going, staying, tree, { signal })
  const records = (files: string, editor: AccountEditor): CleaningAction => ({
    edit: [`/etc/${files}{,-}`],
    editor,
    parameters: { accounts, groups },
    essential: true,
  })
  expanded.actions.push(
    { remove: accounts.flatMap((name) => placesOfAccounts.map((place) => place.replace('NAME', name))) },
    records('passwd', 'passwd-accounts'),
    records('shadow', 'shadow-accounts'),
    records('group', 'group-accounts'),
    records('gshadow', 'gshadow-accounts'),
    records('{subuid,subgid}', 'subid-accounts'),
    { edit: ['/etc/sudoers', '/etc/sudoers.d/*'], editor: 'sudoers-accounts', parameters: { accounts } },
  )
  return expanded
}

type AccountEditor = `${'passwd' | 'shadow' | 'group' | 'gshadow' | 'subid'}-accounts`

const placesOfAccounts = [
  '/var/{mail,spool/mail}/NAME',
  '/var/spool/{cron,cron/crontabs,cron/tabs,fcron}/NAME',
  '/var/lib/systemd/linger/NAME',
  '/var/lib/{AccountsService,AccountService}/{users,icons}/NAME',
  '/var/{lib/sudo,db/sudo}/{,ts/,lectured/}NAME',
  '/etc/ssh/authorized_keys/NAME',
]

/** A home goes unless somebody who stays lives in it, above it or below it. */
async function removeHomes(
  going: readonly GuestAccount[],
  staying: readonly GuestAccount[],
  { actions, problems, warnings }: ExpandedActions,
  { tree, facts, signal }: AbortOptions & { tree: GuestTree; facts: CleaningFacts },
): Promise<void> {
  const occupied: string[] = []
  for (const account of staying) {
    const home = await homeOf(account, tree, { signal })
    if (home !== null && home !== '/') occupied.push(home)
  }
  for (const account of going) {
    const home = await homeOf(account, tree, { signal })
    if (home === null || !facts.homes.some(({ path }) => path === home)) continue
    const other = occupied.find((path) => isWithin(path, home) || isWithin(home, path))
    if (other !== undefined) {
      const message = `${home}, the home of ${account.name}, stays: another account has ${other}.`
      warnings.push({ code: 'CLEANING_ACCOUNT_HOME_LEFT', message })
    } else if (!isPlainPath(home)) {
      problems.push({
        path: home,
        message: `The home of ${account.name} has a name that cannot be written down.`,
      })
    } else {
      actions.push({ remove: [home] })
    }
  }
}

/** Where an account lives, without links; `null` when there is no such directory. */
export async function homeOf(
  { home }: Pick<GuestAccount, 'home'>,
  tree: GuestTree,
  options: AbortOptions,
): Promise<string | null> {
  const path = normalisePath(home)
  const resolved = path === null ? null : await tree.resolve(path, options)
  if (resolved === null || (await tree.entry(resolved, options))?.kind !== 'directory') return null
  return resolved
}

/** Whether a path means itself as a pattern. */
export function isPlainPath(path: string): boolean {
  return !/[*?[\]{}]/.test(path)
}

/** The accounts' own groups: of their name, nobody's primary group any more, and without other members. */
async function groupsOf(
  going: readonly GuestAccount[],
  staying: readonly GuestAccount[],
  tree: GuestTree,
  options: AbortOptions,
): Promise<string[]> {
  const names = new Set(going.map(({ name }) => name))
  const used = new Set(staying.map(({ gid }) => gid))
  const file = await tree.read('/etc/group', options)
  const records = file === null ? [] : Buffer.from(file).toString('latin1').split(/\r?\n/)
  return records.flatMap((record) => {
    const [name = '', , id = '', members = '', ...rest] = record.split(':')
    const others = members.split(',').filter((member) => member !== '' && !names.has(member))
    return names.has(name) && rest.length === 0 && others.length === 0 && !used.has(Number(id)) ? [name] : []
  })
}

import type { AbortOptions } from '../../core/abort.ts'
import { isWithin } from '../guest-path.ts'
import type { GuestTree } from '../guest-tree.ts'
import { findHomes, type GuestAccount, type GuestHome, readAccounts } from '../inspect/accounts.ts'
import { parseFstab } from '../inspect/fstab.ts'
import { type GuestOs, readOs } from '../inspect/os-release.ts'
import { type GuestCloudInit, type GuestInit, readCloudInit, readInit } from '../inspect/services.ts'
import { homeOf } from './expand-accounts.ts'
import { findConfiguredLogs } from './find-logs.ts'
import type { ActionConditions, CleaningCondition } from './operation.ts'

/** What the plan needs to know of a guest. */
export interface CleaningFacts {
  readonly os: GuestOs
  readonly init: GuestInit
  readonly cloudInit: GuestCloudInit
  readonly homes: readonly GuestHome[]
  readonly accounts: readonly GuestAccount[]
  /** Names of the accounts whose numbers login.defs(5) gives to people. */
  readonly people: readonly string[]
  readonly hostName: string | null
  /** Whether the guest labels its files; new ones have no label. */
  readonly selinux: boolean
  /** Directories, or files, that patterns may begin with. */
  readonly anchors: ReadonlyMap<AnchorName, readonly string[]>
}

/** The anchors a pattern of the catalogue may begin with. */
export type AnchorName =
  /** Every home, those of services too. */
  | 'home'
  /** The homes of people: not below /var, /opt and the like. */
  | 'person'
  /** Directories of /home that are no account's home. */
  | 'orphan-home'
  /** Logs outside /var/log that a configuration names, and older ones beside them. */
  | 'log-file'
  | 'rotated-log'
  /** Swap in a file, as fstab names it. */
  | 'swap-file'

export async function readFacts(tree: GuestTree, options: AbortOptions = {}): Promise<CleaningFacts> {
  const homes = await findHomes(tree, options)
  const accounts = await readAccounts(tree, options)
  const logs = await findConfiguredLogs(tree, { ...options, homes })
  return {
    os: await readOs(tree, options),
    init: await readInit(tree, options),
    cloudInit: await readCloudInit(tree, options),
    homes,
    accounts,
    people: await findPeople(tree, accounts, options),
    hostName: await readHostName(tree, options),
    selinux: /^SELINUX=(enforcing|permissive)\b/m.test(await readText(tree, '/etc/selinux/config', options)),
    anchors: new Map([
      ['home', homes.map((home) => home.path)],
      ['person', homes.filter((home) => home.person).map((home) => home.path)],
      ['orphan-home', await findOrphanHomes(tree, { homes, accounts, signal: options.signal })],
      ['log-file', logs.current],
      ['rotated-log', logs.rotated],
      ['swap-file', await findSwapFiles(tree, options)],
    ]),
  }
}

/** `nobody` and its like lie above the range, services below it. */
async function findPeople(
  tree: GuestTree,
  accounts: readonly GuestAccount[],
  options: AbortOptions,
): Promise<string[]> {
  const definitions = await readText(tree, '/etc/login.defs', options)
  const limit = (key: string, fallback: number): number =>
    Number(new RegExp(`^${key}[ \\t]+(\\d{1,10})\\b`, 'm').exec(definitions)?.[1] ?? fallback)
  const [first, last] = [limit('UID_MIN', 1000), limit('UID_MAX', 60000)]
  return accounts.filter(({ uid }) => uid >= first && uid <= last).map(({ name }) => name)
}

async function findOrphanHomes(
  tree: GuestTree,
  { homes, accounts, signal }: AbortOptions & Pick<CleaningFacts, 'homes' | 'accounts'>,
): Promise<string[]> {
  const inhabited: string[] = []
  for (const account of accounts) {
    const home = await homeOf(account, tree, { signal })
    if (home !== null) inhabited.push(home)
  }
  return homes
    .map(({ path }) => path)
    .filter((path) => /^\/home\/[^/]+$/.test(path))
    .filter((path) => !inhabited.some((home) => isWithin(home, path)))
}

async function readHostName(tree: GuestTree, options: AbortOptions): Promise<string | null> {
  const lines = (await readText(tree, '/etc/hostname', options)).split('\n').map((line) => line.trim())
  const name = lines.find((line) => line !== '' && !line.startsWith('#'))
  return name !== undefined && /^[A-Za-z0-9._-]{1,253}$/.test(name) ? name : null
}

/** Small files of settings; empty when there is none. */
async function readText(tree: GuestTree, path: string, options: AbortOptions): Promise<string> {
  const stat = await tree.stat(path, { ...options, follow: true })
  if (stat?.kind !== 'file' || stat.size > 1024 * 1024) return ''
  return Buffer.from((await tree.read(path, options)) ?? new Uint8Array()).toString('latin1')
}

/** Whether an action is for this family of guests. */
export function concerns(action: ActionConditions, { os }: CleaningFacts): boolean {
  if (action.families && (os.family === null || !action.families.includes(os.family))) return false
  return !action.notFamilies || os.family === null || !action.notFamilies.includes(os.family)
}

/** Whether the guest will do by itself what an action relies on. */
export function holds(condition: CleaningCondition, { cloudInit, init }: CleaningFacts): boolean {
  switch (condition) {
    case 'cloud-init':
      return cloudInit.enabled
    case 'cloud-init-network':
      return cloudInit.managesNetwork
    case 'systemd':
      return init.name === 'systemd'
  }
}

/**
 * fstab is the guest's, and names anything: a file counts as swap only outside the system's own directories and when
 * its size is that of a swap area, at least ten whole pages.
 */
async function findSwapFiles(tree: GuestTree, options: AbortOptions): Promise<string[]> {
  const fstab = await tree.read('/etc/fstab', options)
  const named = fstab === null ? [] : parseFstab(new TextDecoder().decode(fstab))
  const files = new Set<string>()
  for (const entry of named) {
    if (entry.type !== 'swap' || !entry.device.startsWith('/') || entry.device.startsWith('/dev/')) continue
    const path = await tree.resolve(entry.device, options)
    const stat = path === null ? null : await tree.stat(path, options)
    if (path === null || stat?.kind !== 'file' || systemFiles.test(path)) continue
    if (stat.size >= 10 * 4096 && stat.size % 4096 === 0) files.add(path)
  }
  return [...files]
}

const systemFiles = /^\/(bin|boot|dev|etc|home|lib[^/]*|proc|root|sbin|sys|usr|var\/lib)\//

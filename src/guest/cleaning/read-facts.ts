import type { AbortOptions } from '../../core/abort.ts'
import type { GuestTree } from '../guest-tree.ts'
import { findHomes, type GuestHome } from '../inspect/accounts.ts'
import { parseFstab } from '../inspect/fstab.ts'
import { type GuestOs, readOs } from '../inspect/os-release.ts'
import { type GuestCloudInit, type GuestInit, readCloudInit, readInit } from '../inspect/services.ts'
import type { ActionConditions, CleaningCondition } from './operation.ts'

/** What the plan needs to know of a guest. */
export interface CleaningFacts {
  readonly os: GuestOs
  readonly init: GuestInit
  readonly cloudInit: GuestCloudInit
  readonly homes: readonly GuestHome[]
  /** Directories, or files, that patterns may begin with. */
  readonly anchors: ReadonlyMap<AnchorName, readonly string[]>
}

/** The anchors a pattern of the catalogue may begin with. */
export type AnchorName =
  /** Every home, those of services too. */
  | 'home'
  /** The homes of people: not below /var, /opt and the like. */
  | 'person'
  /** Swap in a file, as fstab names it. */
  | 'swap-file'

export async function readFacts(tree: GuestTree, options: AbortOptions = {}): Promise<CleaningFacts> {
  const homes = await findHomes(tree, options)
  return {
    os: await readOs(tree, options),
    init: await readInit(tree, options),
    cloudInit: await readCloudInit(tree, options),
    homes,
    anchors: new Map([
      ['home', homes.map((home) => home.path)],
      ['person', homes.filter((home) => home.person).map((home) => home.path)],
      ['swap-file', await findSwapFiles(tree, options)],
    ]),
  }
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

import type { AbortOptions } from '../../core/abort.ts'
import { isWithin } from '../guest-path.ts'
import type { GuestTree } from '../guest-tree.ts'
import type { GuestWarning } from '../warnings.ts'
import type { PatternMatch } from './match-pattern.ts'
import type { CleaningOperation } from './operation.ts'
import type { Claims } from './plan-claims.ts'

export interface TruncationCandidate extends PatternMatch {
  readonly operation: CleaningOperation
}

export interface PlanTruncationsOptions extends AbortOptions {
  readonly candidates: readonly TruncationCandidate[]
  readonly tree: GuestTree
  readonly claims: Claims
}

/**
 * Plans the emptying of regular files. Emptying one name of a file empties them all, so a file with a name outside
 * what is cleaned loses its name here instead: a log linked to `/etc/passwd` must not empty that.
 */
export async function planTruncations(options: PlanTruncationsOptions): Promise<GuestWarning[]> {
  const { candidates, tree, claims, signal } = options
  const warnings: GuestWarning[] = []
  const linked: LinkedFile[] = []
  const seen = new Set<string>()
  for (const { path, kind, operation } of candidates) {
    if (kind !== 'file' || seen.has(path) || claims.get(path) || claims.isKept(path)) continue
    seen.add(path)
    const stat = await tree.stat(path, { signal })
    if (!stat || stat.size === 0) continue
    const entry = { operation: operation.id, path, bytes: stat.size } as const
    if (stat.links === 1) claims.add({ ...entry, action: 'truncate' })
    else linked.push({ ...entry, key: inodeKey(tree, path, stat.inode), links: stat.links })
  }
  if (linked.length === 0) return warnings
  const names = await countNames(options, linked)
  for (const { key, links, ...entry } of linked) {
    if ((names.get(key) ?? 0) >= links) {
      claims.add({ ...entry, action: 'truncate' })
    } else {
      claims.add({ ...entry, action: 'remove', kind: 'file' })
      const message = `${entry.path} has further names; it was removed, and its content stays under them.`
      warnings.push({ code: 'CLEANING_HARD_LINK', message })
    }
  }
  return warnings
}

interface LinkedFile {
  readonly operation: string
  readonly path: string
  readonly bytes: number
  readonly key: string
  readonly links: number
}

/** How many names of each file are cleaned: those to be emptied, and those that were planned for removal. */
async function countNames(
  { tree, claims, signal }: PlanTruncationsOptions,
  linked: readonly LinkedFile[],
): Promise<Map<string, number>> {
  const names = new Map<string, number>()
  const count = (key: string): void => {
    names.set(key, (names.get(key) ?? 0) + 1)
  }
  for (const { key } of linked) count(key)
  for (const entry of claims.entries()) {
    if (entry.action !== 'remove' || entry.kind !== 'file') continue
    const directoryEntry = await tree.entry(entry.path, { signal })
    if (directoryEntry) count(inodeKey(tree, entry.path, directoryEntry.inode))
  }
  return names
}

function inodeKey(tree: GuestTree, path: string, inode: number): string {
  const mounts = tree.mounts.filter((mount) => isWithin(path, mount.path))
  const mount = mounts.reduce((best, candidate) =>
    candidate.path.length > best.path.length ? candidate : best,
  )
  return `${mount.path}:${inode}`
}

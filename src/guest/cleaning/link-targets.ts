import type { AbortOptions } from '../../core/abort.ts'
import { isWithin } from '../guest-path.ts'
import type { GuestTree } from '../guest-tree.ts'
import type { GuestWarning } from '../warnings.ts'
import type { Claims } from './plan-claims.ts'
import type { TruncationCandidate } from './plan-truncations.ts'

export interface LinkTargetsOptions extends AbortOptions {
  readonly candidates: readonly TruncationCandidate[]
  readonly tree: GuestTree
  readonly claims: Claims
}

/**
 * Names what links lead to and no operation touches: removing `.ssh` that is a link to `/data/keys` leaves the keys.
 * What lies in the system's own directories is no secret of a person and needs no word.
 */
export async function findLeftTargets({
  candidates,
  tree,
  claims,
  signal,
}: LinkTargetsOptions): Promise<GuestWarning[]> {
  const links = new Set<string>()
  for (const entry of claims.entries()) {
    if (entry.action === 'remove' && entry.kind === 'symlink') links.add(entry.path)
  }
  for (const candidate of candidates) {
    if (candidate.kind === 'symlink' && !claims.isKept(candidate.path)) links.add(candidate.path)
  }
  const warnings: GuestWarning[] = []
  for (const path of links) {
    const target = await tree.resolve(path, { signal })
    if (target === null || target === '/' || claims.get(target)) continue
    if (systemDirectories.some((directory) => isWithin(target, directory))) continue
    if (
      (await tree.list(target, { signal })).length === 0 &&
      (await tree.stat(target, { signal }))?.size === 0
    )
      continue
    warnings.push({
      code: 'CLEANING_LINK_TARGET_LEFT',
      message: `${path} is a link; what it points to, ${target}, stays.`,
    })
  }
  return warnings
}

const systemDirectories = '/bin /boot /dev /etc /lib /lib32 /lib64 /opt /proc /run /sbin /sys /usr'.split(' ')

import type { AbortOptions } from '../../core/abort.ts'
import { fileDigest } from '../file-digest.ts'
import type { GuestTree } from '../guest-tree.ts'
import type { PlanEntry } from './plan.ts'

/**
 * The entries with the SHA-256 of the content that goes, for whoever wants to know afterwards whether it was a certain file.
 * Files are read in pieces of 1 MiB; what has no content of its own gets no digest.
 */
export async function hashRemoved(
  tree: GuestTree,
  entries: readonly PlanEntry[],
  options: AbortOptions,
): Promise<PlanEntry[]> {
  const hashed: PlanEntry[] = []
  for (const entry of entries) {
    const disk = hasContent(entry) ? await tree.open(entry.path, options) : null
    hashed.push(disk ? { ...entry, sha256: await fileDigest(disk, 'sha256', options) } : entry)
  }
  return hashed
}

function hasContent(entry: PlanEntry): boolean {
  return entry.action === 'remove' ? entry.kind === 'file' : entry.action !== 'make-directory'
}

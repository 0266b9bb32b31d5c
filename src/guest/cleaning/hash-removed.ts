import { createHash } from 'node:crypto'
import type { AbortOptions } from '../../core/abort.ts'
import { MiB } from '../../core/bytes.ts'
import type { Disk } from '../../disk/disk.ts'
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
    hashed.push(disk ? { ...entry, sha256: await sha256(disk, options) } : entry)
  }
  return hashed
}

function hasContent(entry: PlanEntry): boolean {
  return entry.action === 'remove' ? entry.kind === 'file' : entry.action !== 'make-directory'
}

async function sha256(disk: Disk, options: AbortOptions): Promise<string> {
  const hash = createHash('sha256')
  const buffer = Buffer.allocUnsafe(Math.min(MiB, Math.max(1, disk.size)))
  for (let offset = 0; offset < disk.size; offset += buffer.length) {
    const piece = buffer.subarray(0, Math.min(buffer.length, disk.size - offset))
    await disk.read(piece, offset, options)
    hash.update(piece)
  }
  return hash.digest('hex')
}

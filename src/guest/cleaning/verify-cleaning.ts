import type { AbortOptions } from '../../core/abort.ts'
import type { FileAttributes } from '../filesystem/filesystem.ts'
import type { GuestTree } from '../guest-tree.ts'
import type { PreparedChange, UndoneChange } from './apply-cleaning.ts'
import type { PlanEntry } from './plan.ts'

/** Reads the guest again after the commit and names every change that did not take place as planned. */
export async function verifyCleaning(
  tree: GuestTree,
  changes: readonly PreparedChange[],
  options: AbortOptions = {},
): Promise<UndoneChange[]> {
  const undone: UndoneChange[] = []
  for (const change of changes) {
    const message = await whatIsWrong(tree, change, options)
    if (message !== null)
      undone.push({ path: change.entry.path, message: `${change.entry.path} ${message}.` })
  }
  return undone
}

async function whatIsWrong(
  tree: GuestTree,
  { entry, before, content, mode }: PreparedChange,
  options: AbortOptions,
): Promise<string | null> {
  const after = await tree.stat(entry.path, options)
  if (entry.action === 'remove') return after === null ? null : 'is still there'
  const made = madeAttributes(entry)
  if (after?.kind !== (entry.action === 'make-directory' ? 'directory' : 'file')) return 'is gone'
  if (made !== null) {
    if (after.uid !== made.uid || after.gid !== made.gid) return 'has another owner'
    if (after.mode !== made.mode) return 'has another mode'
    return entry.action === 'write' ? await whatIsOther(tree, entry.path, content, options) : null
  }
  if (before === null) return 'has not been there'
  if (after.inode !== before.inode) return 'has become another file'
  if (after.uid !== before.uid || after.gid !== before.gid) return 'has another owner'
  if (after.mode !== (mode ?? before.mode)) return 'has another mode'
  if (entry.action === 'truncate') return after.size === 0 ? null : 'is not empty'
  return whatIsOther(tree, entry.path, content, options)
}

/** What a new path must be; `null` for one that was there. */
function madeAttributes(entry: PlanEntry): FileAttributes | null {
  if (entry.action === 'make-directory') return entry.attributes
  return entry.action === 'write' ? entry.create : null
}

async function whatIsOther(
  tree: GuestTree,
  path: string,
  content: Uint8Array | null,
  options: AbortOptions,
): Promise<string | null> {
  const written = await tree.read(path, options)
  return content !== null && written !== null && Buffer.compare(content, written) === 0
    ? null
    : 'has another content'
}

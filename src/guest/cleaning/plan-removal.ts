import type { AbortOptions } from '../../core/abort.ts'
import type { FileKind } from '../filesystem/filesystem.ts'
import { baseName, joinPath, parentPath } from '../guest-path.ts'
import type { GuestTree } from '../guest-tree.ts'
import type { CleaningOperation } from './operation.ts'
import type { Claims } from './plan-claims.ts'

export interface PlanRemovalOptions extends AbortOptions {
  readonly path: string
  readonly kind: FileKind
  readonly operation: CleaningOperation
  readonly tree: GuestTree
  readonly claims: Claims
}

/**
 * Plans the removal of a path and of everything below it, a file at a time, deepest first. What is kept, mount
 * points and `lost+found` stay, and so do the directories above them, emptied of the rest.
 * @returns whether the path itself goes
 */
export async function planRemoval(options: PlanRemovalOptions): Promise<boolean> {
  const { path, kind, operation, tree, claims, signal } = options
  const claimed = claims.get(path)
  if (claimed) return claimed.action === 'remove'
  if (claims.isKept(path)) return false
  if (kind !== 'directory') {
    const stat = await tree.stat(path, { signal })
    const bytes = kind === 'file' ? (stat?.size ?? 0) : 0
    claims.add({ operation: operation.id, action: 'remove', path, kind, bytes })
    return true
  }
  let empty = !claims.isNeeded(path) && !mustStay(path, tree)
  for (const entry of await tree.list(path, { signal })) {
    const child = { ...options, path: joinPath(path, entry.name), kind: entry.kind }
    if (!(await planRemoval(child))) empty = false
  }
  if (empty) claims.add({ operation: operation.id, action: 'remove', path, kind, bytes: 0 })
  return empty
}

/** The root of a file system, and the directory its checker needs there. */
function mustStay(path: string, tree: GuestTree): boolean {
  if (path === '/' || tree.holdsMount(path)) return true
  return baseName(path) === 'lost+found' && tree.mounts.some((mount) => mount.path === parentPath(path))
}

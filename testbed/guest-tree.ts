import { chmod, lstat, mkdir, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

export interface Ownership {
  mode?: number
  uid?: number
  gid?: number
}

/** One name of a guest's tree, as the builders of guests take them. Missing parents are made, owned by root. */
export type GuestEntry = Ownership & { path: string } & (
    | { kind: 'file'; content: string | Uint8Array }
    | { kind: 'directory' }
    | { kind: 'link'; target: string }
  )

export function file(path: string, content: string | Uint8Array, ownership: Ownership = {}): GuestEntry {
  return { kind: 'file', path, content, ...ownership }
}

export function directory(path: string, ownership: Ownership = {}): GuestEntry {
  return { kind: 'directory', path, ...ownership }
}

export function link(path: string, target: string): GuestEntry {
  return { kind: 'link', path, target }
}

/**
 * Writes the entries below `root` with their modes, a later entry over an earlier one of the same path. Owners are
 * left to the caller: only root could give files away.
 */
export async function writeTree(root: string, entries: readonly GuestEntry[]): Promise<void> {
  for (const entry of entries) {
    const path = join(root, entry.path)
    await mkdir(dirname(path), { recursive: true, mode: 0o755 })
    await writeEntry(path, entry)
  }
}

async function writeEntry(path: string, entry: GuestEntry): Promise<void> {
  switch (entry.kind) {
    case 'link':
      await symlink(entry.target, path)
      return
    case 'directory':
      if (!(await exists(path))) await mkdir(path)
      await chmod(path, entry.mode ?? 0o755)
      return
    case 'file':
      await writeFile(path, entry.content)
      await chmod(path, entry.mode ?? 0o644)
  }
}

async function exists(path: string): Promise<boolean> {
  return (await lstat(path).catch(() => null)) !== null
}

import type { AbortOptions } from '../../core/abort.ts'
import { KiB, roundUp } from '../../core/bytes.ts'
import type { Disk } from '../../disk/disk.ts'
import { adaptFstab, type TextEdit } from './fstab-edit.ts'
import { adaptGrubDefaults } from './grub-config.ts'
import type { RootSystem } from './look-into-root.ts'

/** Files and directories to be written into the root file system, and what that means in words. */
export interface RootEdits {
  readonly directories: readonly string[]
  readonly files: readonly RootFile[]
  readonly changes: readonly string[]
}

export interface RootFile {
  readonly path: string
  /** Text as one character a byte, so that what is not changed stays as it is whatever its encoding. */
  readonly content: Uint8Array | Disk
}

export const noEdits: RootEdits = { directories: [], files: [], changes: [] }

export function joinEdits(...all: readonly RootEdits[]): RootEdits {
  return {
    directories: all.flatMap(({ directories }) => directories),
    files: all.flatMap(({ files }) => files),
    changes: all.flatMap(({ changes }) => changes),
  }
}

/** A file with changed text; no edit where nothing changes. */
export function textEdit(path: string, { text, changes }: TextEdit): RootEdits {
  if (changes.length === 0) return noEdits
  return {
    directories: [],
    files: [{ path, content: Buffer.from(text, 'latin1') }],
    changes: changes.map((change) => `${path}: ${change}`),
  }
}

/** fstab and GRUB's defaults for a root file system that is found by its UUID from now on. */
export async function adaptConfiguration(
  { filesystem, tree }: RootSystem,
  options: AbortOptions,
): Promise<RootEdits> {
  const { uuid, type } = filesystem
  const adapt = async (path: string, edit: (text: string) => TextEdit): Promise<RootEdits> => {
    const resolved = await tree.resolve(path, options)
    const content = resolved === null ? null : await tree.read(resolved, options)
    return resolved === null || content === null
      ? noEdits
      : textEdit(resolved, edit(Buffer.from(content).toString('latin1')))
  }
  return joinEdits(
    await adapt('/etc/fstab', (text) => adaptFstab(text, { uuid, type })),
    await adapt('/etc/default/grub', (text) => adaptGrubDefaults(text, { uuid })),
  )
}

const largestBlock = 4 * KiB

/** Whether the file system has room for the edits, with something to spare for its own tables. */
export async function hasRoomFor(
  { filesystem }: RootSystem,
  { directories, files }: RootEdits,
  options: AbortOptions,
): Promise<boolean> {
  const sizes = files.map(({ content }) => (content instanceof Uint8Array ? content.length : content.size))
  const bytes = sizes.reduce((sum, size) => sum + roundUp(size, largestBlock), 0)
  const tables = (directories.length + files.length + 8) * 2 * largestBlock + bytes / 128
  return bytes + tables <= (await filesystem.freeBytes(options))
}

/** Makes the edits. @throws GuestError `FILESYSTEM_EDIT_FAILED` | `FILESYSTEM_DAMAGED` */
export async function applyRootEdits(
  { filesystem }: Pick<RootSystem, 'filesystem'>,
  { directories, files }: RootEdits,
  options: AbortOptions,
): Promise<void> {
  for (const path of directories) filesystem.makeDirectory(path)
  for (const { path, content } of files) {
    const exists = (await filesystem.stat(path, options)) !== null
    // Large content is for new files only.
    if (exists && !(content instanceof Uint8Array)) filesystem.remove(path)
    filesystem.write(path, content)
  }
  if (files.length > 0) await filesystem.commit(options)
}

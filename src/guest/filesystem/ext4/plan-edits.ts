import type { AbortOptions } from '../../../core/abort.ts'
import type { Disk } from '../../../disk/disk.ts'
import { GuestError } from '../../errors.ts'
import { pathComponents } from '../../guest-path.ts'
import type { Edit } from '../edit.ts'
import type { FileAttributes } from '../filesystem.ts'
import { damaged } from './damaged.ts'
import type { StoredEntry } from './directory.ts'
import { hasFlag, type Inode, isType, readInode } from './inode.ts'
import { modeTypes, reservedInodes } from './layout.ts'
import type { PathResolver } from './path-resolver.ts'
import type { Volume } from './volume.ts'

/** All changes together, by inode. */
export interface EditPlan {
  /** Names to take out, by directory. */
  readonly unlinked: ReadonlyMap<number, { readonly directory: Inode; readonly names: ReadonlySet<string> }>
  /** New link counts of inodes that stay. */
  readonly links: ReadonlyMap<number, number>
  readonly freed: readonly Inode[]
  /** New content of existing files; an empty one truncates. */
  readonly contents: ReadonlyMap<number, { readonly inode: Inode; readonly content: Uint8Array }>
  /** A new directory before what is new in it. */
  readonly created: readonly CreatedEntry[]
  readonly modes: ReadonlyMap<number, number>
}

/** A new file, or a new directory where there is no content. */
export interface CreatedEntry {
  readonly path: string
  /** The inode of the last directory on its path that exists already. */
  readonly directory: number
  /** From there on: new directories, if any, and its own name. */
  readonly names: readonly string[]
  readonly content: Uint8Array | Disk | null
  readonly attributes: FileAttributes
}

/** Where a path is, or will be; see `CreatedEntry`. */
interface EditPlace {
  readonly directory: Inode
  readonly names: readonly string[]
  /** Null where nothing is there. */
  readonly entry: StoredEntry | null
}

const maximumDepth = 4096

/**
 * Resolves edits to inodes, in the order in which they were asked for. A hard link that goes takes its inode along only
 * when it is the last one; the same holds below removed directories.
 * @throws GuestError `FILESYSTEM_EDIT_FAILED` for a path that cannot be changed as asked
 */
export async function planEdits(
  volume: Volume,
  resolver: PathResolver,
  edits: readonly Edit[],
  options: AbortOptions,
): Promise<EditPlan> {
  const unlinked = new Map<number, { directory: Inode; names: Set<string> }>()
  const contents = new Map<number, { inode: Inode; content: Uint8Array }>()
  const created = new Map<string, CreatedEntry>()
  const modes = new Map<number, number>()
  const removedDirectories = new Map<number, Inode>()
  const removedLinks = new Map<number, { inode: Inode; count: number }>()
  const lostSubdirectories = new Map<number, number>()

  async function place(path: string): Promise<EditPlace> {
    const found = await resolver.place(path, options)
    if (!found || removedDirectories.has(found.directory.number)) return placeInNewDirectory(path)
    const { directory, name, entry } = found
    const isGone = unlinked.get(directory.number)?.names.has(name) ?? false
    return { directory, names: [name], entry: isGone ? null : entry }
  }

  async function placeInNewDirectory(path: string): Promise<EditPlace> {
    const components = pathComponents(path)
    const name = components.pop()
    const parent = components.length > 0 ? await place(`/${components.join('/')}`) : null
    const isNew = parent !== null && created.get(keyOf(parent))?.content === null
    if (!isNew || name === undefined) throw failed(path, 'its directory does not exist')
    return { ...parent, names: [...parent.names, name], entry: null }
  }

  /** Takes back what was to be created, with everything in it. */
  function forget({ directory, names }: EditPlace): void {
    const key = keyOf({ directory, names })
    for (const other of created.keys())
      if (other === key || other.startsWith(`${key}/`)) created.delete(other)
  }

  async function regularFile(path: string, entry: StoredEntry): Promise<Inode> {
    const inode = await readInode(volume, entry.inode, options)
    if (!isType(inode.mode, modeTypes.file)) throw failed(path, 'it is not a regular file')
    if (hasFlag(inode, 'encrypted') || hasFlag(inode, 'verity')) {
      throw failed(path, 'the guest has encrypted or sealed it')
    }
    return inode
  }

  async function removeTree(path: string, directory: Inode, depth: number): Promise<void> {
    if (removedDirectories.has(directory.number) || depth > maximumDepth) {
      throw damaged(`directory inode ${directory.number} is found twice`)
    }
    removedDirectories.set(directory.number, directory)
    for (const entry of (await resolver.entries(directory, options)).values()) {
      if (unlinked.get(directory.number)?.names.has(entry.name)) continue
      await removeEntry(`${path}/${entry.name}`, entry, depth)
    }
    unlinked.delete(directory.number)
  }

  /** @returns whether it was a directory */
  async function removeEntry(path: string, entry: StoredEntry, depth: number): Promise<boolean> {
    if (entry.inode < volume.superblock.firstInode)
      throw damaged(`"${path}" is reserved inode ${entry.inode}`)
    const inode = await readInode(volume, entry.inode, options)
    if (isType(inode.mode, modeTypes.directory)) {
      await removeTree(path, inode, depth + 1)
      return true
    }
    const known = removedLinks.get(inode.number)
    removedLinks.set(inode.number, { inode, count: (known?.count ?? 0) + 1 })
    return false
  }

  for (const edit of edits) {
    const { path } = edit
    const at = await place(path)
    const { directory, names, entry } = at
    const [name = ''] = names
    const key = keyOf(at)
    const isNew = created.get(key)
    if (edit.kind === 'write' && !entry) {
      if (isNew?.content === null) throw failed(path, 'it is a directory')
      const attributes = { mode: 0o644, uid: 0, gid: 0, ...edit.attributes }
      created.set(key, { path, directory: directory.number, names, content: edit.content, attributes })
      continue
    }
    if (edit.kind === 'make-directory' && !entry) {
      if (isNew && isNew.content !== null) throw failed(path, 'it is a file')
      const attributes = { mode: 0o755, uid: 0, gid: 0, ...edit.attributes }
      if (!isNew) created.set(key, { path, directory: directory.number, names, content: null, attributes })
      continue
    }
    if (isNew && edit.kind === 'truncate') {
      if (isNew.content === null) throw failed(path, 'it is a directory')
      created.set(key, { ...isNew, content: new Uint8Array() })
    } else if (isNew && edit.kind === 'set-mode') {
      created.set(key, { ...isNew, attributes: { ...isNew.attributes, mode: edit.mode } })
    } else if (isNew) forget(at)
    if (isNew) continue
    if (!entry) {
      // Removed already, by this name or another edit: the wish is fulfilled.
      if (edit.kind === 'remove' && unlinked.get(directory.number)?.names.has(name)) continue
      throw failed(path, 'it does not exist')
    }
    switch (edit.kind) {
      case 'remove': {
        if (await removeEntry(path, entry, 0)) {
          lostSubdirectories.set(directory.number, (lostSubdirectories.get(directory.number) ?? 0) + 1)
        }
        const names = unlinked.get(directory.number)?.names ?? new Set()
        unlinked.set(directory.number, { directory, names: names.add(name) })
        break
      }
      case 'truncate':
      case 'write': {
        const inode = await regularFile(path, entry)
        const content = edit.kind === 'write' ? edit.content : new Uint8Array()
        if (!(content instanceof Uint8Array))
          throw failed(path, 'it exists, and this content is for a new file')
        contents.set(inode.number, { inode, content })
        break
      }
      case 'make-directory': {
        const target = await resolver.locate(path, { ...options, follow: true })
        if (!target || !isType(target.inode.mode, modeTypes.directory))
          throw failed(path, 'it is not a directory')
        break
      }
      case 'set-mode': {
        const inode = await readInode(volume, entry.inode, options)
        if (isType(inode.mode, modeTypes.symlink)) throw failed(path, 'a symbolic link has no mode')
        modes.set(inode.number, (inode.mode & modeTypes.mask) | (edit.mode & 0o7777))
        break
      }
    }
  }

  const links = new Map<number, number>()
  const freed: Inode[] = [...removedDirectories.values()]
  for (const { inode, count } of removedLinks.values()) {
    if (count > inode.links) throw damaged(`inode ${inode.number} has more names than links`)
    if (count === inode.links) freed.push(inode)
    else links.set(inode.number, inode.links - count)
  }
  for (const [number, lost] of lostSubdirectories) {
    const parent = unlinked.get(number)?.directory
    // A directory with more subdirectories than a count can hold has the link count 1 (feature dir_nlink).
    if (!parent || parent.links === 1) continue
    if (parent.links - lost < 2)
      throw damaged(`directory inode ${number} has fewer links than subdirectories`)
    links.set(number, parent.links - lost)
  }
  for (const { number } of freed) {
    if (number === reservedInodes.root) throw damaged('the root directory is found below itself')
    contents.delete(number)
    modes.delete(number)
    unlinked.delete(number)
    links.delete(number)
  }
  return {
    unlinked,
    links,
    freed,
    contents,
    created: [...created.values()].filter(({ directory }) => !removedDirectories.has(directory)),
    modes,
  }
}

function keyOf({ directory, names }: Pick<EditPlace, 'directory' | 'names'>): string {
  return [directory.number, ...names].join('/')
}

function failed(path: string, reason: string): GuestError {
  return new GuestError('FILESYSTEM_EDIT_FAILED', `"${path}" cannot be changed: ${reason}.`)
}

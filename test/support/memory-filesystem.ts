import type { Disk } from '../../src/disk/disk.ts'
import { GuestError } from '../../src/guest/errors.ts'
import type {
  DirectoryEntry,
  FileAttributes,
  FileKind,
  FileStat,
  Filesystem,
} from '../../src/guest/filesystem/filesystem.ts'
import { parentPath } from '../../src/guest/guest-path.ts'
import { diskBytes } from './ext4-image.ts'

/** What to put at a path: text is a file, `null` a directory. Missing directories are made. */
export type MemoryFile =
  | string
  | null
  | { link: string }
  | { hardLink: string }
  | { device: Exclude<FileKind, 'file' | 'directory' | 'symlink'> }
  | { text?: string | Uint8Array; directory?: true; mode?: number; uid?: number; gid?: number }

export type MemoryFiles = Readonly<Record<string, MemoryFile>>

export interface MemoryFilesystem extends Filesystem {
  /** Every path with its content, link target or kind, mode, owner and inode: what must not change is compared by it. */
  snapshot(): Record<string, string>
  /** Makes the next commit fail. */
  failNextCommit(): void
}

interface Inode {
  readonly number: number
  kind: FileKind
  content: Uint8Array
  target: string
  mode: number
  uid: number
  gid: number
  links: number
  readonly entries: Map<string, Inode>
}

interface Found {
  readonly path: string
  readonly inode: Inode
}

/** A file system in memory with the full semantics of the interface: links, hard links, changes at commit. */
export function memoryFilesystem(
  files: MemoryFiles,
  identity: { uuid?: string; label?: string; freeBytes?: number } = {},
): MemoryFilesystem {
  let nextInode = 12
  const root = newInode('directory', { mode: 0o755 })
  let pending: (() => void | Promise<void>)[] = []
  let failure: Error | null = null
  for (const [path, file] of Object.entries(files)) plant(path, file)

  function newInode(kind: FileKind, attributes: Partial<FileAttributes> = {}): Inode {
    const mode = attributes.mode ?? (kind === 'directory' ? 0o755 : 0o644)
    const { uid = 0, gid = 0 } = attributes
    const number = nextInode++
    return {
      number,
      kind,
      content: new Uint8Array(),
      target: '',
      mode,
      uid,
      gid,
      links: 1,
      entries: new Map(),
    }
  }

  function plant(path: string, file: MemoryFile): void {
    const components = path.split('/').filter((part) => part !== '')
    const name = components.pop()
    let directory = root
    for (const component of components) {
      const next = directory.entries.get(component) ?? newInode('directory')
      directory.entries.set(component, next)
      directory = next
    }
    if (name === undefined) {
      if (file !== null && typeof file === 'object' && 'mode' in file && file.mode) root.mode = file.mode
      return
    }
    const inode = plantedInode(file)
    const existing = directory.entries.get(name)
    if (existing?.kind === 'directory' && inode.kind === 'directory') {
      Object.assign(existing, { mode: inode.mode, uid: inode.uid, gid: inode.gid })
    } else {
      directory.entries.set(name, inode)
    }
  }

  function plantedInode(file: MemoryFile): Inode {
    if (file === null) return newInode('directory')
    if (typeof file === 'string') return { ...newInode('file'), content: Buffer.from(file) }
    if ('link' in file) return { ...newInode('symlink', { mode: 0o777 }), target: file.link }
    if ('device' in file) return newInode(file.device)
    if ('hardLink' in file) {
      const other = find(file.hardLink, false)
      if (!other) throw new Error(`No ${file.hardLink} to link to.`)
      other.inode.links += 1
      return other.inode
    }
    const inode = newInode(file.directory ? 'directory' : 'file', file)
    inode.content = typeof file.text === 'string' ? Buffer.from(file.text) : (file.text ?? new Uint8Array())
    return inode
  }

  function find(path: string, follow: boolean): Found | null {
    if (!path.startsWith('/')) throw new GuestError('GUEST_PATH_INVALID', `"${path}" is not absolute.`)
    const rest = path.split('/').reverse()
    const stack: Found[] = [{ path: '/', inode: root }]
    let followed = 0
    while (rest.length > 0) {
      const name = rest.pop()
      const current = stack.at(-1)
      if (!current) return null
      if (name === undefined || name === '' || name === '.') continue
      if (name === '..') {
        if (stack.length > 1) stack.pop()
        continue
      }
      const inode = current.inode.entries.get(name)
      if (!inode || current.inode.kind !== 'directory') return null
      const isLast = rest.every((part) => part === '')
      if (inode.kind === 'symlink' && (follow || !isLast)) {
        followed += 1
        if (followed > 40) return null
        if (inode.target.startsWith('/')) stack.length = 1
        rest.push(...inode.target.split('/').reverse())
      } else {
        stack.push({ path: current.path === '/' ? `/${name}` : `${current.path}/${name}`, inode })
      }
    }
    return stack.at(-1) ?? null
  }

  function must(path: string, follow: boolean): Found {
    const found = find(path, follow)
    if (!found) throw new GuestError('GUEST_FILE_NOT_FOUND', `There is no "${path}".`)
    return found
  }

  function regular(path: string): Inode {
    const { inode } = must(path, false)
    if (inode.kind !== 'file')
      throw new GuestError('FILESYSTEM_EDIT_FAILED', `"${path}" is not a regular file.`)
    return inode
  }

  function removeNow(path: string): void {
    const parent = find(path.slice(0, path.lastIndexOf('/')) || '/', false)
    const name = path.slice(path.lastIndexOf('/') + 1)
    const inode = parent?.inode.entries.get(name)
    if (!parent || !inode) throw new GuestError('FILESYSTEM_EDIT_FAILED', `There is no "${path}".`)
    parent.inode.entries.delete(name)
    unlink(inode)
  }

  function unlink(inode: Inode): void {
    inode.links -= 1
    for (const child of inode.entries.values()) unlink(child)
  }

  function* everything(inode: Inode, path: string): Generator<[string, Inode]> {
    yield [path || '/', inode]
    for (const [name, child] of inode.entries) yield* everything(child, `${path}/${name}`)
  }

  return {
    type: 'ext4',
    uuid: identity.uuid ?? '',
    label: identity.label ?? '',
    stat: async (path, options = {}) => {
      const found = find(path, options.follow ?? false)
      return found && statOf(found.inode)
    },
    list: async (path) => {
      const { inode } = must(path, true)
      if (inode.kind !== 'directory')
        throw new GuestError('GUEST_NOT_A_DIRECTORY', `"${path}" is no directory.`)
      return [...inode.entries]
        .map(([name, child]): DirectoryEntry => ({ name, kind: child.kind, inode: child.number }))
        .sort((one, other) => (one.name < other.name ? -1 : 1))
    },
    read: async (path, { maximumBytes = 16 * 1024 * 1024 } = {}) => {
      const { inode } = must(path, true)
      if (inode.kind !== 'file') throw new GuestError('GUEST_NOT_A_FILE', `"${path}" is no file.`)
      if (inode.content.length > maximumBytes)
        throw new GuestError('GUEST_FILE_TOO_LARGE', `"${path}" is too large.`)
      return inode.content
    },
    readLink: async (path) => must(path, false).inode.target,
    resolve: async (path) => find(path, true)?.path ?? null,
    freeBytes: async () => identity.freeBytes ?? 1024 * 1024 * 1024,
    remove: (path) => {
      pending.push(() => removeNow(path))
    },
    truncate: (path) => {
      pending.push(() => {
        regular(path).content = new Uint8Array()
      })
    },
    write: (path, content, attributes) => {
      pending.push(async () => {
        const bytes = content instanceof Uint8Array ? content : await diskBytes(content)
        must(parentPath(path), true)
        if (!find(path, false)) plant(path, { text: bytes, ...attributes })
        else regular(path).content = bytes
      })
    },
    makeDirectory: (path, attributes = {}) => {
      pending.push(() => {
        must(parentPath(path), true)
        const existing = find(path, true)
        if (!existing) plant(path, { directory: true, mode: 0o755, ...attributes })
        else if (existing.inode.kind !== 'directory')
          throw new GuestError('FILESYSTEM_EDIT_FAILED', `"${path}" is no directory.`)
      })
    },
    setMode: (path, mode) => {
      pending.push(() => {
        must(path, false).inode.mode = mode
      })
    },
    commit: async () => {
      const changes = pending
      pending = []
      if (failure) throw failure
      for (const change of changes) await change()
    },
    committed: (): Disk => {
      throw new Error('A file system in memory has no disk.')
    },
    scrubbed: (): Promise<Disk> => Promise.reject(new Error('A file system in memory has no disk.')),
    close: async () => undefined,
    snapshot: () =>
      Object.fromEntries(
        [...everything(root, '')].map(([path, inode]) => {
          const { number, kind, mode, uid, gid } = inode
          const content = kind === 'symlink' ? inode.target : Buffer.from(inode.content).toString('latin1')
          return [path, `${number} ${kind} ${mode.toString(8)} ${uid}:${gid} ${content}`]
        }),
      ),
    failNextCommit: () => {
      failure = new GuestError('FILESYSTEM_EDIT_FAILED', 'The commit was made to fail.')
    },
  }
}

function statOf(inode: Inode): FileStat {
  const { number, kind, content, target, mode, uid, gid, links } = inode
  return {
    kind,
    inode: number,
    size: kind === 'symlink' ? target.length : content.length,
    mode,
    uid,
    gid,
    links,
    modified: 0,
  }
}

import type { AbortOptions } from '../core/abort.ts'
import { throwIfCancelled } from '../core/abort.ts'
import type { Disk } from '../disk/disk.ts'
import { GuestError } from './errors.ts'
import type { DirectoryEntry, FileAttributes, FileStat, Filesystem } from './filesystem/filesystem.ts'
import { isWithin, joinPath, parentPath, pathComponents } from './guest-path.ts'

/** A file system at its place in the guest's tree. */
export interface GuestMount {
  /** Absolute, without links; `/` for the root. */
  readonly path: string
  readonly filesystem: Filesystem
}

/**
 * The guest's files as the running guest would see them: several file systems composed as its `/etc/fstab` says.
 * Links resolve inside the guest, across mounts too, at most 40 in a path. Reading shows the state of the last
 * commit; what was read is remembered until then, so a directory is listed once however many patterns look into it.
 */
export interface GuestTree {
  readonly mounts: readonly GuestMount[]
  /** The path with every link resolved (the last component only when `follow`, the default), or `null`. */
  resolve(path: string, options?: AbortOptions & { follow?: boolean }): Promise<string | null>
  /** `null` when the path does not exist. Does not follow a link in the last component unless asked. */
  stat(path: string, options?: AbortOptions & { follow?: boolean }): Promise<FileStat | null>
  /** The entries of a directory, sorted by name; empty when there is no such directory. */
  list(path: string, options?: AbortOptions): Promise<readonly DirectoryEntry[]>
  /** The entry a resolved path names, or `null`; `/` is a directory. */
  entry(path: string, options?: AbortOptions): Promise<DirectoryEntry | null>
  /** Follows links; `null` when there is no such regular file. */
  read(path: string, options?: AbortOptions & { maximumBytes?: number }): Promise<Uint8Array | null>
  /** The same as a disk of exactly its bytes, read when they are asked for. Valid until the next commit. */
  open(path: string, options?: AbortOptions): Promise<Disk | null>
  readLink(path: string, options?: AbortOptions): Promise<string>
  /** Whether a mount point other than `/` is at this resolved path or below it. */
  holdsMount(path: string): boolean

  /** The changes take resolved paths, exactly as `resolve` and the matcher give them. */
  remove(path: string): void
  truncate(path: string): void
  write(path: string, content: Uint8Array, attributes?: Partial<FileAttributes>): void
  /** Makes a directory where nothing is. */
  makeDirectory(path: string, attributes: FileAttributes): void
  setMode(path: string, mode: number): void
  /** Applies the collected changes to every file system that has some. */
  commit(options?: AbortOptions): Promise<void>
}

/** A directory that fstab shows at a second place: `/data/home` at `/home`. */
export interface GuestBind {
  readonly path: string
  readonly source: string
}

const maximumLinks = 40

/** A path in the file system that has it. */
interface FilePlace {
  readonly filesystem: Filesystem
  readonly path: string
}

/** Composes file systems into one tree. `mounts` has `/`; a later mount of a path covers an earlier one. */
export function createGuestTree(mounts: readonly GuestMount[], binds: readonly GuestBind[] = []): GuestTree {
  const byDepth = [...mounts].sort((one, other) => other.path.length - one.path.length)
  const bindSources = new Map(binds.map((bind) => [bind.path, bind.source]))
  const mountPoints = new Set(mounts.map((mount) => mount.path))
  const listings = new Map<string, Map<string, DirectoryEntry>>()
  const links = new Map<string, string>()
  const changed = new Set<Filesystem>()

  function locate(path: string): FilePlace {
    const mount = byDepth.find((candidate) => isWithin(path, candidate.path))
    if (!mount) throw new Error('A guest tree needs a root file system.')
    const inner = mount.path === '/' ? path : path.slice(mount.path.length) || '/'
    return { filesystem: mount.filesystem, path: inner }
  }

  function locateForChange(path: string): FilePlace {
    const place = locate(path)
    changed.add(place.filesystem)
    return place
  }

  async function locateFile(path: string, options: AbortOptions): Promise<FilePlace | null> {
    const resolved = await resolve(path, { signal: options.signal })
    if (resolved === null || (await entry(resolved, options))?.kind !== 'file') return null
    return locate(resolved)
  }

  async function entriesOf(directory: string, options: AbortOptions): Promise<Map<string, DirectoryEntry>> {
    const known = listings.get(directory)
    if (known) return known
    throwIfCancelled(options.signal)
    const place = locate(directory)
    const entries = await place.filesystem.list(place.path, options)
    const map = new Map(entries.map((entry) => [entry.name, entry]))
    listings.set(directory, map)
    return map
  }

  async function linkTarget(path: string, options: AbortOptions): Promise<string> {
    const known = links.get(path)
    if (known !== undefined) return known
    const place = locate(path)
    const target = await place.filesystem.readLink(place.path, options)
    links.set(path, target)
    return target
  }

  async function resolve(
    path: string,
    options: AbortOptions & { follow?: boolean } = {},
  ): Promise<string | null> {
    const follow = options.follow ?? true
    const remaining = pathComponents(path).reverse()
    let current = '/'
    let followed = 0
    for (let name = remaining.pop(); name !== undefined; name = remaining.pop()) {
      if (name === '..') {
        current = parentPath(current)
        continue
      }
      const next = joinPath(current, name)
      const bind = bindSources.get(next)
      if (bind !== undefined) {
        followed += 1
        if (followed > maximumLinks) return null
        remaining.push(...pathComponents(bind).reverse())
        current = '/'
        continue
      }
      if (mountPoints.has(next)) {
        current = next
        continue
      }
      const entry = (await entriesOf(current, options)).get(name)
      if (!entry) return null
      if (entry.kind === 'symlink') {
        if (remaining.length === 0 && !follow) return next
        followed += 1
        if (followed > maximumLinks) return null
        const target = await linkTarget(next, options)
        remaining.push(...pathComponents(target).reverse())
        if (target.startsWith('/')) current = '/'
      } else if (entry.kind === 'directory' || remaining.length === 0) {
        current = next
      } else {
        return null
      }
    }
    return current
  }

  async function entry(path: string, options: AbortOptions = {}): Promise<DirectoryEntry | null> {
    const place = locate(path)
    if (place.path === '/') {
      const stat = await place.filesystem.stat('/', options)
      return stat && { name: '', kind: stat.kind, inode: stat.inode }
    }
    const parent = parentPath(path)
    return (await entriesOf(parent, options)).get(path.slice(parent === '/' ? 1 : parent.length + 1)) ?? null
  }

  return {
    mounts,
    resolve,
    entry,
    async stat(path, options = {}) {
      const resolved = await resolve(path, { signal: options.signal, follow: options.follow ?? false })
      if (resolved === null) return null
      const place = locate(resolved)
      return place.filesystem.stat(place.path, { signal: options.signal })
    },
    async list(path, options = {}) {
      const resolved = await resolve(path, options)
      if (resolved === null || (await entry(resolved, options))?.kind !== 'directory') return []
      return [...(await entriesOf(resolved, options)).values()]
    },
    async read(path, options = {}) {
      const place = await locateFile(path, options)
      return place === null ? null : place.filesystem.read(place.path, options)
    },
    async open(path, options = {}) {
      const place = await locateFile(path, options)
      return place === null ? null : place.filesystem.open(place.path, options)
    },
    async readLink(path, options = {}) {
      const resolved = await resolve(path, { signal: options.signal, follow: false })
      if (resolved === null) throw new GuestError('GUEST_FILE_NOT_FOUND', `The image has no "${path}".`)
      return linkTarget(resolved, options)
    },
    holdsMount(path) {
      return mounts.some((mount) => mount.path !== '/' && isWithin(mount.path, path))
    },
    remove(path) {
      const place = locateForChange(path)
      place.filesystem.remove(place.path)
    },
    truncate(path) {
      const place = locateForChange(path)
      place.filesystem.truncate(place.path)
    },
    write(path, content, attributes) {
      const place = locateForChange(path)
      place.filesystem.write(place.path, content, attributes)
    },
    makeDirectory(path, attributes) {
      const place = locateForChange(path)
      place.filesystem.makeDirectory(place.path, attributes)
    },
    setMode(path, mode) {
      const place = locateForChange(path)
      place.filesystem.setMode(place.path, mode)
    },
    async commit(options = {}) {
      for (const filesystem of changed) await filesystem.commit(options)
      changed.clear()
      listings.clear()
      links.clear()
    },
  }
}

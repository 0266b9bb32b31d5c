import type { AbortOptions } from '../../../core/abort.ts'
import { GuestError } from '../../errors.ts'
import { decodeName, encodeName } from '../name-encoding.ts'
import { damaged } from './damaged.ts'
import { readDirectory, type StoredEntry } from './directory.ts'
import { readLinkTarget } from './file-content.ts'
import { type Inode, isType, readInode } from './inode.ts'
import { modeTypes, reservedInodes } from './layout.ts'
import type { Volume } from './volume.ts'

/** Where a path leads. */
export interface Location {
  /** Without links, `.` and `..`. */
  readonly path: string
  readonly inode: Inode
}

/** The place of a name, whether something has it or not. */
export interface NamePlace {
  readonly directory: Inode
  readonly name: string
  readonly entry: StoredEntry | null
}

export interface PathResolver {
  /** null when the path leads nowhere. */
  locate(path: string, options: AbortOptions & { follow: boolean }): Promise<Location | null>
  /** The directory of a path's last component, which is not followed; null when that directory does not exist. */
  place(path: string, options: AbortOptions): Promise<NamePlace | null>
  /** Entries of a directory by name, from a cache. */
  entries(directory: Inode, options: AbortOptions): Promise<ReadonlyMap<string, StoredEntry>>
}

/** As in Linux: ELOOP and ENAMETOOLONG. */
const maximumLinks = 40
const maximumPathBytes = 4096
/** Some MiB of names; beyond that the directories that were not asked for the longest are forgotten. */
const maximumCachedEntries = 30_000

/**
 * Resolves paths inside the image. Links, also absolute ones and ones with `..`, start and end at the file system's
 * root directory: there is nothing above it.
 */
export function createPathResolver(volume: Volume): PathResolver {
  const cache = new Map<number, ReadonlyMap<string, StoredEntry>>()
  let cachedEntries = 0

  async function entries(directory: Inode, options: AbortOptions): Promise<ReadonlyMap<string, StoredEntry>> {
    const cached = cache.get(directory.number)
    if (cached) {
      cache.delete(directory.number)
      cache.set(directory.number, cached)
      return cached
    }
    const byName = new Map<string, StoredEntry>()
    for (const entry of await readDirectory(volume, directory, options)) {
      if (byName.has(entry.name)) {
        throw damaged(`directory inode ${directory.number} has two entries of one name`)
      }
      byName.set(entry.name, entry)
    }
    cache.set(directory.number, byName)
    cachedEntries += byName.size + 1
    for (const [oldest, known] of cache) {
      if (cachedEntries <= maximumCachedEntries || oldest === directory.number) break
      cache.delete(oldest)
      cachedEntries -= known.size + 1
    }
    return byName
  }

  /** Walks `components` from the root; a link's target is put in front of what is left to walk. */
  async function walk(
    components: string[],
    { follow, ...options }: AbortOptions & { follow: boolean },
  ): Promise<Location | null> {
    const stack: { name: string; inode: Inode }[] = []
    const root = await readInode(volume, reservedInodes.root, options)
    const rest = components.toReversed()
    let links = 0
    for (;;) {
      const name = rest.pop()
      const here = stack.at(-1)?.inode ?? root
      if (name === undefined) return { path: `/${stack.map((step) => step.name).join('/')}`, inode: here }
      if (!isType(here.mode, modeTypes.directory)) return null
      if (name === '.') continue
      if (name === '..') {
        stack.pop()
        continue
      }
      const entry = (await entries(here, options)).get(name)
      if (!entry) return null
      const inode = await readInode(volume, entry.inode, options)
      if (isType(inode.mode, modeTypes.symlink) && (rest.length > 0 || follow)) {
        links += 1
        if (links > maximumLinks) {
          throw new GuestError('GUEST_LINK_LOOP', `"/${components.join('/')}" leads through too many links.`)
        }
        if (inode.size > maximumPathBytes) throw damaged(`the link inode ${inode.number} is too long`)
        const target = decodeName(await readLinkTarget(volume, inode, options))
        if (target === '') return null
        if (target.startsWith('/')) stack.length = 0
        rest.push(...splitPath(target).toReversed())
        continue
      }
      stack.push({ name, inode })
    }
  }

  return {
    entries,
    async locate(path, options) {
      return await walk(componentsOf(path), options)
    },
    async place(path, options) {
      const components = componentsOf(path)
      const name = components.pop()
      if (name === undefined || name === '.' || name === '..') {
        throw new GuestError('GUEST_PATH_INVALID', `"${path}" does not end in the name of a file.`)
      }
      const parent = await walk(components, { ...options, follow: true })
      if (!parent || !isType(parent.inode.mode, modeTypes.directory)) return null
      const found = (await entries(parent.inode, options)).get(name)
      return { directory: parent.inode, name, entry: found ?? null }
    },
  }
}

function componentsOf(path: string): string[] {
  if (!path.startsWith('/') || path.includes('\0')) {
    throw new GuestError('GUEST_PATH_INVALID', `"${path}" is not an absolute path.`)
  }
  if (path.length > maximumPathBytes || encodeName(path).length > maximumPathBytes) {
    throw new GuestError(
      'GUEST_PATH_INVALID',
      `"${path.slice(0, 80)}…" is longer than ${maximumPathBytes} bytes.`,
    )
  }
  return splitPath(path)
}

function splitPath(path: string): string[] {
  return path.split('/').filter((component) => component !== '')
}

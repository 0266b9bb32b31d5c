import { type AbortOptions, throwIfCancelled } from '../../../core/abort.ts'
import { GuestError } from '../../errors.ts'
import { joinPath, parentPath, pathComponents } from '../../guest-path.ts'
import { decodeName } from '../name-encoding.ts'
import type { Appliance } from './appliance.ts'
import { command, listItem, quotedLength } from './command.ts'
import { type GuestfsStat, parseStats } from './stat-output.ts'

/** A file system mounted in the appliance, read in whole directories, which are remembered. Links are resolved here. */
export interface MountedTree {
  /** The path with every link resolved (the last component only with `follow`) and what is there, or `null`. */
  locate(path: string, options: AbortOptions & { follow: boolean }): Promise<LocatedFile | null>
  /** A directory's entries; the path is resolved already. */
  entries(path: string, options: AbortOptions): Promise<ReadonlyMap<string, GuestfsStat>>
  readLink(path: string, options: AbortOptions): Promise<string>
  /** Of a regular file; the path is resolved already. Bytes behind its end are zeros. */
  read(path: string, range: { offset: number; length: number }, options: AbortOptions): Promise<Uint8Array>
  /** Forgets what was read. */
  forget(): void
}

export interface LocatedFile {
  readonly path: string
  readonly stat: GuestfsStat
}

/** As in Linux: ELOOP and ENAMETOOLONG. */
const maximumLinks = 40
const maximumPathBytes = 4096
/** A message of libguestfs has at most 4 MiB. */
const maximumRead = 2 * 1024 * 1024
/** Some dozens of MiB; beyond that everything is forgotten and read anew. */
const maximumRemembered = 200_000
const maximumListLine = 7000

/** @param mountPoint where it is mounted in the appliance */
export function createMountedTree(appliance: Appliance, mountPoint: string): MountedTree {
  const directories = new Map<string, ReadonlyMap<string, GuestfsStat>>()
  const links = new Map<string, string>()
  let remembered = 0
  let root: GuestfsStat | null = null

  const inAppliance = (path: string): string => (path === '/' ? mountPoint : `${mountPoint}${path}`)

  async function statOf(path: string): Promise<GuestfsStat | null> {
    return parseStats(await appliance.run([command('lstatns', inAppliance(path))]))[0] ?? null
  }

  async function entries(path: string, { signal }: AbortOptions): Promise<ReadonlyMap<string, GuestfsStat>> {
    const known = directories.get(path)
    if (known) return known
    throwIfCancelled(signal)
    const listed = await appliance.run([`${command('ls0', inAppliance(path))} -`])
    const names = listed
      .split('\0')
      .filter((name) => name !== '')
      .map((name) => decodeName(Buffer.from(name, 'latin1')))
    const stats = parseStats(await appliance.run(statCommands(inAppliance(path), names)))
    if (stats.length !== names.length) throw unreadable(path)
    const found = new Map<string, GuestfsStat>()
    for (const [index, name] of names.entries()) {
      const stat = stats[index]
      if (!stat) throw unreadable(joinPath(path, name))
      found.set(name, stat)
    }
    if (remembered > maximumRemembered) {
      directories.clear()
      remembered = 0
    }
    remembered += found.size + 1
    directories.set(path, found)
    return found
  }

  async function readLink(path: string, { signal }: AbortOptions): Promise<string> {
    const known = links.get(path)
    if (known !== undefined) return known
    throwIfCancelled(signal)
    const output = await appliance.run([command('readlink', inAppliance(path))])
    const target = decodeName(Buffer.from(output.replace(/\n$/, ''), 'latin1'))
    links.set(path, target)
    return target
  }

  return {
    entries,
    readLink,

    async locate(path, { follow, ...options }) {
      checkPath(path)
      root ??= await statOf('/')
      if (!root) throw unreadable('/')
      const rest = pathComponents(path).reverse()
      let here: LocatedFile = { path: '/', stat: root }
      let followed = 0
      for (let name = rest.pop(); name !== undefined; name = rest.pop()) {
        if (here.stat.kind !== 'directory') return null
        if (name === '..') {
          const above = parentPath(here.path)
          here = above === '/' ? { path: '/', stat: root } : await known(above, options)
          continue
        }
        const stat: GuestfsStat | undefined = (await entries(here.path, options)).get(name)
        if (!stat) return null
        const next = joinPath(here.path, name)
        if (stat.kind === 'symlink' && (rest.length > 0 || follow)) {
          followed += 1
          if (followed > maximumLinks) {
            throw new GuestError('GUEST_LINK_LOOP', `"${path}" leads through too many links.`)
          }
          const target = await readLink(next, options)
          if (target === '') return null
          if (target.startsWith('/')) here = { path: '/', stat: root }
          rest.push(...pathComponents(target).reverse())
        } else here = { path: next, stat }
      }
      return here
    },

    async read(path, { offset, length }, { signal }) {
      const bytes = new Uint8Array(length)
      for (let done = 0; done < length; ) {
        throwIfCancelled(signal)
        const count = Math.min(maximumRead, length - done)
        const output = await appliance.run([command('pread', inAppliance(path), count, offset + done)])
        const part = Buffer.from(output, 'latin1')
        bytes.set(part.subarray(0, count), done)
        if (part.length < count) break
        done += count
      }
      return bytes
    },

    forget() {
      directories.clear()
      links.clear()
      remembered = 0
      root = null
    },
  }

  /** A directory that was walked through. */
  async function known(path: string, options: AbortOptions): Promise<LocatedFile> {
    const stat = (await entries(parentPath(path), options)).get(path.slice(path.lastIndexOf('/') + 1))
    if (!stat) throw unreadable(path)
    return { path, stat }
  }
}

/** As few commands as possible: lists of names where they can be listed, in the order of the names. */
function statCommands(directory: string, names: readonly string[]): string[] {
  const commands: string[] = []
  let items: string[] = []
  let length = 0
  const flush = (): void => {
    if (items.length > 0) commands.push(command('lstatnslist', directory, items.join(' ')))
    items = []
    length = 0
  }
  for (const name of names) {
    const item = listItem(name)
    if (item === null) {
      flush()
      commands.push(command('lstatns', joinPath(directory, name)))
      continue
    }
    const itemLength = quotedLength(item) + 1
    if (length + itemLength > maximumListLine - quotedLength(directory)) flush()
    items.push(item)
    length += itemLength
  }
  flush()
  return commands
}

function checkPath(path: string): void {
  if (!path.startsWith('/') || path.includes('\0') || Buffer.byteLength(path) > maximumPathBytes) {
    throw new GuestError(
      'GUEST_PATH_INVALID',
      `"${path.slice(0, 80)}" is not an absolute path, or is too long.`,
    )
  }
}

function unreadable(path: string): GuestError {
  return new GuestError('FILESYSTEM_DAMAGED', `The file system is damaged: "${path}" cannot be looked at.`)
}

import { type AbortOptions, throwIfCancelled } from '../../../core/abort.ts'
import { ByteRangesBuilder } from '../../../disk/byte-ranges.ts'
import type { Disk } from '../../../disk/disk.ts'
import { maskDisk } from '../../../disk/masked-disk.ts'
import { memoryDisk } from '../../../disk/memory-disk.ts'
import { withWindows } from '../../../disk/overlay-disk.ts'
import { GuestError } from '../../errors.ts'
import { pathComponents } from '../../guest-path.ts'
import type { Edit } from '../edit.ts'
import type { FileStat, Filesystem } from '../filesystem.ts'
import type { FilesystemProbe } from '../probe-filesystem.ts'
import { defaultMaximumBytes, refuseLargeFile } from '../refuse-large-file.ts'
import { addFatFiles, type NewFile } from './add-files.ts'
import { directoryWindows, infoWindow, tableWindows } from './changed-windows.ts'
import { damagedFat } from './damaged-fat.ts'
import type { FatEntry } from './directory-entries.ts'
import { clusterOffset } from './geometry.ts'
import { directoryEntry, freeEntry } from './layout.ts'
import { entryOf, type FatVolume, openFat } from './open-fat.ts'
import { type FatDirectory, scanFat } from './scan-fat.ts'

/** What Linux shows where the file system has no owners and modes. */
const shownMode = 0o755

/**
 * A FAT file system as every other one: an EFI system partition, whose boot loader keeps a random seed there. Nothing is copied;
 * changes are views. It has no links, owners and modes; new directories are not made.
 * @throws GuestError `FILESYSTEM_DAMAGED` | `FILESYSTEM_UNSUPPORTED`
 */
export async function openFatFilesystem(
  disk: Disk,
  probe: FilesystemProbe,
  options: AbortOptions = {},
): Promise<Filesystem> {
  let volume = await openFat(disk, options)
  let edits: Edit[] = []

  async function find(path: string, options: AbortOptions): Promise<FatEntry | 'root' | null> {
    throwIfCancelled(options.signal)
    const normal = `/${pathComponents(path).join('/')}`
    return normal === '/' ? 'root' : volume.find(normal, options)
  }

  async function file(path: string, options: AbortOptions): Promise<FatEntry> {
    const entry = await find(path, options)
    if (!entry) throw new GuestError('GUEST_FILE_NOT_FOUND', `The image has no "${path}".`)
    if (entry === 'root' || entry.isDirectory) {
      throw new GuestError('GUEST_NOT_A_FILE', `"${path}" is not a regular file.`)
    }
    return entry
  }

  return {
    type: 'vfat',
    uuid: probe.uuid,
    label: probe.label,

    async stat(path, options = {}) {
      const entry = await find(path, options)
      return entry === null ? null : statOf(entry, await placeOf(volume, path, entry, options))
    },

    async list(path, options = {}) {
      const entries = await volume.list(`/${pathComponents(path).join('/')}`, options)
      if (!entries) throw new GuestError('GUEST_NOT_A_DIRECTORY', `"${path}" is not a directory.`)
      const listed = []
      for (const entry of entries) {
        const inode = await placeOf(volume, `${path}/${entry.name}`, entry, options)
        listed.push({ name: entry.name, kind: statOf(entry, inode).kind, inode })
      }
      return listed.sort((one, other) => (one.name < other.name ? -1 : 1))
    },

    async read(path, { maximumBytes = defaultMaximumBytes, ...options } = {}) {
      const entry = await file(path, options)
      refuseLargeFile(path, entry.size, maximumBytes)
      const bytes = new Uint8Array(entry.size)
      await volume.content(entry).read(bytes, 0, options)
      return bytes
    },

    open: async (path, options = {}) => volume.content(await file(path, options)),

    async readLink(path) {
      throw new GuestError('GUEST_NOT_A_FILE', `"${path}" is not a symbolic link.`)
    },

    async resolve(path, options = {}) {
      return (await find(path, options)) ? `/${pathComponents(path).join('/')}` : null
    },

    async freeBytes() {
      const free = volume.table.reduce((sum, next, cluster) => sum + (cluster >= 2 && next === 0 ? 1 : 0), 0)
      return free * volume.geometry.clusterBytes
    },

    remove: (path) => void edits.push({ kind: 'remove', path }),
    truncate: (path) => void edits.push({ kind: 'truncate', path }),
    write: (path, content, attributes = {}) => void edits.push({ kind: 'write', path, content, attributes }),
    makeDirectory: (path, attributes = {}) => void edits.push({ kind: 'make-directory', path, attributes }),
    setMode: (path, mode) => void edits.push({ kind: 'set-mode', path, mode }),

    async commit(options = {}) {
      const wanted = edits
      edits = []
      if (wanted.length > 0) volume = await commitEdits(volume, wanted, options)
    },

    committed: () => volume.disk,

    scrubbed: (options = {}) => scrub(volume, options),

    close: async () => undefined,
  }
}

/** Where the short entry stands, which nothing else can share: it stays the same as long as the file does. */
async function placeOf(
  volume: FatVolume,
  path: string,
  entry: FatEntry | 'root',
  options: AbortOptions,
): Promise<number> {
  if (entry === 'root') return 1
  const parent = pathComponents(path).slice(0, -1)
  const directory = parent.length === 0 ? null : await volume.find(`/${parent.join('/')}`, options)
  return ((directory?.cluster ?? 0) + 1) * 65_536 + entry.offset / directoryEntry.bytes
}

function statOf(entry: FatEntry | 'root', inode: number): FileStat {
  const isDirectory = entry === 'root' || entry.isDirectory
  return {
    kind: isDirectory ? 'directory' : 'file',
    inode,
    size: isDirectory ? 0 : entry.size,
    mode: shownMode,
    uid: 0,
    gid: 0,
    links: 1,
    modified: 0,
  }
}

/** Removals and truncations first, then what is written; a view of the volume with all of it. */
async function commitEdits(
  volume: FatVolume,
  edits: readonly Edit[],
  options: AbortOptions,
): Promise<FatVolume> {
  const directories = await scanFat(volume, options)
  const table = volume.table.slice()
  const changed = new Set<FatDirectory>()
  const written: NewFile[] = []

  function locate(path: string): { directory: FatDirectory; entry: FatEntry } | null {
    const names = pathComponents(path)
    let directory = directories.get(null)
    for (const [index, name] of names.entries()) {
      const entry = directory && entryOf(directory.entries, name)
      if (!directory || !entry) return null
      if (index === names.length - 1) return { directory, entry }
      directory = directories.get(entry.cluster)
    }
    return null
  }

  /** A file's clusters; of a directory those of everything below it too. */
  function free(directory: FatDirectory, entry: FatEntry): void {
    const below = entry.isDirectory ? directories.get(entry.cluster) : undefined
    for (const inner of below?.entries ?? []) if (below) free(below, inner)
    for (const cluster of below?.chain ?? directory.chains.get(entry) ?? []) table[cluster] = 0
  }

  for (const edit of edits) {
    const { path } = edit
    const found = locate(path)
    if (edit.kind === 'write') {
      const content = edit.content instanceof Uint8Array ? memoryDisk(edit.content) : edit.content
      written.push({ path, content })
    } else if (edit.kind === 'remove' && found) {
      const { directory, entry } = found
      free(directory, entry)
      removeEntry(directory.bytes, entry)
      changed.add(directory)
    } else if (edit.kind === 'truncate' && found && !found.entry.isDirectory) {
      const { directory, entry } = found
      free(directory, entry)
      const short = directory.bytes.subarray(entry.offset, entry.offset + directoryEntry.bytes)
      short.writeUInt16LE(0, directoryEntry.clusterHigh)
      short.writeUInt16LE(0, directoryEntry.clusterLow)
      short.writeUInt32LE(0, directoryEntry.size)
      changed.add(directory)
    } else {
      throw new GuestError('FILESYSTEM_EDIT_FAILED', `"${path}" cannot be changed in a FAT file system.`)
    }
  }
  const { geometry, disk } = volume
  const windows = [...changed].flatMap((directory) => directoryWindows(geometry, directory))
  windows.push(...tableWindows(volume, table))
  if (geometry.fsInfoOffset !== null)
    windows.push(await infoWindow(disk, geometry.fsInfoOffset, table, options))
  const removed = await openFat(withWindows(disk, windows), options)
  return written.length === 0 ? removed : openFat(await addFatFiles(removed, written, options), options)
}

/** The short entry, and the long ones in front of it. */
function removeEntry(bytes: Buffer, { offset }: FatEntry): void {
  for (let at = offset; at >= 0; at -= directoryEntry.bytes) {
    const isLong = (bytes.readUInt8(at + directoryEntry.attributes) & 0x3f) === 0x0f
    if (at !== offset && (!isLong || bytes[at] === freeEntry)) break
    bytes.fill(0, at, at + directoryEntry.bytes)
    bytes[at] = freeEntry
  }
}

/** Zeros in every cluster and directory entry that nothing owns, and behind the ends of files. */
async function scrub(volume: FatVolume, options: AbortOptions): Promise<Disk> {
  const { geometry, table, disk } = volume
  const directories = await scanFat(volume, options)
  const owned = new Uint8Array(table.length)
  const mask = new ByteRangesBuilder()
  const windows = []
  for (const directory of directories.values()) {
    for (const cluster of directory.chain) owned[cluster] = 1
    for (const [entry, chain] of directory.chains) {
      for (const cluster of chain) owned[cluster] = 1
      const last = chain.at(-1)
      const tail = chain.length * geometry.clusterBytes - entry.size
      if (tail < 0 || tail >= geometry.clusterBytes) {
        throw damagedFat(`"${entry.name}" has not as many clusters as its size takes`)
      }
      if (last === undefined) continue
      mask.add(clusterOffset(geometry, last) + geometry.clusterBytes - tail, tail)
    }
    if (dropDeleted(directory.bytes)) windows.push(...directoryWindows(geometry, directory))
  }
  for (let cluster = 2; cluster < table.length; cluster += 1) {
    if (!owned[cluster]) mask.add(clusterOffset(geometry, cluster), geometry.clusterBytes)
  }
  const end = geometry.dataOffset + geometry.clusterCount * geometry.clusterBytes
  mask.add(end, Math.max(0, disk.size - end))
  return withWindows(maskDisk(disk, mask.build()), windows)
}

/** @returns whether anything was left of removed entries */
function dropDeleted(bytes: Buffer): boolean {
  const before = Buffer.from(bytes)
  for (let at = 0; at < bytes.length; at += directoryEntry.bytes) {
    if (bytes[at] === 0) {
      bytes.fill(0, at)
      break
    }
    if (bytes[at] === freeEntry) bytes.fill(0, at + 1, at + directoryEntry.bytes)
  }
  return !before.equals(bytes)
}

import { type AbortOptions, throwIfCancelled } from '../../../core/abort.ts'
import type { Disk } from '../../../disk/disk.ts'
import { type DiskWindow, withWindows } from '../../../disk/overlay-disk.ts'
import { paddedDisk } from '../../../disk/padded-disk.ts'
import { windowDisk } from '../../../disk/window-disk.ts'
import { GuestError } from '../../errors.ts'
import { chainFrom, endMark } from './allocation-table.ts'
import { directoryWindows, infoWindow, tableWindows } from './changed-windows.ts'
import { decodeDirectory, encodeEntries, writeShortEntry } from './directory-entries.ts'
import { clusterOffset, type FatGeometry } from './geometry.ts'
import { directoryEntry, freeEntry, lastFreeEntry, longName, maximumDirectoryBytes } from './layout.ts'
import { clusterRuns, directoryChain, entryOf, type FatVolume, fatPath, readDirectory } from './open-fat.ts'

/** A file to put into a file system. */
export interface NewFile {
  /** Absolute; directories that are missing are made. Letters, digits and `._-+~ ` in names. */
  readonly path: string
  /** Exactly the bytes of the file. Read when the result is read. */
  readonly content: Disk
}

/** A directory that is being changed. */
interface Directory {
  /** Null for the root. */
  readonly cluster: number | null
  chain: number[]
  bytes: Buffer
  changed: boolean
}

/**
 * The file system with these files in it, as a view: a file of the same path is replaced, everything else keeps its place.
 * The content of the files is not copied.
 * @throws GuestError `FILESYSTEM_EDIT_FAILED` when there is no room, or a name is in the way
 */
export async function addFatFiles(
  volume: FatVolume,
  files: readonly NewFile[],
  options: AbortOptions = {},
): Promise<Disk> {
  const { geometry, disk } = volume
  const table = volume.table.slice()
  const windows: DiskWindow[] = []
  const directories = new Map<number | null, Directory>()
  let searchFrom = 2

  /** Takes free clusters, neighbours as far as there are, and chains them. */
  function allocate(count: number): number[] {
    const chain: number[] = []
    for (let cluster = searchFrom; cluster < table.length && chain.length < count; cluster += 1) {
      if (table[cluster] === 0) chain.push(cluster)
    }
    if (chain.length < count) throw failed(`there is no room for ${count * geometry.clusterBytes} bytes`)
    chain.forEach((cluster, index) => {
      table[cluster] = chain[index + 1] ?? endMark(geometry)
    })
    searchFrom = (chain.at(-1) ?? searchFrom - 1) + 1
    return chain
  }

  async function directoryAt(cluster: number | null): Promise<Directory> {
    const known = directories.get(cluster)
    if (known) return known
    const directory = {
      cluster,
      chain: directoryChain(volume, cluster),
      bytes: await readDirectory(volume, cluster, options),
      changed: false,
    }
    directories.set(cluster, directory)
    return directory
  }

  /** Puts entries into free places of a directory, which grows where there are not enough. */
  function addEntries(directory: Directory, entries: Buffer): void {
    // All behind the first entry that ends the directory is free, whatever stands there.
    directory.bytes.fill(0, endOfEntries(directory.bytes))
    let offset = freePlace(directory.bytes, entries.length)
    while (offset === null) {
      const last = directory.chain.at(-1)
      if (last === undefined || directory.bytes.length >= maximumDirectoryBytes)
        throw failed('a directory is full')
      const [added = 0] = allocate(1)
      table[last] = added
      directory.chain.push(added)
      directory.bytes = Buffer.concat([directory.bytes, Buffer.alloc(geometry.clusterBytes)])
      offset = freePlace(directory.bytes, entries.length)
    }
    directory.bytes.set(entries, offset)
    directory.changed = true
  }

  function makeDirectory(parent: Directory, name: string): Directory {
    const chain = allocate(1)
    const [cluster = 0] = chain
    const bytes = Buffer.alloc(geometry.clusterBytes)
    // Section "Directory Creation": the root directory is cluster 0 to its children, whatever its number is.
    for (const [index, [dots, target]] of [
      ['.', cluster] as const,
      ['..', parent.cluster ?? 0] as const,
    ].entries()) {
      const entry = bytes.subarray(index * directoryEntry.bytes, (index + 1) * directoryEntry.bytes)
      entry.write(dots.padEnd(11), 'latin1')
      writeShortEntry(entry, { isDirectory: true, size: 0, cluster: target })
    }
    addEntries(parent, encodeEntries({ name, isDirectory: true, size: 0, cluster }, shortNames(parent)))
    const directory = { cluster, chain, bytes, changed: true }
    directories.set(cluster, directory)
    return directory
  }

  async function enter(parent: Directory, name: string): Promise<Directory> {
    const found = entryOf(decodeDirectory(parent.bytes), name)
    if (!found) return makeDirectory(parent, name)
    if (!found.isDirectory) throw failed(`"${name}" is a file and not a directory`)
    return directoryAt(found.cluster)
  }

  async function addFile({ path, content }: NewFile): Promise<void> {
    throwIfCancelled(options.signal)
    const names = fatPath(path)
    const name = names.pop()
    if (name === undefined || [...names, name].some((part) => !isWritable(part))) {
      throw failed(`"${path}" is no name for a file`)
    }
    let directory = await directoryAt(null)
    for (const parent of names) directory = await enter(directory, parent)
    const existing = entryOf(decodeDirectory(directory.bytes), name)
    if (existing?.isDirectory) throw failed(`"${path}" is a directory`)
    if (existing && existing.cluster > 0) {
      for (const cluster of chainFrom(table, existing.cluster, geometry)) table[cluster] = 0
      searchFrom = 2
    }
    const size = content.size
    if (size > 0xffff_ffff) throw failed(`"${path}" would have ${size} bytes`)
    const chain = allocate(Math.ceil(size / geometry.clusterBytes))
    const written = { isDirectory: false, size, cluster: chain[0] ?? 0 }
    if (existing) {
      const { offset } = existing
      writeShortEntry(directory.bytes.subarray(offset, offset + directoryEntry.bytes), written)
      directory.changed = true
    } else {
      addEntries(directory, encodeEntries({ name, ...written }, shortNames(directory)))
    }
    windows.push(...contentWindows(geometry, chain, content))
  }

  for (const file of files) await addFile(file)
  for (const directory of directories.values()) {
    if (directory.changed) windows.push(...directoryWindows(geometry, directory))
  }
  windows.push(...tableWindows(volume, table))
  if (geometry.fsInfoOffset !== null)
    windows.push(await infoWindow(disk, geometry.fsInfoOffset, table, options))
  return withWindows(disk, windows)
}

/** Names that are valid as long names, and that firmware and boot loaders of every kind take. */
function isWritable(name: string): boolean {
  return /^[\w.+~ -]+$/.test(name) && name.length <= longName.maximumLength && !/^\.+$|[. ]$/.test(name)
}

function shortNames({ bytes }: Directory): Set<string> {
  return new Set(decodeDirectory(bytes).map(({ shortName }) => shortName))
}

function endOfEntries(bytes: Buffer): number {
  let offset = 0
  while (offset < bytes.length && bytes[offset] !== lastFreeEntry) offset += directoryEntry.bytes
  return offset
}

/** The offset of so many free bytes in a row, or null. */
function freePlace(bytes: Buffer, length: number): number | null {
  let start = 0
  for (let offset = 0; offset < bytes.length; offset += directoryEntry.bytes) {
    const first = bytes[offset]
    if (first === lastFreeEntry) return start + length <= bytes.length ? start : null
    if (first !== freeEntry) start = offset + directoryEntry.bytes
    else if (offset + directoryEntry.bytes - start >= length) return start
  }
  return null
}

function contentWindows(geometry: FatGeometry, chain: readonly number[], content: Disk): DiskWindow[] {
  return clusterRuns(chain).map(({ index, cluster, count }) => {
    const start = index * geometry.clusterBytes
    const length = Math.min(count * geometry.clusterBytes, content.size - start)
    // What stood behind the end of the last cluster's part is somebody's old data.
    return {
      offset: clusterOffset(geometry, cluster),
      disk: paddedDisk(windowDisk(content, start, length), geometry.clusterBytes),
    }
  })
}

function failed(reason: string): GuestError {
  return new GuestError('FILESYSTEM_EDIT_FAILED', `The FAT file system cannot be changed: ${reason}.`)
}

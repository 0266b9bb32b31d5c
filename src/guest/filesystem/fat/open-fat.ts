import type { AbortOptions } from '../../../core/abort.ts'
import { composeDisk } from '../../../disk/composed-disk.ts'
import type { Disk } from '../../../disk/disk.ts'
import type { DiskWindow } from '../../../disk/overlay-disk.ts'
import { windowDisk } from '../../../disk/window-disk.ts'
import { type AllocationTable, chainFrom, decodeTable } from './allocation-table.ts'
import { damagedFat } from './damaged-fat.ts'
import { decodeDirectory, type FatEntry } from './directory-entries.ts'
import { clusterOffset, type FatGeometry, readGeometry } from './geometry.ts'
import { maximumDirectoryBytes } from './layout.ts'

/**
 * A FAT file system, as EFI system partitions have it. Names are looked up without regard to case; there are no links.
 * The table is in memory: at most 16 MiB as it stands, and four bytes a cluster beside it.
 */
export interface FatVolume {
  readonly disk: Disk
  readonly geometry: FatGeometry
  /** The table as it stands on the disk, and decoded. */
  readonly tableBytes: Buffer
  readonly table: AllocationTable
  /** What is in a directory; null when there is no such directory. */
  list(path: string, options?: AbortOptions): Promise<FatEntry[] | null>
  /** The entry of a path; null when there is none, and for the root. */
  find(path: string, options?: AbortOptions): Promise<FatEntry | null>
  /** A file's bytes, exactly as many as it has, read when they are asked for. */
  content(file: FatEntry): Disk
}

/**
 * Opens a FAT12, FAT16 or FAT32 file system for reading. The disk stays the caller's.
 * @throws GuestError `FILESYSTEM_DAMAGED` | `FILESYSTEM_UNSUPPORTED`
 */
export async function openFat(disk: Disk, options: AbortOptions = {}): Promise<FatVolume> {
  if (disk.size < 512) throw damagedFat('it has no first sector')
  const sector = Buffer.alloc(512)
  await disk.read(sector, 0, options)
  const geometry = readGeometry(sector, disk.size)
  const tableBytes = Buffer.alloc(geometry.fatBytes)
  await disk.read(tableBytes, geometry.fatOffset, options)
  const table = decodeTable(tableBytes, geometry)

  async function list(path: string, listOptions: AbortOptions = {}): Promise<FatEntry[] | null> {
    let entries = decodeDirectory(await readDirectory(volume, null, listOptions))
    for (const name of fatPath(path)) {
      const directory = entryOf(entries, name)
      if (!directory?.isDirectory) return null
      entries = decodeDirectory(await readDirectory(volume, directory.cluster, listOptions))
    }
    return entries
  }

  const volume: FatVolume = {
    disk,
    geometry,
    tableBytes,
    table,
    list,
    async find(path, findOptions) {
      const names = fatPath(path)
      const name = names.pop()
      const parent = name === undefined ? null : await list(`/${names.join('/')}`, findOptions)
      return (name !== undefined && parent && entryOf(parent, name)) || null
    },
    content({ cluster, size }) {
      if (size === 0) return composeDisk(0, [])
      const chain = chainFrom(table, cluster, geometry)
      if (chain.length * geometry.clusterBytes < size) throw damagedFat('a file is longer than its clusters')
      return composeDisk(size, clusterWindows(volume, chain, size))
    },
  }
  return volume
}

/** The names in a path. */
export function fatPath(path: string): string[] {
  return path.split('/').filter((name) => name !== '')
}

export function entryOf(entries: readonly FatEntry[], name: string): FatEntry | undefined {
  const wanted = name.toLowerCase()
  return entries.find((entry) =>
    [entry.name, entry.shortName].some((known) => known.toLowerCase() === wanted),
  )
}

/**
 * All bytes of a directory; of the root where `cluster` is null.
 * @throws GuestError `FILESYSTEM_DAMAGED` when it is longer than a directory can be
 */
export async function readDirectory(
  volume: FatVolume,
  cluster: number | null,
  options: AbortOptions,
): Promise<Buffer> {
  const { disk, geometry } = volume
  const { root } = geometry
  if (cluster === null && 'offset' in root) {
    const bytes = Buffer.alloc(root.bytes)
    await disk.read(bytes, root.offset, options)
    return bytes
  }
  const chain = directoryChain(volume, cluster)
  const bytes = Buffer.alloc(chain.length * geometry.clusterBytes)
  await composeDisk(bytes.length, clusterWindows(volume, chain, bytes.length)).read(bytes, 0, options)
  return bytes
}

/** The clusters of a directory; none for a root directory in a fixed area. */
export function directoryChain({ table, geometry }: FatVolume, cluster: number | null): number[] {
  const { root } = geometry
  const first = cluster ?? ('cluster' in root ? root.cluster : null)
  if (first === null) return []
  const chain = chainFrom(table, first, geometry)
  if (chain.length * geometry.clusterBytes > maximumDirectoryBytes)
    throw damagedFat('a directory is too long')
  return chain
}

/** The clusters of a chain, neighbours together, at their places in what they hold. */
function clusterWindows({ disk, geometry }: FatVolume, chain: readonly number[], size: number): DiskWindow[] {
  return clusterRuns(chain).map(({ index, cluster, count }) => {
    const offset = index * geometry.clusterBytes
    const length = Math.min(count * geometry.clusterBytes, size - offset)
    return { offset, disk: windowDisk(disk, clusterOffset(geometry, cluster), Math.max(0, length)) }
  })
}

/** Runs of neighbours in a chain; `index` is the place of the first in the chain. */
export function clusterRuns(chain: readonly number[]): { index: number; cluster: number; count: number }[] {
  const runs: { index: number; cluster: number; count: number }[] = []
  chain.forEach((cluster, index) => {
    const last = runs.at(-1)
    if (last && last.cluster + last.count === cluster) last.count += 1
    else runs.push({ index, cluster, count: 1 })
  })
  return runs
}

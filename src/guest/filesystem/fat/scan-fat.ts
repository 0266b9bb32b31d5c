import { type AbortOptions, throwIfCancelled } from '../../../core/abort.ts'
import { chainFrom } from './allocation-table.ts'
import { damagedFat } from './damaged-fat.ts'
import { decodeDirectory, type FatEntry } from './directory-entries.ts'
import { directoryChain, type FatVolume, readDirectory } from './open-fat.ts'

export interface FatDirectory {
  readonly chain: readonly number[]
  readonly bytes: Buffer
  readonly entries: readonly FatEntry[]
  /** The clusters of each file in it. */
  readonly chains: ReadonlyMap<FatEntry, readonly number[]>
}

/**
 * Reads all directories, by their first cluster; the root is `null`.
 * @throws GuestError `FILESYSTEM_DAMAGED` when a cluster belongs to two files
 */
export async function scanFat(
  volume: FatVolume,
  { signal }: AbortOptions,
): Promise<Map<number | null, FatDirectory>> {
  const { table, geometry } = volume
  const directories = new Map<number | null, FatDirectory>()
  const owned = new Uint8Array(table.length)
  const own = (chain: readonly number[]): readonly number[] => {
    for (const cluster of chain) {
      if (owned[cluster]) throw damagedFat(`cluster ${cluster} belongs to two files`)
      owned[cluster] = 1
    }
    return chain
  }
  const waiting: (number | null)[] = [null]
  for (let cluster = waiting.pop(); cluster !== undefined; cluster = waiting.pop()) {
    throwIfCancelled(signal)
    const chain = own(directoryChain(volume, cluster))
    const bytes = await readDirectory(volume, cluster, { signal })
    const entries = decodeDirectory(bytes)
    const chains = new Map<FatEntry, readonly number[]>()
    for (const entry of entries) {
      if (entry.isDirectory) waiting.push(entry.cluster)
      else if (entry.cluster > 0) chains.set(entry, own(chainFrom(table, entry.cluster, geometry)))
    }
    directories.set(cluster, { chain, bytes, entries, chains })
  }
  return directories
}

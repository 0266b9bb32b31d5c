import type { AbortOptions } from '../../../core/abort.ts'
import type { Disk } from '../../../disk/disk.ts'
import { damaged } from './damaged.ts'
import { type GroupDescriptors, readGroupDescriptors } from './group-descriptors.ts'
import { readSuperblock, type Superblock } from './superblock.ts'

/** An ext2/3/4 file system as it stands at one moment; a change makes a new one. */
export interface Volume {
  readonly disk: Disk
  readonly superblock: Superblock
  readonly groups: GroupDescriptors
  /** One block, from a cache of 1 MiB: do not change it, and do not keep it. */
  readBlock(block: number, options: AbortOptions): Promise<Uint8Array>
}

const cachedBytes = 1024 * 1024

/** @throws GuestError `FILESYSTEM_DAMAGED` | `FILESYSTEM_UNSUPPORTED` */
export async function openVolume(disk: Disk, options: AbortOptions): Promise<Volume> {
  const superblock = await readSuperblock(disk, options)
  const groups = await readGroupDescriptors(disk, superblock, options)
  const { blockSize, blocksCount } = superblock
  const cache = new Map<number, Uint8Array>()
  const capacity = Math.max(16, cachedBytes / blockSize)

  return {
    disk,
    superblock,
    groups,
    async readBlock(block, readOptions) {
      const cached = cache.get(block)
      if (cached) {
        cache.delete(block)
        cache.set(block, cached)
        return cached
      }
      if (!(block > 0 && block < blocksCount)) throw damaged(`it points to block ${block}, which is outside`)
      const bytes = new Uint8Array(blockSize)
      await disk.read(bytes, block * blockSize, readOptions)
      cache.set(block, bytes)
      if (cache.size > capacity) {
        for (const oldest of cache.keys()) {
          cache.delete(oldest)
          break
        }
      }
      return bytes
    },
  }
}

import type { AbortOptions } from '../core/abort.ts'
import type { Disk } from '../disk/disk.ts'
import type { Partition, PartitionTable } from '../disk/partition/partition-table.ts'
import type { GuestError } from './errors.ts'
import type { Filesystem } from './filesystem/filesystem.ts'
import type { FilesystemProbe } from './filesystem/probe-filesystem.ts'
import type { GuestTree } from './guest-tree.ts'
import type { SwapHeader } from './swap-area.ts'
import type { GuestWarning } from './warnings.ts'

/** What one partition, or a disk without partitions, holds. */
export interface GuestVolume {
  /** `null` when the file system takes the whole disk. */
  readonly partition: Partition | null
  /** Where it lies in the disk, in bytes. */
  readonly offset: number
  readonly length: number
  /** What its signatures say; `null` when nothing is recognised. */
  readonly probe: FilesystemProbe | null
  /** Set when it is swap. */
  readonly swap: SwapHeader | null
  /** Set when it is a file system that can be read and changed. */
  readonly filesystem: Filesystem | null
  /** Why a file system that was recognised could not be opened. */
  readonly openError: GuestError | null
  /** Where the guest sees it: a path, `swap`, or `null`. */
  readonly mountPoint: string | null
  /** Set for what lies inside another volume: a logical volume, what is encrypted, a mirror. Its place is that of the outer one. */
  readonly inner?: {
    /** How messages name it. */
    readonly name: string
    /** The devices as which the guest may know it. */
    readonly devices: readonly string[]
  } | null
  /** Set where others lie inside that were opened. */
  readonly container?: {
    /** Its bytes with those inside as they may leave the machine, and zeros where nothing is. Valid until `close`. */
    scrubbed(options?: AbortOptions): Promise<Disk>
  }
}

/** An image opened as the machine it holds. */
export interface Guest {
  readonly disk: Disk
  readonly partitionTable: PartitionTable
  readonly volumes: readonly GuestVolume[]
  /** The guest's files; `null` when no operating system was found. */
  readonly tree: GuestTree | null
  /**
   * Why this guest must not be cleaned: parts of it that hold, or may hold, files nobody could look into. Empty for
   * a guest that can be cleaned; inspection works all the same.
   */
  readonly obstacles: readonly GuestError[]
  readonly warnings: readonly GuestWarning[]
  /**
   * The whole disk as it may leave the machine: every file system that could be opened replaced by its scrubbed
   * view with the committed changes, the content of swap and the space that belongs to no partition read as zeros.
   * What starts the machine stays as it is: boot sector and boot loader before the first partition, partition tables, boot
   * partitions. Partitions that are not understood stay too, each with a warning. Valid until `close`.
   */
  scrubbed(options?: AbortOptions): Promise<Disk>
  /** Releases the working files; does not close `disk`. */
  close(): Promise<void>
}

/** How messages name a volume. */
export function volumeName(volume: Pick<GuestVolume, 'partition' | 'inner'>): string {
  if (volume.inner) return volume.inner.name
  return volume.partition ? `Partition ${volume.partition.number}` : 'The disk'
}

/**
 * The guest's tree, when all of it can be cleaned.
 * @throws GuestError the first obstacle, or `GUEST_NOT_FOUND`
 */
export function cleanableTree(guest: Pick<Guest, 'tree' | 'obstacles'>): GuestTree {
  const [obstacle] = guest.obstacles
  if (obstacle) throw obstacle
  if (!guest.tree) throw new Error('A guest without a tree has an obstacle.')
  return guest.tree
}

import type { AbortOptions } from '../../../core/abort.ts'
import type { Disk } from '../../../disk/disk.ts'
import { forgetTrim, type Patch } from '../f2fs/forget-trim.ts'
import { readXfsGeometry } from '../xfs/geometry.ts'
import { scrubXfs } from '../xfs/scrub-xfs.ts'
import { isLogClean } from '../xfs/xfs-log.ts'
import { command } from './command.ts'

export type GuestfsType = 'xfs' | 'btrfs' | 'f2fs'

/** How the file systems differ that libguestfs opens. */
export interface GuestfsKind {
  /** As mount(8) knows it. */
  readonly type: GuestfsType
  /** Further options for mounting, with a comma in front. */
  readonly mountOptions: string
  /** More of them for reading alone what `disk` holds. */
  readonly readOptions: (disk: Disk, options: AbortOptions) => Promise<string>
  readonly hasSubvolumes: boolean
  /** What checks the unmounted file system without repairing it, and fails when it finds something. */
  readonly check: ((device: string) => { command: string; package: string }) | null
  /** How the kernel is asked for the free space: not at all, or mounted for reading, or for writing, which changes it. */
  readonly trim: 'never' | 'reading' | 'writing'
  /** What has to be written before the kernel discards all free space, unmounted. */
  readonly beforeTrim: (disk: Disk, options: AbortOptions) => Promise<Patch[]>
  /** Zeros in what no discard reaches. */
  readonly scrub: (disk: Disk, options: AbortOptions) => Promise<Disk>
}

export const guestfsKinds: Readonly<Record<GuestfsType, GuestfsKind>> = {
  xfs: {
    type: 'xfs',
    // Two partitions of an image may be copies of each other.
    mountOptions: ',nouuid',
    hasSubvolumes: false,
    check: (device) => ({
      command: `${command('xfs-repair', device)} nomodify:true`,
      package: 'libguestfs-xfs (Debian, Ubuntu, Fedora)',
    }),
    // Even for reading it writes into its log, unless it is told to leave that alone.
    readOptions: async (disk, options) =>
      (await isLogClean(disk, await readXfsGeometry(disk, options), options)) ? ',norecovery' : '',
    trim: 'never',
    beforeTrim: async () => [],
    scrub: scrubXfs,
  },
  btrfs: {
    type: 'btrfs',
    // The whole tree with all subvolumes, whichever the guest mounts.
    mountOptions: ',subvolid=5',
    hasSubvolumes: true,
    check: (device) => ({
      command: command('btrfs-fsck', device),
      package: 'btrfs-progs',
    }),
    readOptions: async () => '',
    trim: 'reading',
    beforeTrim: async () => [],
    scrub: async (disk) => disk,
  },
  f2fs: {
    type: 'f2fs',
    mountOptions: '',
    hasSubvolumes: false,
    check: null,
    readOptions: async () => '',
    trim: 'writing',
    beforeTrim: forgetTrim,
    scrub: async (disk) => disk,
  },
}

export function isGuestfsType(type: string): type is GuestfsType {
  return type in guestfsKinds
}

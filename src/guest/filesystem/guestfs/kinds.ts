import type { AbortOptions } from '../../../core/abort.ts'
import type { Disk } from '../../../disk/disk.ts'
import { command } from './command.ts'

export type GuestfsType = 'xfs' | 'btrfs' | 'f2fs'

/** How the file systems differ that libguestfs opens. */
export interface GuestfsKind {
  /** As mount(8) knows it. */
  readonly type: GuestfsType
  /** Further options for mounting, with a comma in front. */
  readonly mountOptions: string
  readonly hasSubvolumes: boolean
  /** What checks the unmounted file system without repairing it, and fails when it finds something. */
  readonly check: ((device: string) => { command: string; package: string }) | null
  /** Whether free space can be discarded without mounting it for writing, which would change it. */
  readonly trimsReadOnly: boolean
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
    trimsReadOnly: true,
    scrub: async (disk) => disk,
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
    trimsReadOnly: true,
    scrub: async (disk) => disk,
  },
  f2fs: {
    type: 'f2fs',
    mountOptions: '',
    hasSubvolumes: false,
    check: null,
    trimsReadOnly: false,
    scrub: async (disk) => disk,
  },
}

export function isGuestfsType(type: string): type is GuestfsType {
  return type in guestfsKinds
}

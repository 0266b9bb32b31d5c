import { GuestError } from '../errors.ts'
import type { Filesystem } from '../filesystem/filesystem.ts'
import type { Guest } from '../guest.ts'

/** A file system that takes a whole disk and may be a root. */
export interface RootVolume {
  readonly type: string
  readonly uuid: string
  /** Null where it is of a kind that GRUB reads and we do not. */
  readonly filesystem: Filesystem | null
}

/** File systems that GRUB reads, and that are not read here. */
export const unseenTypes: readonly string[] = ['xfs']

/**
 * The file system of a disk without partitions.
 * @throws GuestError `BOOT_ROOT_UNSUPPORTED`, or why the file system cannot be opened
 */
export function rootVolume({ volumes }: Guest): RootVolume {
  const [volume] = volumes
  if (!volume?.probe)
    throw unsupported('The disk has neither a partition table nor a file system that is known.')
  if (volume.openError) throw volume.openError
  const { type, uuid } = volume.probe
  if (!volume.filesystem && !unseenTypes.includes(type)) {
    throw unsupported(`The disk has no partition table, and holds ${type}.`)
  }
  if (/^[0-]*$/.test(uuid)) {
    throw unsupported('The file system has no UUID, by which a boot loader and the system could find it.')
  }
  return { type, uuid, filesystem: volume.filesystem }
}

function unsupported(message: string): GuestError {
  return new GuestError('BOOT_ROOT_UNSUPPORTED', message, {
    hint: 'A disk can be made around a root file system of the kinds ext2, ext3, ext4 and xfs that has a UUID.',
  })
}

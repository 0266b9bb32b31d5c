import { GuestError } from '../../errors.ts'

/** The error for a FAT file system that contradicts itself; `problem` completes "The FAT file system is damaged: …". */
export function damagedFat(problem: string): GuestError {
  return new GuestError('FILESYSTEM_DAMAGED', `The FAT file system is damaged: ${problem}.`, {
    hint: 'Run fsck.vfat in the guest, or on a copy of the image, and look at what it finds.',
  })
}

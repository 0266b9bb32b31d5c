import { GuestError } from '../../errors.ts'

/** The error for an xfs file system that contradicts itself; `problem` completes the sentence. */
export function damagedXfs(problem: string): GuestError {
  return new GuestError('FILESYSTEM_DAMAGED', `The xfs file system is damaged: ${problem}.`, {
    hint: 'Run xfs_repair -n in the guest, or on a copy of the image, and look at what it finds.',
  })
}

import { GuestError } from '../../errors.ts'

/** The error for a file system that contradicts itself; `problem` completes "The file system is damaged: …". */
export function damaged(problem: string, cause?: unknown): GuestError {
  return new GuestError('FILESYSTEM_DAMAGED', `The file system is damaged: ${problem}.`, {
    hint: 'Run e2fsck in the guest, or on a copy of the image, and look at what it finds.',
    ...(cause === undefined ? {} : { cause }),
  })
}

import { formatSize, MiB } from '../../core/bytes.ts'
import { GuestError } from '../errors.ts'

/** What `Filesystem.read` reads at most where nobody says otherwise. */
export const defaultMaximumBytes = 16 * MiB

/** @throws GuestError `GUEST_FILE_TOO_LARGE` */
export function refuseLargeFile(path: string, size: number, maximumBytes: number): void {
  if (size <= maximumBytes) return
  throw new GuestError(
    'GUEST_FILE_TOO_LARGE',
    `"${path}" has ${formatSize(size)}; at most ${formatSize(maximumBytes)} are read.`,
  )
}

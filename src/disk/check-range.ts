import type { Disk } from './disk.ts'
import { DiskError } from './errors.ts'

/**
 * For the `read` of a Disk.
 * @throws DiskError `DISK_READ_OUTSIDE` when `length` bytes from `offset` do not lie within the disk
 */
export function checkRange(disk: Pick<Disk, 'size'>, offset: number, length: number): void {
  if (Number.isSafeInteger(offset) && offset >= 0 && length <= disk.size - offset) return
  throw new DiskError(
    'DISK_READ_OUTSIDE',
    `A read of ${length} bytes at ${offset} leaves the disk, which has ${disk.size} bytes.`,
  )
}

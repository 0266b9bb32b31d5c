import type { Disk } from './disk.ts'
import { memoryDisk } from './memory-disk.ts'
import { type DiskWindow, withWindows } from './overlay-disk.ts'

/**
 * A disk put together from others: each part at its place, zeros between them. Nothing is copied; a part is read when it
 * is asked for. Closing it leaves the parts open.
 * @throws DiskError `DISK_READ_OUTSIDE` when a part does not lie within the disk
 */
export function composeDisk(size: number, parts: readonly DiskWindow[]): Disk {
  // It is nobody's view, so it has no `changes`.
  const { changes: _, ...disk } = withWindows(memoryDisk(new Uint8Array(), size), parts)
  return disk
}

import type { Guest } from '../guest.ts'
import type { BootableOptions, PreparedBootable } from './bootable.ts'
import { repairDisk } from './repair-disk.ts'
import { wrapRoot } from './wrap-root.ts'

/**
 * Decides how a disk becomes one that starts by itself, and prepares it; changes nothing. A disk with partitions is looked at
 * and mended; around a file system without any a disk is made.
 * @throws GuestError why that cannot be
 */
export function prepareBootable(guest: Guest, options: BootableOptions): Promise<PreparedBootable> {
  return guest.partitionTable.scheme === 'none' ? wrapRoot(guest, options) : repairDisk(guest, options)
}

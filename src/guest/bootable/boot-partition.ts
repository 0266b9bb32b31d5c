import type { AbortOptions } from '../../core/abort.ts'
import type { Disk } from '../../disk/disk.ts'
import { addFatFiles, type NewFile } from '../filesystem/fat/add-files.ts'
import { formatFat32 } from '../filesystem/fat/format-fat.ts'
import { openFat } from '../filesystem/fat/open-fat.ts'

/** UEFI specification 2.10, section 3.5.1.1: what firmware starts from a disk it has not seen before. */
export const uefiLoaderPath = '/EFI/BOOT/BOOTX64.EFI'

export interface BootPartitionOptions extends AbortOptions {
  /** Where the partition is on the disk, and its bytes. */
  offset: number
  length: number
  volumeId: number
  files: readonly NewFile[]
}

/** A boot partition of ours: FAT32, which UEFI firmware and GRUB read alike. */
export async function makeBootPartition({
  offset,
  length,
  volumeId,
  files,
  signal,
}: BootPartitionOptions): Promise<Disk> {
  const empty = formatFat32(length, { volumeId, label: 'BOOT', hiddenSectors: offset / 512 })
  return addFatFiles(await openFat(empty, { signal }), files, { signal })
}

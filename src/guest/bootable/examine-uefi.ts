import type { AbortOptions } from '../../core/abort.ts'
import type { Disk } from '../../disk/disk.ts'
import type { Partition, PartitionTable } from '../../disk/partition/partition-table.ts'
import { gptTypes, mbrTypes } from '../../disk/partition/partition-types.ts'
import { windowDisk } from '../../disk/window-disk.ts'
import { GuestError } from '../errors.ts'
import type { NewFile } from '../filesystem/fat/add-files.ts'
import { type FatVolume, openFat } from '../filesystem/fat/open-fat.ts'
import { uefiLoaderPath } from './boot-partition.ts'
import type { FirmwareState } from './examine-bios.ts'
import { isUefiProgram } from './kernel-image.ts'

export interface UefiState extends FirmwareState {
  /** The EFI system partition that has the loader, or is to have it; null when there is none that can be read. */
  readonly system: { readonly partition: Partition; readonly volume: FatVolume } | null
}

/** Whether UEFI firmware that has never seen the disk finds a boot loader on it. */
export async function examineUefi(
  disk: Disk,
  { partitions }: PartitionTable,
  options: AbortOptions = {},
): Promise<UefiState> {
  const problems: string[] = []
  let writable: UefiState['system'] = null
  for (const partition of partitions.filter(isEfiSystem)) {
    const volume = await openSystemPartition(disk, partition, options)
    if (volume instanceof GuestError) {
      problems.push(`partition ${partition.number}: ${volume.message}`)
      continue
    }
    const system = { partition, volume }
    if (await hasLoader(volume, options)) {
      const finding = `UEFI: ${uefiLoaderPath} is in the EFI system partition ${partition.number}`
      return { state: 'ready', finding, needsGrubConfig: false, system }
    }
    writable ??= system
  }
  const finding = writable
    ? `UEFI: the EFI system partition ${writable.partition.number} has no ${uefiLoaderPath}`
    : ['UEFI: there is no EFI system partition', ...problems].join('; ')
  return { state: 'missing', finding, needsGrubConfig: false, system: writable }
}

export function isEfiSystem({ type }: Partition): boolean {
  return type === gptTypes.efiSystem || type === `0x${mbrTypes.efiSystem.toString(16)}`
}

/** The error itself where it cannot be opened: that is a finding here. */
async function openSystemPartition(
  disk: Disk,
  { offset, length }: Partition,
  options: AbortOptions,
): Promise<FatVolume | GuestError> {
  try {
    return await openFat(windowDisk(disk, offset, length), options)
  } catch (error) {
    if (error instanceof GuestError) return error
    throw error
  }
}

/** A damaged directory in the way is no loader, either. */
async function hasLoader(volume: FatVolume, options: AbortOptions): Promise<boolean> {
  try {
    const entry = await volume.find(uefiLoaderPath, options)
    if (!entry || entry.isDirectory) return false
    const content = volume.content(entry)
    const head = Buffer.alloc(Math.min(4096, content.size))
    await content.read(head, 0, options)
    return isUefiProgram(head)
  } catch (error) {
    if (error instanceof GuestError) return false
    throw error
  }
}

/**
 * The loader that a distribution has put into the partition for machines whose firmware was told of it, as files for
 * machines whose firmware was not: the same bytes at the path that firmware looks at by itself. Empty when there is none.
 */
export async function vendorLoaderFiles(volume: FatVolume, options: AbortOptions = {}): Promise<NewFile[]> {
  for (const vendor of (await volume.list('/EFI', options)) ?? []) {
    if (!vendor.isDirectory || vendor.name.toUpperCase() === 'BOOT') continue
    const entries = (await volume.list(`/EFI/${vendor.name}`, options)) ?? []
    const file = (name: string) =>
      entries.find((entry) => entry.name.toLowerCase() === name && !entry.isDirectory)
    const copy = (name: string, path: string): NewFile[] => {
      const found = file(name)
      return found ? [{ path, content: volume.content(found) }] : []
    }
    const beside = ['grub.cfg', 'mmx64.efi'].flatMap((name) => copy(name, `/EFI/BOOT/${name}`))
    // The signed chain: firmware trusts the shim, and the shim loads what lies beside it.
    if (file('shimx64.efi') && file('grubx64.efi')) {
      return [
        ...copy('shimx64.efi', uefiLoaderPath),
        ...copy('grubx64.efi', '/EFI/BOOT/grubx64.efi'),
        ...beside,
      ]
    }
    if (file('grubx64.efi')) return [...copy('grubx64.efi', uefiLoaderPath), ...beside]
    if (file('systemd-bootx64.efi')) return copy('systemd-bootx64.efi', uefiLoaderPath)
  }
  return []
}

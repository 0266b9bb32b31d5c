import { MiB, roundUp, TiB } from '../../core/bytes.ts'
import { GuestError } from '../errors.ts'
import type { BootFirmware } from './grub-modules.ts'

/** Machines a disk is made for. AWS refuses to import disks that are made for both. */
export type FirmwareChoice = BootFirmware | 'both'

/** The machines of a choice. */
export function firmwaresOf(firmware: FirmwareChoice): readonly BootFirmware[] {
  return firmware === 'both' ? ['bios', 'uefi'] : [firmware]
}

export interface LaidOutPartition {
  readonly number: number
  readonly purpose: 'root' | 'boot' | 'bios-boot' | 'efi-system'
  readonly offset: number
  readonly length: number
}

/** Where everything goes on a disk that is made around a root file system. Bytes. */
export interface DiskLayout {
  readonly scheme: 'mbr' | 'gpt'
  readonly size: number
  readonly partitions: readonly LaidOutPartition[]
  /** Where GRUB's core image goes; null when no BIOS is to start it. */
  readonly core: { readonly offset: number; readonly length: number } | null
}

export interface LayoutOptions {
  firmware: FirmwareChoice
  /** Bytes of the root file system. */
  root: number
  /** Bytes of kernels and ramdisks that go into a partition of their own; null when there are none. */
  bootFiles: number | null
  /** Bytes the disk is to have; as small as possible when null. The root partition gets what is over. */
  growTo: number | null
}

/** Room for boot loaders, those of the guest that may come later too, and above the least that FAT32 can be. */
const bootLoaderRoom = 64 * MiB
/** Beyond it an MBR cannot count. */
const mbrLimit = 2 * TiB

/**
 * A disk for BIOS has an MBR, with GRUB between it and the first partition; one for UEFI a GPT with an EFI system partition; one
 * for both a GPT that has a BIOS boot partition besides. The root is partition 1, as it is called in many a configuration, and
 * comes last, so that it can grow.
 * @throws GuestError `BOOT_NO_ROOM` when `growTo` is less than is needed
 */
export function layOutDisk({ firmware, root, bootFiles, growTo }: LayoutOptions): DiskLayout {
  const wantsBios = firmware !== 'uefi'
  const scheme =
    firmware === 'bios' && Math.max(root + bootRoom(bootFiles), growTo ?? 0) + 2 * MiB <= mbrLimit
      ? 'mbr'
      : 'gpt'
  const partitions: LaidOutPartition[] = []
  let end = MiB
  const add = (partition: Omit<LaidOutPartition, 'offset'>): LaidOutPartition => {
    const placed = { ...partition, offset: end }
    partitions.push(placed)
    end += partition.length
    return placed
  }
  const bios = scheme === 'gpt' && wantsBios ? add({ number: 14, purpose: 'bios-boot', length: MiB }) : null
  if (firmware !== 'bios')
    add({ number: 15, purpose: 'efi-system', length: bootLoaderRoom + bootRoom(bootFiles) })
  else if (bootFiles !== null)
    add({ number: 2, purpose: 'boot', length: bootLoaderRoom + bootRoom(bootFiles) })
  const backup = scheme === 'gpt' ? MiB : 0
  const least = end + roundUp(root, MiB) + backup
  const size = growTo === null ? least : growTo - (growTo % MiB)
  if (size < least) {
    throw new GuestError(
      'BOOT_NO_ROOM',
      `The disk needs at least ${least} bytes, and is to have ${growTo}.`,
      {
        hint: `Ask for ${Math.ceil(least / MiB)}M or more.`,
      },
    )
  }
  add({ number: 1, purpose: 'root', length: size - backup - end })
  const gap = { offset: 512, length: MiB - 512 }
  return { scheme, size, partitions, core: wantsBios ? (bios ?? gap) : null }
}

function bootRoom(bootFiles: number | null): number {
  return roundUp(bootFiles ?? 0, MiB)
}

/** How GRUB calls a partition of its first disk. */
export function grubDevice(scheme: 'mbr' | 'gpt', number: number): string {
  return `hd0,${scheme === 'gpt' ? 'gpt' : 'msdos'}${number}`
}

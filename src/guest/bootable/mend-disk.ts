import type { AbortOptions } from '../../core/abort.ts'
import { MiB } from '../../core/bytes.ts'
import { composeDisk } from '../../disk/composed-disk.ts'
import type { Disk } from '../../disk/disk.ts'
import { memoryDisk } from '../../disk/memory-disk.ts'
import { type DiskWindow, withWindows } from '../../disk/overlay-disk.ts'
import { mbrTableOffset } from '../../disk/partition/encode-mbr.ts'
import { mbr } from '../../disk/partition/partition-layout.ts'
import { gptTypes } from '../../disk/partition/partition-types.ts'
import { windowDisk } from '../../disk/window-disk.ts'
import { addFatFiles } from '../filesystem/fat/add-files.ts'
import type { Guest } from '../guest.ts'
import { makeBootPartition, uefiLoaderPath } from './boot-partition.ts'
import type { BootableOptions, BootableReport, PreparedBootable } from './bootable.ts'
import { type ChosenProgram, chooseCore, chooseProgram } from './choose-loader.ts'
import { derivedNumber } from './derived-ids.ts'
import { firmwaresOf } from './disk-layout.ts'
import type { UefiState } from './examine-uefi.ts'
import { type AddedPartition, type Addition, type ExtendedTable, extendTable } from './extend-table.ts'
import type { DiskStart } from './find-start.ts'
import type { BootFirmware } from './grub-modules.ts'
import { installGrub } from './install-grub.ts'
import { applyRootEdits } from './root-edits.ts'

export interface Mending {
  options: BootableOptions
  start: DiskStart
  uefi: UefiState
  /** The firmware a loader is to be put in place for, and that which has one. */
  missing: readonly BootFirmware[]
  ready: readonly BootFirmware[]
  described: Pick<BootableReport, 'scheme' | 'kernel' | 'findings' | 'warnings'>
}

/** Room for a core image of any kind, and for boot loaders of UEFI with those that may come later. */
const newCorePlace = MiB
const newSystemPartition = 64 * MiB

/**
 * Puts boot loaders in place on a disk with partitions: where there is room for them already, else in partitions behind the
 * others.
 * @throws GuestError `BOOT_NO_ROOM` | `BOOT_LOADER_MISSING`, or why there is nothing to start
 */
export async function mendDisk(guest: Guest, mending: Mending): Promise<PreparedBootable> {
  const { options, start, missing, ready, described } = mending
  const { signal } = options
  if (start.places.length === 0)
    throw start.obstacle ?? new Error('There is nothing to start, and no reason.')
  const core = missing.includes('bios') ? await chooseCore(mending) : null
  const program = missing.includes('uefi') ? await chooseProgram(guest, mending) : null
  const place = core && findCorePlace(guest, core.core.length)
  const additions: Addition[] = [
    ...(core && !place ? [{ purpose: 'bios-boot', length: newCorePlace } as const] : []),
    ...(program && !program.system ? [{ purpose: 'efi-system', length: newSystemPartition } as const] : []),
  ]
  const extended =
    additions.length > 0 ? await extendTable(guest.disk, guest.partitionTable, { additions, signal }) : null
  const added = (purpose: Addition['purpose']) =>
    extended?.added.find((partition) => partition.purpose === purpose)
  const coreAt = place ?? added('bios-boot')?.offset ?? null
  return {
    report: {
      ...described,
      action: 'repair',
      firmware: firmwaresOf('both').filter((name) => ready.includes(name) || missing.includes(name)),
      size: extended?.size ?? guest.disk.size,
      partitions: extended?.added ?? [],
      changes: [
        ...(extended?.added ?? []).map(describeAddition),
        ...(core ? [`GRUB for BIOS (${core.origin}) goes into the first sector and to byte ${coreAt}`] : []),
        ...(program ? [`GRUB for UEFI (${program.origin}) becomes ${uefiLoaderPath}`] : []),
        ...(start.edits?.changes.changes ?? []),
      ],
      warnings: [...described.warnings, ...(program?.warnings ?? [])],
    },
    async make(makeOptions = {}) {
      const windows: DiskWindow[] = []
      if (start.edits) {
        const { volume, changes } = start.edits
        await applyRootEdits(volume, changes, makeOptions)
        windows.push({ offset: volume.offset, disk: volume.filesystem.committed() })
      }
      if (core && coreAt !== null) {
        const installed = installGrub(core.boot, core.core, coreAt)
        windows.push({ offset: 0, disk: memoryDisk(installed.code) })
        windows.push({ offset: coreAt, disk: memoryDisk(installed.core) })
      }
      if (program)
        windows.push(await systemPartition(guest, { program, at: added('efi-system'), ...makeOptions }))
      for (const { offset, bytes } of await tablesOf(guest, {
        extended,
        activate: core ? start : null,
        ...makeOptions,
      })) {
        windows.push({ offset, disk: memoryDisk(bytes) })
      }
      return extended ? extendedDisk(guest.disk, extended, windows) : withWindows(guest.disk, windows)
    },
  }
}

function describeAddition({ number, purpose, offset, length }: AddedPartition): string {
  return `partition ${number} (${purpose}, ${length / MiB} MiB) is added at byte ${offset}`
}

/** Where a core image fits without a new partition: behind an MBR, or in a BIOS boot partition. Bytes. */
function findCorePlace({ partitionTable }: Guest, bytes: number): number | null {
  const { scheme, partitions } = partitionTable
  if (scheme === 'gpt') {
    return (
      partitions.find(({ type, length }) => type === gptTypes.biosBoot && length >= bytes)?.offset ?? null
    )
  }
  const gap = 512
  return gap + bytes <= Math.min(...partitions.map(({ offset }) => offset)) ? gap : null
}

/** The EFI system partition with the loader in it: the one that is there, or a new one. */
async function systemPartition(
  { partitionTable }: Guest,
  { program, at, signal }: AbortOptions & { program: ChosenProgram; at: AddedPartition | undefined },
): Promise<DiskWindow> {
  const { system, files } = program
  if (system)
    return { offset: system.partition.offset, disk: await addFatFiles(system.volume, files, { signal }) }
  if (!at) throw new Error('A loader for UEFI needs a partition.')
  const volumeId = derivedNumber(partitionTable.uuid, 'boot volume')
  return { offset: at.offset, disk: await makeBootPartition({ ...at, volumeId, files, signal }) }
}

/** What changes in the tables. Some BIOSes start only from disks that have an active partition, so an MBR gets one. */
async function tablesOf(
  { disk, partitionTable }: Guest,
  {
    extended,
    activate,
    signal,
  }: AbortOptions & { extended: ExtendedTable | null; activate: DiskStart | null },
): Promise<ExtendedTable['tables']> {
  const { scheme, partitions } = partitionTable
  const number = activate?.places[0]?.number ?? 0
  const isPrimary = number >= 1 && number <= mbr.entryCount
  if (scheme === 'gpt' || !activate || !isPrimary || partitions.some(({ bootable }) => bootable)) {
    return extended?.tables ?? []
  }
  const bytes = extended?.tables[0]?.bytes ?? Buffer.alloc(512 - mbrTableOffset)
  if (!extended) await disk.read(bytes, mbrTableOffset, { signal })
  bytes.writeUInt8(0x80, mbr.entries - mbrTableOffset + (number - 1) * mbr.entryBytes)
  return [{ offset: mbrTableOffset, bytes }]
}

/** The old disk up to where something new comes behind its partitions, and that. */
function extendedDisk(disk: Disk, { size, keptUpTo }: ExtendedTable, windows: readonly DiskWindow[]): Disk {
  const kept = Math.min(keptUpTo, disk.size)
  const inside = windows.filter(({ offset }) => offset < kept)
  const behind = windows.filter(({ offset }) => offset >= kept)
  return composeDisk(size, [{ offset: 0, disk: withWindows(windowDisk(disk, 0, kept), inside) }, ...behind])
}

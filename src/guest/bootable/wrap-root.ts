import { formatSize } from '../../core/bytes.ts'
import { composeDisk } from '../../disk/composed-disk.ts'
import type { Disk } from '../../disk/disk.ts'
import { memoryDisk } from '../../disk/memory-disk.ts'
import type { DiskWindow } from '../../disk/overlay-disk.ts'
import { GuestError } from '../errors.ts'
import type { NewFile } from '../filesystem/fat/add-files.ts'
import type { Filesystem } from '../filesystem/filesystem.ts'
import type { Guest } from '../guest.ts'
import type { GuestWarning } from '../warnings.ts'
import { makeBootPartition, uefiLoaderPath } from './boot-partition.ts'
import type { BootableOptions, PreparedBootable } from './bootable.ts'
import { buildGrub, readBootSectorCode } from './build-grub.ts'
import { guestProgramFiles } from './choose-loader.ts'
import { decideStart, type Start } from './decide-start.ts'
import { type DiskIdentity, identityOf, partitionUuid } from './disk-identity.ts'
import {
  type DiskLayout,
  type FirmwareChoice,
  firmwaresOf,
  grubDevice,
  type LaidOutPartition,
  layOutDisk,
} from './disk-layout.ts'
import { handOverConfig } from './hand-over-config.ts'
import { installGrub } from './install-grub.ts'
import { lookIntoRoot } from './look-into-root.ts'
import { applyRootEdits } from './root-edits.ts'
import { rootVolume } from './root-volume.ts'
import { checkSeparateKernel } from './separate-kernel.ts'
import { tableWindows } from './write-tables.ts'

/**
 * A disk around a root file system that has none: partition table, boot loader, and the file system in its partition, with the
 * few edits that its start needs.
 * @throws GuestError why that cannot be
 */
export async function wrapRoot(guest: Guest, options: BootableOptions): Promise<PreparedBootable> {
  const { signal } = options
  const firmware = options.firmware ?? 'both'
  const volume = rootVolume(guest)
  const { filesystem } = volume
  const system =
    filesystem && (await lookIntoRoot(filesystem, { knowsBls: knowsBls(options, firmware), signal }))
  const { separate, warnings } = await checkSeparateKernel(options, {
    hasOwn: (system?.kernels.usable.length ?? 0) > 0,
  })
  const identity = identityOf(volume.uuid)
  const separateBytes = (separate?.kernel.content.size ?? 0) + (separate?.ramdisk?.content.size ?? 0)
  const place = (bootFiles: number | null): DiskLayout =>
    layOutDisk({ firmware, root: guest.disk.size, bootFiles, growTo: options.growTo })
  const start = await decideStart({
    ids: {
      root: volume.uuid,
      partition: partitionUuid(place(separateBytes).scheme, identity),
      boot: identity.bootUuid,
    },
    system,
    separate,
    isAlone: true,
    signal,
  })
  const layout = place(
    start.bootFiles.length > 0 ? start.bootFiles.reduce((sum, file) => sum + file.content.size, 0) : null,
  )
  const loaders = await buildLoaders(layout, { start, filesystem, rootUuid: volume.uuid, identity, options })
  const firmwares = firmwaresOf(firmware)
  return {
    report: {
      action: 'wrap',
      firmware: firmwares,
      scheme: layout.scheme,
      size: layout.size,
      partitions: layout.partitions,
      kernel: start.kernel,
      findings: [
        `a file system (${volume.type}, ${formatSize(guest.disk.size)}) without a partition table`,
        ...findingsOf(
          start,
          system?.kernels.usable.map(({ version }) => version) ?? [],
          system?.grubConfig?.path,
        ),
      ],
      changes: [
        `a disk with ${layout.scheme.toUpperCase()} is made around the file system, for ${firmwares.map((name) => name.toUpperCase()).join(' and ')}`,
        ...start.rootEdits.changes,
        ...start.changes,
      ],
      warnings: [...warnings, ...start.warnings, ...uefiWarnings(start, firmware)],
    },
    async make(makeOptions = {}) {
      let root: Disk = guest.disk
      if (filesystem) {
        await applyRootEdits({ filesystem }, start.rootEdits, makeOptions)
        root = filesystem.committed()
      }
      const files = [...start.bootFiles, ...loaders.uefi]
      const boot = bootPartition(layout)
      return composeDisk(layout.size, [
        ...tableWindows(layout, identity),
        ...(loaders.bios ? biosWindows(layout, loaders.bios) : []),
        ...(boot
          ? [
              {
                offset: boot.offset,
                disk: await makeBootPartition({
                  ...boot,
                  volumeId: identity.bootVolumeId,
                  files,
                  ...makeOptions,
                }),
              },
            ]
          : []),
        { offset: partitionOf(layout, 'root').offset, disk: root },
      ])
    },
  }
}

/** Every GRUB that takes part has to know it. */
function knowsBls({ grub }: BootableOptions, firmware: FirmwareChoice): boolean {
  return firmwaresOf(firmware).every((name) => grub.modules[name]?.has('blscfg') ?? false)
}

interface Loaders {
  readonly bios: { readonly boot: Buffer; readonly core: Buffer } | null
  /** Files for the EFI system partition; empty where none is to start it. */
  readonly uefi: readonly NewFile[]
}

interface LoaderPlan {
  start: Start
  filesystem: Filesystem | null
  rootUuid: string
  identity: DiskIdentity
  options: BootableOptions
}

async function buildLoaders(layout: DiskLayout, plan: LoaderPlan): Promise<Loaders> {
  const { start, rootUuid, identity, options } = plan
  const { grub, workFolder, signal } = options
  const isInRoot = start.configIn === 'root'
  const place = isInRoot ? partitionOf(layout, 'root') : bootPartition(layout)
  if (!place) throw new Error('What is to start from a boot partition needs one.')
  const configuration = handOverConfig([
    {
      uuid: isInRoot ? rootUuid : identity.bootUuid,
      hint: grubDevice(layout.scheme, place.number),
      folders: start.folders,
      searchKernels: start.searchKernels,
    },
  ])
  const core = layout.core && (await buildGrub(grub, { firmware: 'bios', configuration, workFolder, signal }))
  if (layout.core && core && core.length > layout.core.length) {
    throw new GuestError('BOOT_NO_ROOM', `GRUB has ${core.length} bytes, more than its place on the disk.`)
  }
  return {
    bios: core && { boot: await readBootSectorCode(grub), core },
    uefi: layout.partitions.some(({ purpose }) => purpose === 'efi-system')
      ? await uefiFiles(configuration, plan)
      : [],
  }
}

/** Made on this machine; else a program of the guest's packages. */
async function uefiFiles(configuration: string, { filesystem, options }: LoaderPlan): Promise<NewFile[]> {
  const { grub, workFolder, signal } = options
  const isHere = grub.modules.uefi !== null
  const own = isHere || !filesystem ? [] : await guestProgramFiles(filesystem, { configuration, signal })
  if (own.length > 0) return own
  const program = await buildGrub(grub, { firmware: 'uefi', configuration, workFolder, signal })
  return [{ path: uefiLoaderPath, content: memoryDisk(program) }]
}

function biosWindows(
  { core: place }: DiskLayout,
  { boot, core }: NonNullable<Loaders['bios']>,
): DiskWindow[] {
  if (!place) return []
  const installed = installGrub(boot, core, place.offset)
  return [
    { offset: 0, disk: memoryDisk(installed.code) },
    { offset: place.offset, disk: memoryDisk(installed.core) },
  ]
}

/** The FAT partition of ours, if there is one. */
function bootPartition({ partitions }: DiskLayout): LaidOutPartition | undefined {
  return partitions.find(({ purpose }) => purpose === 'efi-system' || purpose === 'boot')
}

function partitionOf({ partitions }: DiskLayout, purpose: LaidOutPartition['purpose']): LaidOutPartition {
  const found = partitions.find((partition) => partition.purpose === purpose)
  if (!found) throw new Error(`The layout has no ${purpose} partition.`)
  return found
}

function findingsOf(start: Start, versions: readonly string[], grubConfig: string | undefined): string[] {
  if (start.searchKernels) return ['kernels are looked for when it starts']
  if (start.kernel === null) return [`the guest’s own ${grubConfig} decides which kernel starts`]
  const others = versions.filter((version) => version !== start.kernel?.version)
  const { version, image, ramdisk } = start.kernel
  const first = `Linux ${version} starts (${image}${ramdisk === null ? '' : `, ${ramdisk}`})`
  return others.length === 0 ? [first] : [`${first}; ${others.join(', ')} can be chosen, too`]
}

/** @throws GuestError `BOOT_KERNEL_UNUSABLE` when UEFI is all that was asked for */
function uefiWarnings(start: Start, firmware: FirmwareChoice): GuestWarning[] {
  if (start.startsFromUefi !== false || firmware === 'bios') return []
  const message = 'The kernel has no entry for UEFI firmware (EFI stub, 64 bits)'
  if (firmware === 'uefi') {
    throw new GuestError('BOOT_KERNEL_UNUSABLE', `${message}.`, {
      hint: 'Make the disk for BIOS machines: --firmware bios.',
    })
  }
  return [{ code: 'BOOT_NOT_FROM_UEFI', message: `${message}: the disk may start in BIOS machines only.` }]
}

import type { AbortOptions } from '../../core/abort.ts'
import { memoryDisk } from '../../disk/memory-disk.ts'
import { GuestError } from '../errors.ts'
import type { NewFile } from '../filesystem/fat/add-files.ts'
import type { Filesystem } from '../filesystem/filesystem.ts'
import type { Guest } from '../guest.ts'
import { createGuestTree } from '../guest-tree.ts'
import { readOs } from '../inspect/os-release.ts'
import type { GuestWarning } from '../warnings.ts'
import { uefiLoaderPath } from './boot-partition.ts'
import type { BootableOptions } from './bootable.ts'
import { buildGrub, loaderMissing, readBootSectorCode } from './build-grub.ts'
import { grubDevice } from './disk-layout.ts'
import { type UefiState, vendorLoaderFiles } from './examine-uefi.ts'
import { findKernels } from './find-kernels.ts'
import type { DiskStart } from './find-start.ts'
import type { BootFirmware } from './grub-modules.ts'
import { readGuestCore, readGuestUefiProgram } from './guest-grub.ts'
import { handOverConfig } from './hand-over-config.ts'

interface LoaderChoice {
  options: BootableOptions
  start: DiskStart
  uefi: UefiState
  described: { readonly scheme: 'mbr' | 'gpt' }
}

export interface ChosenCore {
  readonly boot: Buffer
  readonly core: Buffer
  readonly origin: string
}

/**
 * GRUB for BIOS: made on this machine, since that is sure to fit the disk; else what grub-install has left in the guest.
 * @throws GuestError `BOOT_LOADER_MISSING`
 */
export async function chooseCore(choice: LoaderChoice): Promise<ChosenCore> {
  const { options, start } = choice
  const { grub, signal } = options
  if (isHostSuitable('bios', choice)) {
    const core = await buildHere('bios', choice)
    return { boot: await readBootSectorCode(grub), core, origin: 'of this machine' }
  }
  const filesystem = start.own?.volume.filesystem
  const own = filesystem && (await readGuestCore(filesystem, start.own?.folder ?? '', { signal }))
  if (own) return { ...own, origin: 'the guest’s own' }
  throw unsuitable('bios', choice)
}

export interface ChosenProgram {
  readonly files: readonly NewFile[]
  /** Where it goes; null when there is no partition for it yet. */
  readonly system: UefiState['system']
  readonly origin: string
  readonly warnings: readonly GuestWarning[]
}

/**
 * GRUB for UEFI: what a distribution has put into the partition under a name of its own, which Secure Boot may trust, too; else one
 * made on this machine; else one that the guest has as a package.
 * @throws GuestError `BOOT_LOADER_MISSING`
 */
export async function chooseProgram(guest: Guest, choice: LoaderChoice): Promise<ChosenProgram> {
  const { options, uefi } = choice
  const { signal } = options
  const { system } = uefi
  const warnings = await kernelWarnings(guest, { signal })
  const vendor = system ? await vendorLoaderFiles(system.volume, { signal }) : []
  if (vendor.length > 0) return { files: vendor, system, origin: 'the distribution’s own', warnings }
  if (isHostSuitable('uefi', choice)) {
    const content = memoryDisk(await buildHere('uefi', choice))
    return { files: [{ path: uefiLoaderPath, content }], system, origin: 'of this machine', warnings }
  }
  const root = guest.volumes.find(({ mountPoint }) => mountPoint === '/')?.filesystem
  const files = root ? await guestProgramFiles(root, { configuration: configurationOf(choice), signal }) : []
  if (files.length > 0) return { files, system, origin: 'the guest’s own', warnings }
  throw unsuitable('uefi', choice)
}

/** A program of the guest's packages, with the configuration where it looks for one; empty when there is none. */
export async function guestProgramFiles(
  root: Filesystem,
  { configuration, signal }: AbortOptions & { configuration: string },
): Promise<NewFile[]> {
  const { id } = await readOs(createGuestTree([{ path: '/', filesystem: root }]), { signal })
  const found = await readGuestUefiProgram(root, id, { signal })
  if (!found) return []
  return [
    { path: uefiLoaderPath, content: memoryDisk(found.program) },
    ...found.configPaths.map((path) => ({ path, content: memoryDisk(Buffer.from(configuration)) })),
  ]
}

function buildHere(firmware: BootFirmware, choice: LoaderChoice): Promise<Buffer> {
  const { grub, workFolder, signal } = choice.options
  return buildGrub(grub, { firmware, configuration: configurationOf(choice), workFolder, signal })
}

function configurationOf({ start, described }: LoaderChoice): string {
  return handOverConfig(
    start.places.map((place) => ({ ...place, hint: grubDevice(described.scheme, place.number) })),
  )
}

/** It is there, and understands the guest's configuration. */
function isHostSuitable(firmware: BootFirmware, { options, start }: LoaderChoice): boolean {
  const modules = options.grub.modules[firmware]
  return modules !== null && (!start.own?.usesBls || modules.has('blscfg'))
}

function unsuitable(firmware: BootFirmware, { options, start }: LoaderChoice): GuestError {
  const { folder, modules } = options.grub
  if (modules[firmware] === null) return loaderMissing(firmware, folder, ', nor in the image')
  return new GuestError(
    'BOOT_LOADER_MISSING',
    `${start.own?.folder}/grub.cfg needs a GRUB with the command blscfg, which the one in ${folder} does not have.`,
    {
      hint: 'Name the folder of a GRUB of the same distribution with --grub-folder, for example /usr/lib/grub of a Fedora.',
    },
  )
}

async function kernelWarnings({ tree }: Guest, options: AbortOptions): Promise<GuestWarning[]> {
  const kernels = tree ? (await findKernels(tree, options)).usable : []
  if (kernels.length === 0 || kernels.some(({ startsFromUefi }) => startsFromUefi)) return []
  const message = 'No kernel of the guest has an entry for UEFI firmware (EFI stub, 64 bits).'
  return [{ code: 'BOOT_NOT_FROM_UEFI', message }]
}

import type { AbortOptions } from '../../core/abort.ts'
import { GuestError } from '../errors.ts'
import { type Guest, type GuestVolume, volumeName } from '../guest.ts'
import type { GuestWarning } from '../warnings.ts'
import type { BootableReport } from './bootable.ts'
import { decideStart } from './decide-start.ts'
import { findGrubPlaces, type GrubPlace, grubPlaces, isOpen, type OpenVolume } from './find-grub-places.ts'
import { lookIntoRoot } from './look-into-root.ts'
import type { RootEdits } from './root-edits.ts'
import { unseenTypes } from './root-volume.ts'

/** What GRUB would start on a disk with partitions. */
export interface DiskStart {
  /** There is a grub.cfg, or may be one where nobody could look. */
  readonly isConfigured: boolean
  /** Where GRUB is to look, in this order; empty when there is nothing, and `obstacle` says why. */
  readonly places: readonly StartPlace[]
  /** The folder of the guest's own GRUB, whose programs may be used. */
  readonly own: GrubPlace | null
  /** A grub.cfg to be written where there is none. */
  readonly edits: { readonly volume: OpenVolume; readonly changes: RootEdits } | null
  readonly obstacle: GuestError | null
  readonly kernel: BootableReport['kernel']
  readonly findings: readonly string[]
  readonly warnings: readonly GuestWarning[]
}

export interface StartPlace {
  readonly uuid: string
  /** Of the partition. */
  readonly number: number
  readonly folders: readonly string[]
  readonly searchKernels: boolean
}

/** Looks for what a boot loader would start. What is missing is no error here: a disk may have a loader that needs none of it. */
export async function findStart(guest: Guest, options: AbortOptions): Promise<DiskStart> {
  const places = (await findGrubPlaces(guest, options)).sort(byMountPoint)
  const [own] = places
  if (own) {
    return {
      ...nothing,
      isConfigured: true,
      places: places.map(({ volume, folder }) => startAt(volume, [folder], false)),
      own,
      findings: [`GRUB’s configuration is ${own.folder}/grub.cfg in ${nameOf(own.volume)}`],
    }
  }
  const unseen = guest.volumes.filter(
    ({ probe, filesystem }) => !filesystem && unseenTypes.includes(probe?.type ?? ''),
  )
  if (unseen.length > 0) {
    const names = unseen.map(nameOf).join(', ')
    const message = `GRUB’s configuration is not in a file system that can be looked into here; it may be in ${names}.`
    return {
      ...nothing,
      isConfigured: true,
      places: unseen.map((volume) => startAt(volume, grubPlaces, true)),
      warnings: [{ code: 'BOOT_SYSTEM_UNSEEN', message }],
    }
  }
  return findWithoutConfig(guest, options)
}

const nothing = {
  isConfigured: false,
  places: [],
  own: null,
  edits: null,
  obstacle: null,
  kernel: null,
  findings: [],
  warnings: [],
} satisfies DiskStart

/** A root with kernels gets a configuration of ours, if it comes to that. */
async function findWithoutConfig(guest: Guest, options: AbortOptions): Promise<DiskStart> {
  const root = guest.volumes.find((volume) => volume.mountPoint === '/')
  if (!root || !isOpen(root)) return { ...nothing, obstacle: whyNoRoot(guest) }
  try {
    const system = await lookIntoRoot(root.filesystem, { knowsBls: false, ...options })
    const ids = { root: root.filesystem.uuid, partition: root.partition?.uuid ?? '', boot: '' }
    const start = await decideStart({ ids, system, separate: null, isAlone: false, ...options })
    if (start.configIn !== 'root') throw fullRoot()
    return {
      ...nothing,
      places: [startAt(root, start.folders, false)],
      edits: { volume: root, changes: start.rootEdits },
      kernel: start.kernel,
      findings: ['there is no grub.cfg, and there are kernels'],
      warnings: start.warnings,
    }
  } catch (error) {
    if (error instanceof GuestError) return { ...nothing, obstacle: error }
    throw error
  }
}

function fullRoot(): GuestError {
  return new GuestError('BOOT_NO_ROOM', 'The root file system has no room for a configuration of GRUB.')
}

function whyNoRoot({ volumes }: Guest): GuestError {
  const damaged = volumes.find(({ openError }) => openError !== null)?.openError
  if (damaged) return damaged
  const kinds = volumes
    .map((volume) => `${volumeName(volume)}: ${volume.probe?.type ?? 'nothing known'}`)
    .join(', ')
  return new GuestError(
    'BOOT_ROOT_UNSUPPORTED',
    `No partition holds a system that can be looked into (${kinds}).`,
    {
      hint: 'Boot loaders can be put in place for systems on ext2, ext3, ext4 and xfs.',
    },
  )
}

function startAt(volume: GuestVolume, folders: readonly string[], searchKernels: boolean): StartPlace {
  return { uuid: volume.probe?.uuid ?? '', number: volume.partition?.number ?? 1, folders, searchKernels }
}

/** What the guest has at /boot before its root, and both before anything else. */
function byMountPoint(one: GrubPlace, other: GrubPlace): number {
  const rank = ({ volume }: GrubPlace) => ['/boot', '/'].indexOf(volume.mountPoint ?? '') >>> 0
  return rank(one) - rank(other)
}

function nameOf(volume: GuestVolume): string {
  return `partition ${volume.partition?.number} (${volume.probe?.type})`
}

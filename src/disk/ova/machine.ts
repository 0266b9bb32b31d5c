import { GiB } from '../../core/bytes.ts'
import { type GuestOsType, unknownGuestOs } from './guest-os-type.ts'

export const firmwares = ['bios', 'uefi'] as const
export type Firmware = (typeof firmwares)[number]

/** How the disk is attached, the one that every importer and most guests know first. */
export const diskBuses = ['sata', 'scsi', 'pvscsi', 'ide', 'nvme'] as const
export type DiskBus = (typeof diskBuses)[number]

export const nicModels = ['e1000', 'e1000e', 'vmxnet3', 'pcnet', 'none'] as const
export type NicModel = (typeof nicModels)[number]

/** What an appliance says about the machine to be made for its disk. JSON. */
export interface MachineDescription {
  /** For people; any text. */
  readonly name: string
  readonly cpus: number
  /** Bytes, whole MiB. */
  readonly memory: number
  readonly firmware: Firmware
  readonly diskBus: DiskBus
  readonly nic: NicModel
  readonly os: GuestOsType
  /** Version of what is installed, as its maker counts. */
  readonly version: string | null
  readonly vendor: string | null
  /** Lines about what it is and where it comes from. */
  readonly annotation: readonly string[]
}

/** A machine that starts most guests, for a disk nobody has looked into. */
export const defaultMachine: MachineDescription = {
  name: 'disk',
  cpus: 2,
  memory: 2 * GiB,
  firmware: 'bios',
  diskBus: 'sata',
  nic: 'e1000',
  os: unknownGuestOs,
  version: null,
  vendor: null,
  annotation: [],
}

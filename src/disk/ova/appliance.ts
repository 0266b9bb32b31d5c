import type { ManifestAlgorithm } from './manifest.ts'
import type { OvfMachine } from './ovf-descriptor.ts'

/** What an appliance is, for people and programs. JSON; sizes in bytes. */
export interface Appliance {
  readonly machines: readonly OvfMachine[]
  readonly disks: readonly ApplianceDisk[]
  readonly manifest: ApplianceManifest | null
  /** There is a certificate with a signature. It is not looked at. */
  readonly isSigned: boolean
}

export interface ApplianceDisk {
  /** From 1, to choose it by. */
  readonly number: number
  readonly id: string
  /** As the descriptor names it; null for a disk that begins empty. */
  readonly file: string | null
  /** Of the file; null where there is none. */
  readonly fileSize: number | null
  /** Of the guest's disk, as the descriptor has it. */
  readonly capacity: number | null
  readonly isCompressed: boolean
  readonly isChosen: boolean
}

export interface ApplianceManifest {
  readonly algorithms: readonly ManifestAlgorithm[]
  /** Files with a digest. */
  readonly files: number
  /** Files of the appliance that it leaves out, beside itself and a certificate. */
  readonly missing: readonly string[]
}

import type { MachineDescription } from './machine.ts'
import type { ManifestAlgorithm } from './manifest.ts'

/** What an appliance says beside its disk. */
export interface ApplianceOptions {
  machine: MachineDescription
  /** Digests of the manifest; sha256 when absent. */
  manifest?: ManifestAlgorithm
  /** The content digest of what has been read of the disk, to be told in the annotation; called after each whole reading. */
  contentDigest?: () => Promise<string>
}

import type { AbortOptions } from '../../core/abort.ts'
import type { Disk } from '../../disk/disk.ts'
import type { GuestError } from '../errors.ts'

/** A volume inside another one: a logical volume, what is encrypted, what is mirrored. */
export interface InnerVolume {
  /** Its bytes; `null` when they cannot be had, and `error` says why. */
  readonly disk: Disk | null
  readonly error: GuestError | null
  /** How messages name it. */
  readonly name: string
  /** The devices as which the guest may know it: `/dev/mapper/vg-root`. */
  readonly devices: readonly string[]
}

/** What one partition, or another volume, contributes to inner volumes. */
export interface VolumeContainer {
  readonly volumes: readonly InnerVolume[]
  /**
   * The container's own bytes with the inner volumes as `view` gives them, and zeros where no inner volume is and nothing is
   * needed to find them. `view` gives `null` for a volume that is carried over as it is.
   */
  compose(view: (volume: InnerVolume) => Promise<Disk | null>, options: AbortOptions): Promise<Disk>
}

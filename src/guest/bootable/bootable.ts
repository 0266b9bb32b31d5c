import type { AbortOptions } from '../../core/abort.ts'
import type { Disk } from '../../disk/disk.ts'
import type { GuestWarning } from '../warnings.ts'
import type { HostGrub } from './build-grub.ts'
import type { FirmwareChoice } from './disk-layout.ts'
import type { BootFirmware } from './grub-modules.ts'

/** A kernel or ramdisk that is not in the image. */
export interface SeparateFile {
  /** As the user named it, for messages. */
  readonly name: string
  /** Exactly its bytes; read when the result is read. */
  readonly content: Disk
  /** It was found by itself: where it cannot be used, the image's own will do. */
  readonly isSuggestion: boolean
}

export interface BootableOptions extends AbortOptions {
  /** Null: both, where the disk is laid out anew; what an ordinary disk is laid out for already otherwise. */
  firmware: FirmwareChoice | null
  kernel: SeparateFile | null
  ramdisk: SeparateFile | null
  /** Bytes the disk is to have in the end; null for as few as possible. */
  growTo: number | null
  grub: HostGrub
  /** A folder of the host for what lies there for a moment. */
  workFolder: string
}

/** What was, or would be, done to make a disk bootable. JSON; holds names of the guest's files and no content. */
export interface BootableReport {
  /** `none`: it boots as it is. `repair`: a part was missing. `wrap`: a disk was made around a root file system. */
  readonly action: 'none' | 'repair' | 'wrap'
  /** The machines it starts in. */
  readonly firmware: readonly BootFirmware[]
  readonly scheme: 'mbr' | 'gpt'
  /** Bytes of the disk. */
  readonly size: number
  readonly partitions: readonly {
    readonly number: number
    readonly purpose: string
    readonly offset: number
    readonly length: number
  }[]
  /** What starts; null where the guest's own configuration decides, or nobody could look. */
  readonly kernel: {
    readonly version: string
    /** Where it comes from: a path in the image, or the name of the file that was given. */
    readonly image: string
    readonly ramdisk: string | null
  } | null
  /** What was found and what is done, in words, in this order. */
  readonly findings: readonly string[]
  readonly changes: readonly string[]
  readonly warnings: readonly GuestWarning[]
}

export interface PreparedBootable {
  readonly report: BootableReport
  /**
   * The bootable disk, a view of the old one with what is new; only small parts are in memory or in the work folder. To be
   * called once, and valid until the guest is closed.
   * @throws GuestError when the changes to a file system cannot be made
   */
  make(options?: AbortOptions): Promise<Disk>
}

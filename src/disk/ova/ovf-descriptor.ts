/** What an OVF descriptor says, numbers in bytes. Data that describe: nothing here is trusted for anything else. */
export interface OvfDescriptor {
  readonly files: readonly OvfFile[]
  readonly disks: readonly OvfDisk[]
  readonly machines: readonly OvfMachine[]
}

export interface OvfFile {
  readonly id: string
  /** Name as it is written there. */
  readonly href: string
  readonly size: number | null
  readonly compression: string | null
  /** Cut into pieces named `href` and nine digits. */
  readonly isChunked: boolean
}

export interface OvfDisk {
  readonly id: string
  /** Id of its file; null for a disk that begins empty. */
  readonly fileId: string | null
  /** Bytes of the guest's disk; null when it is not said, or not in bytes. */
  readonly capacity: number | null
  /** What the file is declared to be; null when that says nothing. */
  readonly format: 'vmdk' | 'qcow2' | 'raw' | 'vhd' | null
  /** It holds only what differs from this disk. */
  readonly parentId: string | null
}

export interface OvfMachine {
  readonly name: string
  readonly cpus: number | null
  readonly memory: number | null
  readonly firmware: 'bios' | 'uefi' | null
  /** For people. */
  readonly os: string | null
  readonly vmwareOs: string | null
  readonly hardware: string | null
  readonly product: string | null
  readonly version: string | null
  readonly vendor: string | null
  readonly annotation: string | null
  readonly nics: readonly { readonly model: string | null; readonly network: string | null }[]
  /** Disks in the order they are attached. */
  readonly disks: readonly { readonly diskId: string; readonly controller: string | null }[]
}

import { GiB, MiB } from '../core/bytes.ts'

/** What a container format that can be written allows, as data. */
export interface OutputTraits {
  /** With the dot; the first is the usual one. */
  readonly extensions: readonly string[]
  /** Kinds of the format by their field's own names, the usual one first; empty where there is but one. */
  readonly subformats: readonly string[]
  readonly compressions: readonly ('zlib' | 'zstd')[]
  readonly clusterSize: boolean
  /** Whether it holds a machine, of which its disk is a part. */
  readonly isAppliance?: boolean
  /** Bytes of which the disk's size is a multiple, filled up with zeros: of every kind, or by kind. 512 when absent. */
  readonly granule?: number | Readonly<Record<string, number>>
}

export const outputTraits = {
  qcow2: {
    extensions: ['.qcow2', '.qcow'],
    subformats: [],
    compressions: ['zlib', 'zstd'],
    clusterSize: true,
  },
  raw: { extensions: ['.raw', '.img'], subformats: [], compressions: [], clusterSize: false },
  vmdk: {
    extensions: ['.vmdk'],
    subformats: ['streamOptimized', 'monolithicSparse'],
    compressions: [],
    clusterSize: false,
  },
  vdi: {
    extensions: ['.vdi'],
    subformats: ['dynamic', 'fixed'],
    compressions: [],
    clusterSize: false,
  },
  vhd: {
    extensions: ['.vhd'],
    subformats: ['dynamic', 'fixed'],
    compressions: [],
    clusterSize: false,
    // Azure takes fixed images only, and of whole MiB only.
    granule: { fixed: MiB },
  },
  vhdx: {
    extensions: ['.vhdx'],
    subformats: ['dynamic', 'fixed'],
    compressions: [],
    clusterSize: false,
  },
  ova: {
    extensions: ['.ova'],
    subformats: [],
    compressions: [],
    clusterSize: false,
    isAppliance: true,
  },
  gcp: {
    extensions: ['.tar.gz'],
    subformats: ['plain', 'sparse'],
    compressions: [],
    clusterSize: false,
    granule: GiB,
  },
  'raw.gz': {
    extensions: ['.raw.gz', '.img.gz'],
    subformats: [],
    compressions: [],
    clusterSize: false,
  },
  'raw.zst': {
    extensions: ['.raw.zst', '.img.zst'],
    subformats: [],
    compressions: [],
    clusterSize: false,
  },
} as const satisfies Readonly<Record<string, OutputTraits>>

/** No machine has half a sector, and QEMU cuts it off where a container says so. */
const sectorSize = 512

/** The granule of one kind of a format, the usual one when none is given. */
export function outputGranule(format: keyof typeof outputTraits, subformat?: string): number {
  const { granule = sectorSize, subformats }: OutputTraits = outputTraits[format]
  if (typeof granule === 'number') return granule
  return granule[subformat ?? subformats[0] ?? ''] ?? sectorSize
}

import { MiB } from '../core/bytes.ts'

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
  /** Bytes of which the disk's size is a multiple, filled up with zeros: of every kind, or by kind. Any size when absent. */
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
    granule: 512,
  },
  vhd: {
    extensions: ['.vhd'],
    subformats: ['dynamic', 'fixed'],
    compressions: [],
    clusterSize: false,
    // Azure takes fixed images only, and of whole MiB only.
    granule: { dynamic: 512, fixed: MiB },
  },
  vhdx: {
    extensions: ['.vhdx'],
    subformats: ['dynamic', 'fixed'],
    compressions: [],
    clusterSize: false,
    granule: 512,
  },
  ova: {
    extensions: ['.ova'],
    subformats: [],
    compressions: [],
    clusterSize: false,
    granule: 512,
    isAppliance: true,
  },
} as const satisfies Readonly<Record<string, OutputTraits>>

/** The granule of one kind of a format, the usual one when none is given. */
export function outputGranule(format: keyof typeof outputTraits, subformat?: string): number {
  const { granule = 1, subformats }: OutputTraits = outputTraits[format]
  if (typeof granule === 'number') return granule
  return granule[subformat ?? subformats[0] ?? ''] ?? 1
}

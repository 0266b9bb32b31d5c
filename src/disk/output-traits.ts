/** What a container format that can be written allows, as data. */
export interface OutputTraits {
  /** With the dot; the first is the usual one. */
  readonly extensions: readonly string[]
  /** Kinds of the format by their field's own names, the usual one first; empty where there is but one. */
  readonly subformats: readonly string[]
  readonly compressions: readonly ('zlib' | 'zstd')[]
  readonly clusterSize: boolean
}

export const outputTraits = {
  qcow2: {
    extensions: ['.qcow2', '.qcow'],
    subformats: [],
    compressions: ['zlib', 'zstd'],
    clusterSize: true,
  },
  raw: { extensions: ['.raw', '.img'], subformats: [], compressions: [], clusterSize: false },
} as const satisfies Readonly<Record<string, OutputTraits>>

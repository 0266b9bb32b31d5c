import { memoryDisk } from '../../src/disk/memory-disk.ts'
import { openVmdk } from '../../src/disk/vmdk/vmdk-reader.ts'
import type { FuzzTarget } from './fuzz-target.ts'
import type { FuzzSeed } from './mutations.ts'
import { describeVmdk, letters, sketchVmdk, type VmdkSketchOptions } from './vmdk-sketch.ts'

const kinds: readonly VmdkSketchOptions[] = [
  { kind: 'sparse' },
  { kind: 'sparse', sectors: 21 },
  { kind: 'stream' },
  { kind: 'stream', sectors: 5000, grains: [null, letters('C')] },
  { kind: 'front' },
]

const texts: readonly string[] = [
  describeVmdk({ createType: 'monolithicFlat', extents: ['RW 16 FLAT "disk-flat.vmdk" 0'] }),
  describeVmdk({
    createType: 'twoGbMaxExtentSparse',
    extents: ['RW 16 SPARSE "disk-s001.vmdk"', 'RW 8 ZERO', 'RW 16 SPARSE "disk-s002.vmdk"'],
  }),
]

export const fuzzVmdk: FuzzTarget = {
  format: 'vmdk',

  seeds: () => [...kinds.map(sparseSeed), ...texts.map(textSeed)],

  /** Whatever the name: an extent of zeros that is as long as it should be. */
  openWithOtherFiles: (source) =>
    openVmdk(source, { openExtent: async ({ size }) => memoryDisk(new Uint8Array(), size) }),
}

function sparseSeed(options: VmdkSketchOptions): FuzzSeed {
  const { bytes, places } = sketchVmdk(options)
  const { grains, end: _, ...tables } = places
  return {
    bytes,
    structures: [
      [0, 80],
      [512, 400],
      ...[...Object.values(tables), ...grains]
        .filter((place) => place > 0)
        .map((place) => [place, 80] as const),
      [Math.max(0, bytes.length - 1536), 1536],
      [0, bytes.length],
    ],
  }
}

function textSeed(text: string): FuzzSeed {
  const bytes = Buffer.from(text, 'latin1')
  return { bytes, structures: [[0, bytes.length]] }
}

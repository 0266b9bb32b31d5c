import { memoryDisk } from '../../src/disk/memory-disk.ts'
import { openQcow2 } from '../../src/disk/qcow2/qcow2-reader.ts'
import type { FuzzTarget } from './fuzz-target.ts'
import { guardedSource } from './guarded-source.ts'
import { validWithBitmap, validWithDataFile, validWithSnapshot } from './qcow2-extras.ts'
import { type SketchOptions, sketchQcow2 } from './qcow2-sketch.ts'

const kinds: readonly SketchOptions[] = [
  {},
  { version: 2 },
  { clusterBits: 9, spareClusters: 2 },
  { compressed: true },
  { extendedL2: true, clusterBits: 14 },
]

export const fuzzQcow2: FuzzTarget = {
  format: 'qcow2',

  seeds() {
    const extras = [validWithSnapshot(), validWithBitmap(), validWithDataFile('disk.raw')]
    return [...kinds.map(sketchQcow2), ...extras].map(({ bytes, clusterSize, places }) => ({
      bytes,
      structures: [
        [0, 160],
        [places.refcountTable, 16],
        [places.refcountBlock, 32],
        [places.l1, 16],
        [places.l2, 32],
        [bytes.length - 2 * clusterSize, 64],
        [bytes.length - clusterSize, 64],
        [0, bytes.length],
      ],
    }))
  },

  /** Whatever the name: a backing file of zeros, and a data file of zeros that is as long as any disk. */
  openWithOtherFiles: (source) =>
    openQcow2(source, {
      openBacking: async () => memoryDisk(Buffer.alloc(4096)),
      openDataFile: async () => ({
        ...guardedSource(Buffer.alloc(0), 'disk.raw'),
        size: Number.MAX_SAFE_INTEGER,
        read: async (target) => target.fill(0).length,
      }),
    }),
}

import { MiB } from '../../src/core/bytes.ts'
import type { FuzzTarget } from './fuzz-target.ts'
import { discarded, free, sketchVdi } from './vdi-sketch.ts'

export const fuzzVdi: FuzzTarget = {
  format: 'vdi',

  seeds: () =>
    [
      sketchVdi(),
      sketchVdi({ type: 2, size: 2048, map: [0] }),
      sketchVdi({ size: 7 * MiB + 512, map: [free, discarded, free, free, free, free, free, 0, free] }),
      sketchVdi({ size: MiB + 4096, map: [0, 1] }),
    ].map(({ bytes, mapOffset, dataOffset }) => ({
      bytes,
      structures: [
        [0x40, 0x18],
        [0x154, 0x3c],
        [0x188, 0x48],
        [mapOffset, 40],
        [dataOffset, 64],
        [bytes.length - 64, 64],
        [0, bytes.length],
      ],
    })),
}

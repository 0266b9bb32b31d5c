import { KiB, MiB } from '../../src/core/bytes.ts'
import { metadataTable, regionTable } from '../../src/disk/vhdx/vhdx-layout.ts'
import type { FuzzTarget } from './fuzz-target.ts'
import type { FuzzSeed } from './mutations.ts'
import { sectorWith, writeLog } from './vhdx-log-sketch.ts'
import { places, present, regionPlace, resealVhdx, sketchVhdx, type VhdxSketch } from './vhdx-sketch.ts'

const oneBlock = { size: 8 * KiB } as const

export const fuzzVhdx: FuzzTarget = {
  format: 'vhdx',
  seeds: () =>
    [
      sketchVhdx(oneBlock),
      sketchVhdx({
        size: 3 * MiB + 512,
        blocks: [null, Buffer.alloc(MiB, 'B'), null, Buffer.alloc(512, 'D')],
      }),
      sketchVhdx({ ...oneBlock, fixed: true, sectorSize: 4096 }),
      sketchVhdx({ size: 2 * MiB, blockSize: 256 * MiB, blocks: [null] }),
      withLog(),
    ].map(seedOf),

  /** The region tables become the same, too, or nothing behind them would be reached. */
  reseal(bytes) {
    const [first, second] = places.regionTables
    if (bytes.length >= second + regionTable.bytes) bytes.copyWithin(second, first, first + regionTable.bytes)
    resealVhdx(bytes)
  },
  // Every case is a copy of 4 MiB, with checksums over 130 KiB.
  share: 0.5,
}

/** An image whose BAT is right only when the log is replayed: its last entry overrides the others, and it wraps. */
function withLog(): VhdxSketch {
  const sketch = sketchVhdx(oneBlock)
  const bat = regionPlace(sketch, 'bat')
  const entry = sketch.bytes.readBigUInt64LE(bat)
  sketch.bytes.writeBigUInt64LE(0n, bat)
  const change = (value: bigint) => sectorWith(sketch, bat, (sector) => sector.writeBigUInt64LE(value, 0))
  const entries = [
    { changes: [{ at: bat + 64 * KiB, write: 64 * KiB }] },
    { changes: [change(present)] },
    { changes: [change(entry), { at: bat + 4 * KiB, write: 4 * KiB }], tail: 1 },
  ]
  writeLog(sketch, entries, { start: MiB - 12 * KiB })
  return sketch
}

function seedOf(sketch: VhdxSketch): FuzzSeed {
  const { bytes } = sketch
  const [bat, metadata] = [regionPlace(sketch, 'bat'), regionPlace(sketch, 'metadata')]
  return {
    bytes,
    structures: [
      ...places.headers.map((offset) => [offset, 80] as const),
      ...places.regionTables.map((offset) => [offset, 80] as const),
      [places.log, 128],
      [places.log + 12 * KiB, 128],
      [places.log + MiB - 12 * KiB, 160],
      [places.log + MiB - 4 * KiB, 160],
      [bat, 40],
      [metadata, 200],
      [metadata + metadataTable.bytes, 48],
      [0, bytes.length],
    ],
  }
}

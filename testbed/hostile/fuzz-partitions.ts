import type { FuzzTarget } from './fuzz-target.ts'
import type { FuzzSeed } from './mutations.ts'
import { sealGptHeader, sketchGpt, sketchMbr, writeBootRecord } from './partition-sketch.ts'

export const fuzzRaw: FuzzTarget = {
  format: 'raw',
  seeds: () => [
    {
      bytes: Buffer.alloc(65_536),
      structures: [
        [0, 1024],
        [65_024, 512],
        [32_768, 64],
      ],
    },
  ],
}

export const fuzzMbr: FuzzTarget = { format: 'raw', seeds: () => [mbrSeed()] }

export const fuzzGpt: FuzzTarget = {
  format: 'raw',
  seeds: () => [512, 4096].map(gptSeed),

  reseal(disk) {
    for (const sectorSize of [512, 4096]) {
      for (const start of [sectorSize, Math.floor(disk.length / sectorSize - 1) * sectorSize]) {
        const header = disk.subarray(Math.max(0, start), start + sectorSize)
        if (header.length === sectorSize && header.toString('latin1', 0, 8) === 'EFI PART')
          sealGptHeader(header)
      }
    }
  },
}

function mbrSeed(): FuzzSeed {
  const bytes = sketchMbr(
    [
      { type: 0x83, first: 8, sectors: 8 },
      { type: 5, first: 32, sectors: 90 },
    ],
    128,
  )
  writeBootRecord(bytes, 32, [
    { type: 0x83, first: 2, sectors: 8 },
    { type: 5, first: 32, sectors: 20 },
  ])
  writeBootRecord(bytes, 64, [{ type: 0x83, first: 2, sectors: 8 }])
  return {
    bytes,
    structures: [
      [446, 66],
      [32 * 512 + 446, 66],
      [64 * 512 + 446, 66],
      [0, bytes.length],
    ],
  }
}

function gptSeed(sectorSize: number): FuzzSeed {
  const bytes = sketchGpt({ sectorSize, sectors: 160, entryCount: 8, parts: [{ first: 64, last: 99 }] })
  const last = bytes.length - sectorSize
  return {
    bytes,
    structures: [
      [446, 66],
      [sectorSize, 92],
      [2 * sectorSize, 256],
      [last, 92],
      [last - 1024, 256],
      [0, bytes.length],
    ],
  }
}

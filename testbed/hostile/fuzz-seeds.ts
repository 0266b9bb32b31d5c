import type { FuzzSeed } from './mutations.ts'
import { sealGptHeader, sketchGpt, sketchMbr, writeBootRecord } from './partition-sketch.ts'
import { validWithBitmap, validWithDataFile, validWithSnapshot } from './qcow2-extras.ts'
import { type SketchOptions, sketchQcow2 } from './qcow2-sketch.ts'

export const fuzzFormats = ['qcow2', 'raw', 'mbr', 'gpt'] as const
export type FuzzFormat = (typeof fuzzFormats)[number]

/** Valid images of a format, in as many kinds as its readers distinguish. */
export function fuzzSeeds(format: FuzzFormat): FuzzSeed[] {
  switch (format) {
    case 'qcow2':
      return qcow2Seeds()
    case 'raw':
      return [
        {
          bytes: Buffer.alloc(65_536),
          structures: [
            [0, 1024],
            [65_024, 512],
            [32_768, 64],
          ],
        },
      ]
    case 'mbr':
      return [mbrSeed()]
    case 'gpt':
      return [512, 4096].map(gptSeed)
  }
}

/** Makes the checksums of whatever GPT headers there are right again, so that the fields behind them are reached. */
export function resealGpt(disk: Buffer): void {
  for (const sectorSize of [512, 4096]) {
    for (const start of [sectorSize, Math.floor(disk.length / sectorSize - 1) * sectorSize]) {
      const header = disk.subarray(Math.max(0, start), start + sectorSize)
      if (header.length === sectorSize && header.toString('latin1', 0, 8) === 'EFI PART')
        sealGptHeader(header)
    }
  }
}

function qcow2Seeds(): FuzzSeed[] {
  const kinds: SketchOptions[] = [
    {},
    { version: 2 },
    { clusterBits: 9, spareClusters: 2 },
    { compressed: true },
    { extendedL2: true, clusterBits: 14 },
  ]
  const extras = [validWithSnapshot(), validWithBitmap(), validWithDataFile('disk.raw')]
  const sketches = [...kinds.map(sketchQcow2), ...extras]
  return sketches.map(({ bytes, clusterSize, places }) => ({
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

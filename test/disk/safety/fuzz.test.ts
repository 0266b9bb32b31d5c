import { describe, it } from 'vitest'
import { fuzzImages } from '../../../testbed/hostile/fuzz-image.ts'
import type { FuzzFormat } from '../../../testbed/hostile/fuzz-seeds.ts'

/** A sample of what `node testbed/hostile/fuzz.ts` does at length. */
const samples: readonly (readonly [FuzzFormat, number])[] = [
  ['qcow2', 3000],
  ['raw', 300],
  ['mbr', 700],
  ['gpt', 700],
]

describe('probe, partition table, safety checks and reader', () => {
  it.for(samples)('survive spoilt %s images, %i of them', async ([format, runs]) => {
    await fuzzImages(format, { runs })
  })
})

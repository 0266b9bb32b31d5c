import { describe, expect, it } from 'vitest'
import { diskFormats } from '../../../src/disk/format-readers.ts'
import { wrappedFormats } from '../../../src/disk/wrapping/wrappings.ts'
import { fuzzImages } from '../../../testbed/hostile/fuzz-image.ts'
import { type FuzzFormat, fuzzTargets, isFuzzFormat } from '../../../testbed/hostile/fuzz-targets.ts'

/** How many images of each format are spoilt here: a sample of what `npm run fuzz` does at length. */
const samples: Readonly<Record<FuzzFormat, number>> = {
  qcow2: 3000,
  vmdk: 2000,
  vdi: 1500,
  vhd: 2000,
  vhdx: 600,
  ova: 1500,
  tar: 1500,
  gzip: 300,
  zstd: 300,
  xz: 15,
  raw: 300,
  mbr: 700,
  gpt: 700,
}

describe('probe, partition table, safety checks and reader', () => {
  it.for(Object.keys(fuzzTargets).filter(isFuzzFormat))('survive spoilt %s images', async (format) => {
    await fuzzImages(format, { runs: samples[format] })
  })

  it('are all tried: every format that can be read, and every wrapping', () => {
    const formats: readonly string[] = [...diskFormats, ...wrappedFormats]
    // A descriptor alone is read as the one in an archive is.
    expect(formats.filter((format) => format !== 'ovf' && !isFuzzFormat(format))).toEqual([])
  })
})

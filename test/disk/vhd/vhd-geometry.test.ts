import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { GiB, MiB, TiB } from '../../../src/core/bytes.ts'
import {
  exactGeometry,
  geometrySize,
  maximumGeometry,
  specifiedGeometry,
} from '../../../src/disk/vhd/vhd-geometry.ts'

const sector = 512

describe('the geometry of a VHD', () => {
  // What Hyper-V writes for disks of these sizes, and the edges of the specification's steps.
  test.each([
    [sector, 0, 4, 17],
    [10 * MiB, 301, 4, 17],
    [127 * GiB, 65_278, 16, 255],
    [1024 * 17 * 4 * sector - sector, 1023, 4, 17],
    [1024 * 17 * 16 * sector - sector, 1023, 16, 17],
    [1024 * 17 * 16 * sector, 561, 16, 31],
    [1024 * 31 * 16 * sector - sector, 1023, 16, 31],
    [1024 * 31 * 16 * sector, 503, 16, 63],
    [65_535 * 16 * 63 * sector - sector, 65_534, 16, 63],
    [65_535 * 16 * 63 * sector, 16_191, 16, 255],
    [65_535 * 16 * 255 * sector, 65_535, 16, 255],
    [2 * TiB, 65_535, 16, 255],
  ])('of a disk of %i bytes is %i/%i/%i', (size, cylinders, heads, sectorsPerTrack) => {
    expect(specifiedGeometry(size)).toEqual({ cylinders, heads, sectorsPerTrack })
  })

  test('as it is written says the exact size, or nothing', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 36 }), (sectors) => {
        const geometry = exactGeometry(sectors * sector)
        const isMaximum = geometrySize(geometry) === geometrySize(maximumGeometry)
        expect(isMaximum || geometrySize(geometry) === sectors * sector).toBe(true)
        expect(geometry.cylinders).toBeLessThanOrEqual(65_535)
        expect(geometry.heads).toBeLessThanOrEqual(16)
        expect(geometry.sectorsPerTrack).toBeLessThanOrEqual(255)
      }),
    )
  })
})

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GiB, KiB, TiB } from '../../../src/core/bytes.ts'
import { AllocationMap } from '../../../src/disk/decompression/allocation-map.ts'
import { RestartPoints } from '../../../src/disk/decompression/restart-points.ts'

const block = 64 * KiB

describe('AllocationMap', () => {
  it('says what was marked, and joins neighbours', () => {
    const map = new AllocationMap()
    for (const index of [0, 1, 7, 8, 9, 100]) map.mark(index * block, block)
    expect([...map.ranges(101 * block - 5)]).toEqual([
      { offset: 0, length: 2 * block },
      { offset: 7 * block, length: 3 * block },
      { offset: 100 * block, length: block - 5 },
    ])
    expect(map.isZero(2 * block, 5 * block)).toBe(true)
    expect(map.isZero(2 * block, 5 * block + 1)).toBe(false)
    expect([...new AllocationMap().ranges(TiB)]).toEqual([])
  })

  it('grows coarser and never forgets, however large it gets', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat({ max: (16 * TiB) / block }), { maxLength: 60 }), (marks) => {
        const map = new AllocationMap()
        const ascending = marks.toSorted((a, b) => a - b)
        for (const index of ascending) map.mark(index * block, block)
        const ranges = [...map.ranges(16 * TiB + block)]
        for (const index of ascending) {
          expect(map.isZero(index * block, block)).toBe(false)
          expect(
            ranges.some(
              ({ offset, length }) => offset <= index * block && (index + 1) * block <= offset + length,
            ),
          ).toBe(true)
        }
        const total = ranges.reduce((sum, { length }) => sum + length, 0)
        expect(total).toBeLessThanOrEqual(marks.length * 4 * 1024 * KiB)
      }),
      { numRuns: 20 },
    )
  })

  it('is exact up to 512 GiB', () => {
    const map = new AllocationMap()
    map.mark(512 * GiB - block, block)
    expect([...map.ranges(512 * GiB)]).toEqual([{ offset: 512 * GiB - block, length: block }])
  })
})

describe('RestartPoints', () => {
  it('gives the last one before a place, and keeps some of however many', () => {
    const points = new RestartPoints()
    expect(points.before(100)).toBeNull()
    const count = 200_000
    for (let index = 0; index <= count; index += 1) points.add({ compressed: index, plain: index * 1000 })
    for (const position of [1_000_000, 77_777_777, count * 1000]) {
      const point = points.before(position)!
      expect(point.plain).toBe(point.compressed * 1000)
      expect(point.plain).toBeLessThanOrEqual(position)
      expect(position - point.plain).toBeLessThan(64 * 1000)
    }
    expect(points.before(0)).toBeNull()
  })
})

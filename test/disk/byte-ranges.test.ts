import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  ByteRangesBuilder,
  byteRanges,
  firstRangeEndingAfter,
  rangeEnd,
  rangeStart,
} from '../../src/disk/byte-ranges.ts'

const ranges = fc.array(fc.record({ offset: fc.nat(200), length: fc.nat(30) }), { maxLength: 30 })

describe('byteRanges', () => {
  it('covers what was added, ascending and not touching, whatever the order', () => {
    fc.assert(
      fc.property(ranges, (added) => {
        const built = byteRanges(added)
        const covered = new Set(added.flatMap(({ offset, length }) => numbers(offset, offset + length)))
        const found: number[] = []
        for (let i = 0; i < built.count; i += 1) {
          expect(rangeStart(built, i + 1)).toBeGreaterThan(rangeEnd(built, i))
          found.push(...numbers(rangeStart(built, i), rangeEnd(built, i)))
        }
        expect(found).toEqual([...covered].sort((a, b) => a - b))
        expect(built.total).toBe(covered.size)
        expect(built.bounds.length).toBe(built.count * 2)
      }),
    )
  })

  it('finds the first range that ends after a position', () => {
    fc.assert(
      fc.property(ranges, fc.nat(250), (added, position) => {
        const built = byteRanges(added)
        const ends = numbers(0, built.count).map((i) => rangeEnd(built, i))
        const expected = ends.findIndex((end) => end > position)
        expect(firstRangeEndingAfter(built, position)).toBe(expected < 0 ? built.count : expected)
      }),
    )
  })

  it('holds a million ranges in 16 bytes each', () => {
    const builder = new ByteRangesBuilder()
    for (let i = 1_000_000; i > 0; i -= 1) builder.add(i * 8192, 4096)
    const built = builder.build()
    expect([built.count, built.bounds.byteLength, rangeStart(built, 0)]).toEqual([1e6, 16e6, 8192])
  })

  it('refuses what is no range', () => {
    for (const [offset, length] of [
      [-1, 5],
      [0, -1],
      [0.5, 1],
      [Number.MAX_SAFE_INTEGER, 1],
      [Number.NaN, 1],
    ] as const) {
      expect(() => byteRanges([{ offset, length }])).toThrow(RangeError)
    }
  })
})

function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i)
}

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { forEachNonZeroRun, isZero, zeroBlock, zeroBlockLength } from '../../src/transfer/zeros.ts'

describe('isZero', () => {
  it('finds a single byte that is not zero, wherever it is', () => {
    const bytes = new Uint8Array(3 * zeroBlockLength + 7)
    expect(isZero(bytes)).toBe(true)
    for (const place of [0, 1, zeroBlockLength - 1, zeroBlockLength, bytes.length - 1]) {
      bytes[place] = 1
      expect(isZero(bytes)).toBe(false)
      expect(isZero(bytes, 0, place)).toBe(true)
      expect(isZero(bytes, place + 1)).toBe(true)
      bytes[place] = 0
    }
  })

  it('looks at a view, not at the memory around it', () => {
    const memory = new Uint8Array(100).fill(1)
    memory.fill(0, 40, 60)
    expect(isZero(memory.subarray(40, 60))).toBe(true)
    expect(isZero(memory.subarray(39, 60))).toBe(false)
    expect(zeroBlock.every((byte) => byte === 0)).toBe(true)
  })
})

describe('forEachNonZeroRun', () => {
  it('gives exactly the granules that hold something, neighbours as one run', () => {
    const bytes = fc.uint8Array({ max: 2, maxLength: 60 })
    fc.assert(
      fc.property(bytes, fc.integer({ min: 1, max: 10 }), (bytes, granule) => {
        const covered = new Uint8Array(bytes.length)
        let before = -1
        forEachNonZeroRun(bytes, granule, (start, end) => {
          expect(start).toBeGreaterThan(before)
          expect(end).toBeGreaterThan(start)
          covered.fill(1, start, end)
          before = end
        })
        const expected = bytes.map((_, i) => {
          const from = i - (i % granule)
          return bytes.subarray(from, from + granule).some((byte) => byte !== 0) ? 1 : 0
        })
        expect(covered).toEqual(expected)
      }),
    )
  })
})

import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { grainClaims } from '../../../src/disk/safety/grain-claims.ts'
import { sectorClaims } from '../../../src/disk/safety/sector-claims.ts'

describe('grainClaims', () => {
  test('takes a grain exactly when it shares no sector with an earlier one', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(1, 8, 128),
        fc.array(fc.nat(2000), { maxLength: 60 }),
        (grainSectors, places) => {
          const claims = grainClaims(grainSectors, 2 ** 20)
          const taken: number[] = []
          for (const place of places) {
            const isFree = taken.every((other) => Math.abs(other - place) >= grainSectors)
            expect(claims.claim(place)).toBe(isFree)
            if (isFree) taken.push(place)
          }
        },
      ),
    )
  })

  test('says when its memory is full', () => {
    const claims = grainClaims(128, 2 ** 16)
    expect([claims.claim(0), claims.isFull]).toEqual([true, false])
    expect([claims.claim(2 ** 40), claims.isFull]).toEqual([true, true])
  })
})

describe('sectorClaims', () => {
  test('takes sectors exactly when none of them was taken before', () => {
    const range = fc.record({
      first: fc.integer({ min: 32_700, max: 32_900 }),
      count: fc.integer({ min: 1, max: 90 }),
    })
    fc.assert(
      fc.property(fc.array(range, { maxLength: 20 }), (ranges) => {
        const claims = sectorClaims(2 ** 20)
        const taken = new Set<number>()
        for (const { first, count } of ranges) {
          const sectors = Array.from({ length: count }, (_, index) => first + index)
          const isFree = sectors.every((sector) => !taken.has(sector))
          expect(claims.isClaimed(first, count)).toBe(!isFree)
          expect(claims.claim(first, count)).toBe(isFree)
          if (isFree) for (const sector of sectors) taken.add(sector)
        }
        expect(claims.end).toBe(Math.max(0, ...[...taken].map((sector) => sector + 1)))
      }),
    )
  })

  test('says when its memory is full', () => {
    const claims = sectorClaims(4096)
    claims.claim(0, 4)
    expect(claims.isFull).toBe(false)
    claims.claim(2 ** 40, 4)
    expect(claims.isFull).toBe(true)
  })
})

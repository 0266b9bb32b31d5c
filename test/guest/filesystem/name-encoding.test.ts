import fc from 'fast-check'
import { expect, it } from 'vitest'
import { decodeName, encodeName } from '../../../src/guest/filesystem/name-encoding.ts'

it('keeps every name through a round trip, whatever its bytes', () => {
  const fragment = fc.oneof(
    fc.uint8Array({ maxLength: 6 }),
    fc.string({ unit: 'binary', maxLength: 4 }).map((text) => new TextEncoder().encode(text)),
  )
  fc.assert(
    fc.property(fc.array(fragment, { maxLength: 5 }), (parts) => {
      const bytes = Buffer.concat(parts)
      expect(Buffer.from(encodeName(decodeName(bytes)))).toEqual(bytes)
    }),
  )
})

it('gives UTF-8 names as they are, and other bytes as lone surrogates', () => {
  expect(decodeName(Buffer.from('größe'))).toBe('größe')
  expect(decodeName(Uint8Array.of(0x61, 0xff, 0xc3, 0xa9))).toBe('a\udcffé')
  // A surrogate written as UTF-8 is not UTF-8; neither is an overlong slash.
  expect(decodeName(Uint8Array.of(0xed, 0xb2, 0x80))).toBe('\udced\udcb2\udc80')
  expect(decodeName(Uint8Array.of(0xc0, 0xaf))).toBe('\udcc0\udcaf')
})

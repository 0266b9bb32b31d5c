import fc from 'fast-check'
import { expect, test } from 'vitest'
import { crc32c, crc32cOfNumber } from '../../src/core/crc32c.ts'

const first = 0xffff_ffff

test('gives the values of the specification (RFC 3720, B.4)', () => {
  const ascending = Buffer.from(Array.from({ length: 32 }, (_, index) => index))
  const checksum = (bytes: Buffer) => ~crc32c(first, bytes) >>> 0
  expect(checksum(Buffer.alloc(0))).toBe(0)
  expect(checksum(Buffer.from('123456789'))).toBe(0xe306_9283)
  expect(checksum(Buffer.alloc(32))).toBe(0x8a91_36aa)
  expect(checksum(Buffer.alloc(32, 0xff))).toBe(0x62a8_ab43)
  expect(checksum(ascending)).toBe(0x46dd_794e)
  expect(checksum(ascending.reverse())).toBe(0x113f_db5c)
})

test('is that of the whole, in whatever parts the bytes come and wherever in memory they are', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 100 }),
      fc.nat({ max: 100 }),
      fc.nat({ max: 7 }),
      (bytes, at, shift) => {
        const moved = Buffer.concat([Buffer.alloc(shift), bytes]).subarray(shift)
        const inParts = crc32c(crc32c(first, moved.subarray(0, at)), moved.subarray(at))
        expect(inParts).toBe(bitByBit(first, bytes))
      },
    ),
  )
})

test('continues with a number as with its bytes', () => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(0xdead_beef)
  expect(crc32cOfNumber(first, 0xdead_beef)).toBe(crc32c(first, bytes))
})

function bitByBit(start: number, bytes: Uint8Array): number {
  let crc = start
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0x82f6_3b78 : crc >>> 1
  }
  return crc >>> 0
}

/**
 * CRC-32C (Castagnoli, reflected), without the final inversion, so that a result is the start value of the next part.
 * The first part starts from 0xffffffff. The checksum of ext4 metadata and, inverted at the end, of VHDX.
 */
export function crc32c(start: number, bytes: Uint8Array): number {
  let crc = start >>> 0
  for (const byte of bytes) crc = (table[(crc ^ byte) & 0xff] ?? 0) ^ (crc >>> 8)
  return crc >>> 0
}

/** Continues with a 32-bit number in little-endian order. */
export function crc32cOfNumber(start: number, value: number): number {
  return crc32c(start, Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24))
}

const polynomial = 0x82f6_3b78

const table = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ polynomial : value >>> 1
  return value >>> 0
})

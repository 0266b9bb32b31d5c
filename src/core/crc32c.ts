/**
 * CRC-32C (Castagnoli, reflected), without the final inversion, so that a result is the start value of the next part.
 * The first part starts from 0xffffffff. The checksum of ext4 metadata and, inverted at the end, of VHDX.
 *
 * Eight bytes a step, by as many tables ("slicing by 8"), all of it through DataViews. Measured against byte by byte:
 * twice as fast for 60 bytes, four to six times for blocks of 1 KiB and more.
 */
export function crc32c(start: number, bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  let crc = start
  let at = 0
  for (; at + slices <= bytes.length; at += slices) {
    const low = crc ^ view.getInt32(at, true)
    const high = view.getInt32(at + 4, true)
    crc =
      tables.getInt32(7 * tableBytes + ((low << 2) & 0x3fc)) ^
      tables.getInt32(6 * tableBytes + ((low >>> 6) & 0x3fc)) ^
      tables.getInt32(5 * tableBytes + ((low >>> 14) & 0x3fc)) ^
      tables.getInt32(4 * tableBytes + ((low >>> 22) & 0x3fc)) ^
      tables.getInt32(3 * tableBytes + ((high << 2) & 0x3fc)) ^
      tables.getInt32(2 * tableBytes + ((high >>> 6) & 0x3fc)) ^
      tables.getInt32(tableBytes + ((high >>> 14) & 0x3fc)) ^
      tables.getInt32((high >>> 22) & 0x3fc)
  }
  for (; at < bytes.length; at += 1) {
    crc = tables.getInt32(((crc ^ view.getUint8(at)) << 2) & 0x3fc) ^ (crc >>> 8)
  }
  return crc >>> 0
}

/** Continues with a 32-bit number in little-endian order. */
export function crc32cOfNumber(start: number, value: number): number {
  return crc32c(start, Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24))
}

const polynomial = 0x82f6_3b78
const slices = 8
const tableBytes = 256 * 4

/** Table `n`: what a byte has become when `n` more bytes have followed it. */
const tables = new DataView(new ArrayBuffer(slices * tableBytes))
for (let byte = 0; byte < 256; byte += 1) {
  let value = byte
  for (let bit = 0; bit < 8; bit += 1) value = value & 1 ? (value >>> 1) ^ polynomial : value >>> 1
  tables.setInt32(byte * 4, value)
}
for (let at = tableBytes; at < slices * tableBytes; at += 4) {
  const before = tables.getInt32(at - tableBytes)
  tables.setInt32(at, (before >>> 8) ^ tables.getInt32((before << 2) & 0x3fc))
}

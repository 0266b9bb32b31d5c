import type { TarField } from './tar-layout.ts'

/**
 * A number field: octal digits ended by NUL or blank, or, when its first bit is set, the GNU form: big-endian in
 * base 256. Null for anything else, for negative numbers, and for those above 2^53. An empty field is 0.
 */
export function readTarNumber(block: Buffer, [offset, length]: TarField): number | null {
  const first = block.readUInt8(offset)
  if (first & 0x80) return readBase256(block.subarray(offset, offset + length))
  const text = block.toString('latin1', offset, offset + length)
  const digits = /^ *([0-7]*)[ \0]*$/.exec(text)?.[1]
  if (digits === undefined) return null
  const value = digits === '' ? 0 : Number.parseInt(digits, 8)
  return Number.isSafeInteger(value) ? value : null
}

function readBase256(bytes: Buffer): number | null {
  // The first byte is 80 for positive numbers; FF begins a negative one.
  if (bytes[0] !== 0x80) return null
  const value = bytes.subarray(1).reduce((sum, byte) => sum * 256 + byte, 0)
  return Number.isSafeInteger(value) ? value : null
}

/** Writes octal digits and a NUL where they suffice, else base 256. */
export function writeTarNumber(block: Buffer, [offset, length]: TarField, value: number): void {
  const digits = value.toString(8)
  if (digits.length < length) {
    block.write(`${digits.padStart(length - 1, '0')}\0`, offset, 'latin1')
    return
  }
  let rest = value
  for (let at = offset + length - 1; at > offset; at -= 1) {
    block.writeUInt8(rest % 256, at)
    rest = Math.floor(rest / 256)
  }
  block.writeUInt8(0x80, offset)
}

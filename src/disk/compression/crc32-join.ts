/** The polynomial of CRC-32 (RFC 1952, section 8), its bits reversed. */
const polynomial = 0xedb88320

/** The product of two polynomials modulo that of CRC-32; bit 31 is the coefficient of 1. */
function multiply(left: number, right: number): number {
  let product = 0
  let shifted = right
  for (let bit = 31; bit >= 0; bit -= 1) {
    if ((left >>> bit) & 1) product ^= shifted
    shifted = shifted & 1 ? (shifted >>> 1) ^ polynomial : shifted >>> 1
  }
  return product >>> 0
}

/** x to the power of `8 * bytes`. */
function power(bytes: number): number {
  // x^8: the coefficient of x^0 is bit 31.
  let square = 1 << (31 - 8)
  let result = 0x80000000
  for (let rest = bytes; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result = multiply(result, square)
    square = multiply(square, square)
  }
  return result >>> 0
}

let lastLength = 0
let lastPower = power(0)

/**
 * The CRC-32 of two byte strings one behind the other from the CRC-32 of each and the length of the second, as zlib's
 * `crc32_combine`, which Node does not offer: so blocks can be hashed in threads, and zeros not at all.
 */
export function joinCrc32(first: number, second: number, secondLength: number): number {
  if (secondLength !== lastLength) {
    lastPower = power(secondLength)
    lastLength = secondLength
  }
  return (multiply(lastPower, first) ^ second) >>> 0
}

/** The CRC-32 of so many zeros. */
export function crc32OfZeros(length: number): number {
  // The register begins and ends inverted, so zeros are no zeros to it.
  return (multiply(power(length), 0xffffffff) ^ 0xffffffff) >>> 0
}

import { crc32 } from 'node:zlib'

/** The .xz file format 1.2.1; sections in brackets. */
export const streamHeaderBytes = 12
export const streamFooterBytes = 12
const headerMagic = '\xfd7zXZ\0'
const footerMagic = 'YZ'

/** Bytes of a check by its number [2.1.1.2]; the others are reserved. */
export const checkBytes: Readonly<Record<number, number>> = { 0: 0, 1: 4, 4: 8, 10: 32 }

/** A stream header [2.1.1]: the number of its check, or null when it is none. */
export function readStreamHeader(header: Buffer): number | null {
  if (header.toString('latin1', 0, 6) !== headerMagic || header[6] !== 0) return null
  return header.readUInt32LE(8) === crc32(header.subarray(6, 8)) ? header.readUInt8(7) : null
}

export interface StreamFooter {
  readonly check: number
  readonly indexBytes: number
}

/** A stream footer [2.1.2], or null when it is none. */
export function readStreamFooter(footer: Buffer): StreamFooter | null {
  if (footer.toString('latin1', 10, 12) !== footerMagic || footer[8] !== 0) return null
  if (footer.readUInt32LE(0) !== crc32(footer.subarray(4, 10))) return null
  return { check: footer.readUInt8(9), indexBytes: (footer.readUInt32LE(4) + 1) * 4 }
}

export function encodeStreamHeader(check: number): Buffer {
  const header = Buffer.alloc(streamHeaderBytes)
  header.write(headerMagic, 0, 'latin1')
  header.writeUInt8(check, 7)
  header.writeUInt32LE(crc32(header.subarray(6, 8)), 8)
  return header
}

/** The index of a stream of one block [4], and the footer behind it. */
export function encodeStreamEnd(
  check: number,
  { unpaddedSize, plainSize }: { unpaddedSize: number; plainSize: number },
): Buffer {
  const records = [0, 1, ...encodeInteger(unpaddedSize), ...encodeInteger(plainSize)]
  while (records.length % 4 !== 0) records.push(0)
  const index = Buffer.alloc(records.length + 4)
  index.set(records)
  index.writeUInt32LE(crc32(index.subarray(0, -4)), records.length)
  const footer = Buffer.alloc(streamFooterBytes)
  footer.writeUInt32LE(index.length / 4 - 1, 4)
  footer.writeUInt8(check, 9)
  footer.write(footerMagic, 10, 'latin1')
  footer.writeUInt32LE(crc32(footer.subarray(4, 10)), 0)
  return Buffer.concat([index, footer])
}

/** Reads the multibyte integers of the format [1.2] one after the other; null for what is none, or above 2^53. */
export function integerReader(bytes: Buffer): { next(): number | null; position: number } {
  const reader = {
    position: 0,
    next(): number | null {
      let value = 0
      for (let factor = 1, count = 0; count < 9; factor *= 128, count += 1) {
        const byte = bytes[reader.position]
        if (byte === undefined || (byte === 0 && count > 0)) return null
        reader.position += 1
        value += (byte & 0x7f) * factor
        if (byte < 0x80) return Number.isSafeInteger(value) ? value : null
      }
      return null
    },
  }
  return reader
}

function encodeInteger(value: number): number[] {
  const bytes: number[] = []
  let rest = value
  while (rest >= 128) {
    bytes.push((rest % 128) + 128)
    rest = Math.floor(rest / 128)
  }
  return [...bytes, rest]
}

/** The LZMA2 filter, the only one for data that are no program [5.3.1]. */
const lzma2 = 0x21
const maximumHeaderBytes = 1024

/** Bytes of the dictionary that a block needs, from its header [3.1]; null when it uses other filters or is damaged. */
export function dictionaryOf(block: Buffer): number | null {
  const length = ((block[0] ?? 0) + 1) * 4
  const flags = block[1] ?? 0
  if (block[0] === 0 || length > Math.min(block.length, maximumHeaderBytes) || (flags & 0x3f) !== 0)
    return null
  const reader = integerReader(block.subarray(2, length))
  if ((flags & 0x40) !== 0 && reader.next() === null) return null
  if ((flags & 0x80) !== 0 && reader.next() === null) return null
  if (reader.next() !== lzma2 || reader.next() !== 1) return null
  const bits = block[2 + reader.position] ?? 0
  if (bits > 40) return null
  return bits === 40 ? 2 ** 32 - 1 : (2 + (bits % 2)) * 2 ** (Math.floor(bits / 2) + 11)
}

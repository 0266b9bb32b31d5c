/**
 * File names are bytes; paths here are strings. Bytes that are not UTF-8 become lone surrogates U+DC80..U+DCFF, one
 * per byte (Python's "surrogateescape"), so that every name survives a round trip.
 */
export function decodeName(bytes: Uint8Array): string {
  const simple = decodeAscii(bytes)
  if (simple !== null) return simple
  try {
    return strictDecoder.decode(bytes)
  } catch {
    return decodeEscaped(bytes)
  }
}

/** The bytes of a name or path; see `decodeName`. A lone surrogate that stands for no byte becomes U+FFFD. */
export function encodeName(name: string): Uint8Array {
  if (!loneEscape.test(name)) return encoder.encode(name)
  const parts: number[] = []
  for (const character of name) {
    const code = character.codePointAt(0) ?? 0
    if (code >= 0xdc80 && code <= 0xdcff) parts.push(code - 0xdc00)
    else parts.push(...encoder.encode(character))
  }
  return Uint8Array.from(parts)
}

/** A byte order mark is part of a name like any other character. */
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const encoder = new TextEncoder()
const loneEscape = /[\udc80-\udcff]/

function decodeAscii(bytes: Uint8Array): string | null {
  let text = ''
  for (const byte of bytes) {
    if (byte >= 0x80) return null
    text += String.fromCharCode(byte)
  }
  return text
}

/** Takes the longest valid sequences and escapes the bytes between them. */
function decodeEscaped(bytes: Uint8Array): string {
  let text = ''
  let position = 0
  while (position < bytes.length) {
    const length = validSequence(bytes, position)
    if (length === 0) {
      text += String.fromCharCode(0xdc00 + (bytes[position] ?? 0))
      position += 1
    } else {
      text += strictDecoder.decode(bytes.subarray(position, position + length))
      position += length
    }
  }
  return text
}

/** Bytes of the UTF-8 sequence at `position`, 0 when there is none. */
function validSequence(bytes: Uint8Array, position: number): number {
  const first = bytes[position] ?? 0
  const length =
    first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0
  if (length === 0 || position + length > bytes.length) return 0
  try {
    strictDecoder.decode(bytes.subarray(position, position + length))
    return length
  } catch {
    return 0
  }
}

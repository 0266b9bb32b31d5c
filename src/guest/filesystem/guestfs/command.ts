import { GuestError } from '../../errors.ts'
import { encodeName } from '../name-encoding.ts'

/** guestfish reads lines into a buffer of 8192 bytes; what is longer would be read as further commands. */
const maximumLine = 8000

/**
 * A line for guestfish: a command of ours, numbers, and texts that may be the guest's. Every text is quoted and reduced to
 * printable ASCII, so that whatever it holds it stays one argument.
 * @throws GuestError `GUEST_PATH_INVALID` for a line that would be too long
 */
export function command(name: string, ...values: readonly (string | number)[]): string {
  const line = [
    name,
    ...values.map((value) => (typeof value === 'number' ? String(value) : quote(value))),
  ].join(' ')
  if (line.length > maximumLine) {
    throw new GuestError('GUEST_PATH_INVALID', 'A path inside the image is too long for libguestfs.')
  }
  return line
}

/** A list of names as one argument; `null` for a name that guestfish's lists cannot carry. */
export function listItem(name: string): string | null {
  return /['\\]/.test(name) || name === '' ? null : `'${name}'`
}

/** Bytes that a name takes in a line. */
export function quotedLength(text: string): number {
  return quote(text).length
}

/** fish.c, parse_quoted_string: backslash sequences, octal and hexadecimal numbers; a byte 0 cannot be said. */
function quote(text: string): string {
  let quoted = ''
  for (const byte of encodeName(text)) {
    if (byte === 0) throw new GuestError('GUEST_PATH_INVALID', 'A path inside the image has a NUL.')
    const isPlain = byte >= 0x20 && byte < 0x7f && byte !== 0x22 && byte !== 0x5c
    quoted += isPlain ? String.fromCharCode(byte) : `\\x${byte.toString(16).padStart(2, '0')}`
  }
  return `"${quoted}"`
}

/**
 * The records of a pax header (POSIX.1-2024, pax, "pax Extended Header"): each its own length in decimal digits, a
 * blank, `keyword=value`, a newline. Null when they are not of this form.
 */
export function parsePaxRecords(bytes: Buffer): Map<string, string> | null {
  const records = new Map<string, string>()
  for (let position = 0; position < bytes.length; ) {
    // Padding with NULs behind the last record is met in the field.
    if (bytes[position] === 0) return bytes.subarray(position).every((byte) => byte === 0) ? records : null
    const digits = /^([1-9]\d{0,7}) /.exec(bytes.toString('latin1', position, position + 10))
    const length = Number(digits?.[1])
    const start = position + (digits?.[0].length ?? 0)
    const end = position + length
    if (!digits || end > bytes.length || end <= start || bytes[end - 1] !== 0x0a) return null
    const equals = bytes.indexOf('=', start)
    if (equals < start + 1 || equals >= end) return null
    records.set(bytes.toString('utf8', start, equals), bytes.toString('utf8', equals + 1, end - 1))
    position = end
  }
  return records
}

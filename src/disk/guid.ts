/** A GUID in its text form: the first three parts are stored little-endian (UEFI appendix A). */
export function decodeGuid(bytes: Buffer, offset: number): string {
  const hex = (value: number, digits: number) => value.toString(16).padStart(digits, '0')
  return [
    hex(bytes.readUInt32LE(offset), 8),
    hex(bytes.readUInt16LE(offset + 4), 4),
    hex(bytes.readUInt16LE(offset + 6), 4),
    bytes.toString('hex', offset + 8, offset + 10),
    bytes.toString('hex', offset + 10, offset + 16),
  ].join('-')
}

/** The bytes of a GUID; see `decodeGuid`. */
export function encodeGuid(guid: string): Buffer {
  const bytes = Buffer.from(guid.replaceAll('-', ''), 'hex')
  bytes.subarray(0, 4).reverse()
  bytes.subarray(4, 6).reverse()
  bytes.subarray(6, 8).reverse()
  return bytes
}

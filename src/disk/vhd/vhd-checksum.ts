/** "Checksum" of a footer or header: the one's complement of the sum of its bytes, without those of the field itself. */
export function vhdChecksum(bytes: Uint8Array, field: { readonly offset: number }): number {
  let sum = 0
  for (const byte of bytes) sum += byte
  for (const byte of bytes.subarray(field.offset, field.offset + 4)) sum -= byte
  return ~sum >>> 0
}

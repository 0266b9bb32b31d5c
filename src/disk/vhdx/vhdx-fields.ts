import { crc32c } from '../../core/crc32c.ts'
import { decodeGuid, encodeGuid } from '../guid.ts'
import { headerFields, type VhdxField } from './vhdx-layout.ts'

/** Reads the fields of a structure that begins at `start`. */
export interface FieldReader {
  /** Of a field of 8 bytes too; exact below 2^53. */
  number(field: VhdxField): number
  /** Exact whatever it is. */
  exact(field: VhdxField & { size: 8 }): bigint
  /** In lower case. */
  guid(field: VhdxField & { size: 16 }): string
}

export function fieldReader(bytes: Buffer, start = 0): FieldReader {
  return {
    number({ offset, size }) {
      const at = start + offset
      if (size === 2) return bytes.readUInt16LE(at)
      if (size === 4) return bytes.readUInt32LE(at)
      return Number(bytes.readBigUInt64LE(at))
    },
    exact: ({ offset }) => bytes.readBigUInt64LE(start + offset),
    guid: ({ offset }) => decodeGuid(bytes, start + offset),
  }
}

/** Writes a field of a structure that begins at `start`. */
export function putField(
  bytes: Buffer,
  { offset, size }: VhdxField,
  { value, start = 0 }: { value: number | string; start?: number },
): void {
  const at = start + offset
  if (typeof value === 'string') encodeGuid(value).copy(bytes, at)
  else if (size === 8) bytes.writeBigUInt64LE(BigInt(value), at)
  else bytes.writeUIntLE(value, at, size)
}

const { checksum } = headerFields
const zeros = Buffer.alloc(checksum.size)

/** Of a header, a region table or an entry of the log, which all have it in the same place and count it as zero. */
export function vhdxChecksum(bytes: Uint8Array): number {
  const before = crc32c(0xffff_ffff, bytes.subarray(0, checksum.offset))
  const after = crc32c(crc32c(before, zeros), bytes.subarray(checksum.offset + checksum.size))
  return ~after >>> 0
}

/** Whether a structure has its signature and the right checksum. */
export function isIntact(bytes: Buffer, signature: string): boolean {
  const isSigned = bytes.toString('latin1', 0, signature.length) === signature
  return isSigned && bytes.readUInt32LE(checksum.offset) === vhdxChecksum(bytes)
}

/** Writes the checksum of a structure that is complete otherwise. */
export function seal(bytes: Buffer): void {
  bytes.writeUInt32LE(vhdxChecksum(bytes), checksum.offset)
}

import { createHash } from 'node:crypto'

/*
 * What identifies a disk of ours and its partitions follows from the file system in it, so that the same image always gives
 * the same disk. Two copies of it are as alike as any other clones.
 */

/** A GUID of version 8 (RFC 9562, section 5.8). */
export function derivedGuid(seed: string, purpose: string): string {
  const bytes = digest(seed, purpose).subarray(0, 16)
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6)
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8)
  const hex = bytes.toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

/** A number of 32 bits, not zero. */
export function derivedNumber(seed: string, purpose: string): number {
  return digest(seed, purpose).readUInt32LE() || 1
}

function digest(seed: string, purpose: string): Buffer {
  return createHash('sha256').update(`${purpose}:${seed.toLowerCase()}`).digest()
}

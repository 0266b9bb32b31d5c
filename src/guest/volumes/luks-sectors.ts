import { createCipheriv, createDecipheriv } from 'node:crypto'

export interface SectorCipher {
  readonly key: Uint8Array
  readonly sectorSize: number
  /** Of the first sector, in units of 512 bytes: dm-crypt counts so whatever a sector is. */
  readonly firstTweak: number
}

/** Decrypts whole sectors in place: aes-xts-plain64, as dm-crypt does it. */
export function decryptSectors(bytes: Uint8Array, cipher: SectorCipher): void {
  eachSector(bytes, cipher, (name, key, tweak, sector) => createDecipheriv(name, key, tweak).update(sector))
}

export function encryptSectors(bytes: Uint8Array, cipher: SectorCipher): void {
  eachSector(bytes, cipher, (name, key, tweak, sector) => createCipheriv(name, key, tweak).update(sector))
}

function eachSector(
  bytes: Uint8Array,
  { key, sectorSize, firstTweak }: SectorCipher,
  change: (name: string, key: Uint8Array, tweak: Uint8Array, sector: Uint8Array) => Uint8Array,
): void {
  const name = key.length === 64 ? 'aes-256-xts' : 'aes-128-xts'
  const tweak = Buffer.alloc(16)
  for (let offset = 0; offset < bytes.length; offset += sectorSize) {
    tweak.writeBigUInt64LE(BigInt(firstTweak + offset / 512))
    const sector = bytes.subarray(offset, offset + sectorSize)
    sector.set(change(name, key, tweak, sector))
  }
}

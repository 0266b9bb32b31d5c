import { crc32 } from 'node:zlib'
import { decodeGuid } from '../guid.ts'

/**
 * The on-disk structures of MBR and GPT (UEFI specification 2.10, sections 5.2 and 5.3), little-endian.
 * Sector numbers of 64 bits become numbers: above 2^53 they lose their last digits, which every check against the
 * end of the disk survives.
 */

export const mbr = {
  signature: 510,
  diskSignature: 440,
  entries: 446,
  entryBytes: 16,
  entryCount: 4,
} as const

export interface MbrEntry {
  /** Of the entry itself, in bytes from the start of its sector. */
  readonly offset: number
  readonly bootIndicator: number
  /** Head, sector, cylinder as they stand on disk. */
  readonly firstChs: readonly [number, number, number]
  readonly type: number
  readonly firstSector: number
  readonly sectors: number
}

/** The four entries of a master or extended boot record. */
export function decodeMbrEntries(sector: Buffer): MbrEntry[] {
  return Array.from({ length: mbr.entryCount }, (_, index) => {
    const offset = mbr.entries + index * mbr.entryBytes
    return {
      offset,
      bootIndicator: sector.readUInt8(offset),
      firstChs: [sector.readUInt8(offset + 1), sector.readUInt8(offset + 2), sector.readUInt8(offset + 3)],
      type: sector.readUInt8(offset + 4),
      firstSector: sector.readUInt32LE(offset + 8),
      sectors: sector.readUInt32LE(offset + 12),
    }
  })
}

export function hasBootSignature(sector: Buffer): boolean {
  return sector.readUInt16LE(mbr.signature) === 0xaa55
}

export const protectiveType = 0xee
export const extendedTypes: readonly number[] = [0x05, 0x0f, 0x85]

export const gpt = { signature: 'EFI PART', minimumHeaderBytes: 92, minimumEntryBytes: 128 } as const

export interface GptHeader {
  readonly signature: string
  readonly headerBytes: number
  readonly checksum: number
  /** Over the header with its checksum field as zeros; null when `headerBytes` is out of range. */
  readonly computedChecksum: number | null
  readonly ownSector: number
  readonly alternateSector: number
  readonly firstUsableSector: number
  readonly lastUsableSector: number
  readonly diskGuid: string
  readonly entriesSector: number
  readonly entryCount: number
  readonly entryBytes: number
  readonly entriesChecksum: number
}

/** A GPT header from its whole sector. */
export function decodeGptHeader(sector: Buffer): GptHeader {
  const headerBytes = sector.readUInt32LE(12)
  return {
    signature: sector.toString('latin1', 0, 8),
    headerBytes,
    checksum: sector.readUInt32LE(16),
    computedChecksum: headerChecksum(sector, headerBytes),
    ownSector: Number(sector.readBigUInt64LE(24)),
    alternateSector: Number(sector.readBigUInt64LE(32)),
    firstUsableSector: Number(sector.readBigUInt64LE(40)),
    lastUsableSector: Number(sector.readBigUInt64LE(48)),
    diskGuid: decodeGuid(sector, 56),
    entriesSector: Number(sector.readBigUInt64LE(72)),
    entryCount: sector.readUInt32LE(80),
    entryBytes: sector.readUInt32LE(84),
    entriesChecksum: sector.readUInt32LE(88),
  }
}

function headerChecksum(sector: Buffer, headerBytes: number): number | null {
  if (headerBytes < gpt.minimumHeaderBytes || headerBytes > sector.length) return null
  const header = Buffer.from(sector.subarray(0, headerBytes))
  header.writeUInt32LE(0, 16)
  return crc32(header)
}

export interface GptEntry {
  readonly type: string
  readonly uuid: string
  readonly firstSector: number
  /** Inclusive. */
  readonly lastSector: number
  readonly bootable: boolean
  readonly name: string
}

export const unusedGptType = '00000000-0000-0000-0000-000000000000'

/** One entry; `entry` is its 128 bytes or more. */
export function decodeGptEntry(entry: Buffer): GptEntry {
  return {
    type: decodeGuid(entry, 0),
    uuid: decodeGuid(entry, 16),
    firstSector: Number(entry.readBigUInt64LE(32)),
    lastSector: Number(entry.readBigUInt64LE(40)),
    bootable: (entry.readUInt8(48) & 0b100) !== 0,
    name: decodeName(entry.subarray(56, 128)),
  }
}

/** Control characters are replaced: the name ends up on terminals. */
function decodeName(bytes: Buffer): string {
  const [name = ''] = bytes.toString('utf16le').split('\0')
  return name.toWellFormed().replace(/\p{Cc}/gu, '\ufffd')
}

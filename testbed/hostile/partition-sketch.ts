import { crc32 } from 'node:zlib'

const sectorBytes = 512

export interface MbrPart {
  type: number
  first: number
  sectors: number
  flag?: number
  chs?: readonly [number, number, number]
}

/** A disk with an MBR of up to four entries, in memory. Sectors are of 512 bytes. */
export function sketchMbr(parts: readonly MbrPart[], sectors = 2048): Buffer {
  const disk = Buffer.alloc(sectors * sectorBytes)
  writeBootRecord(disk, 0, parts)
  disk.writeUInt32LE(0x1234abcd, 440)
  return disk
}

/** Writes a master or extended boot record into a sector. */
export function writeBootRecord(disk: Buffer, sector: number, parts: readonly MbrPart[]): void {
  const start = sector * sectorBytes
  parts.forEach(({ type, first, sectors, flag = 0, chs = [0, 0, 0] }, index) => {
    const entry = start + 446 + index * 16
    disk.set([flag, ...chs, type], entry)
    disk.writeUInt32LE(first >>> 0, entry + 8)
    disk.writeUInt32LE(sectors >>> 0, entry + 12)
  })
  disk.writeUInt16LE(0xaa55, start + 510)
}

export interface GptPart {
  type?: Buffer
  first: number
  last: number
  name?: string
}

export interface GptSketchOptions {
  sectorSize?: number
  sectors?: number
  parts?: readonly GptPart[]
  /** Changes a header before its checksum is computed; `copy` says which. */
  header?: (header: Buffer, copy: 'primary' | 'backup') => void
  entryCount?: number
  /** Entries of the protective MBR instead of the right one. */
  protective?: readonly MbrPart[]
}

const linuxType = Buffer.from('af3dc60f838472478e793d69d8477de4', 'hex')
const entryBytes = 128

/** A disk with a GPT, both copies and a protective MBR, in memory; one Linux partition by default. */
export function sketchGpt(options: GptSketchOptions = {}): Buffer {
  const { sectorSize = 512, sectors = 2048, entryCount = 128, header: change } = options
  const { parts = [{ first: 64, last: 1023 }] } = options
  const disk = Buffer.alloc(sectors * sectorSize)
  const last = sectors - 1
  const covers = { type: 0xee, first: 1, sectors: last, chs: [0, 2, 0] as const }
  writeBootRecord(disk, 0, options.protective ?? [covers])
  const entries = Buffer.alloc(entryCount * entryBytes)
  parts.forEach((part, index) => {
    const entry = entries.subarray(index * entryBytes, (index + 1) * entryBytes)
    ;(part.type ?? linuxType).copy(entry, 0)
    Buffer.alloc(16, index + 1).copy(entry, 16)
    entry.writeBigUInt64LE(BigInt(part.first), 32)
    entry.writeBigUInt64LE(BigInt(part.last), 40)
    entry.write(part.name ?? 'root', 56, 'utf16le')
  })
  const entrySectors = Math.ceil(entries.length / sectorSize)
  const backupEntries = last - entrySectors
  const write = (copy: 'primary' | 'backup') => {
    const isPrimary = copy === 'primary'
    const own = isPrimary ? 1 : last
    const table = isPrimary ? 2 : backupEntries
    const header = disk.subarray(own * sectorSize, (own + 1) * sectorSize)
    header.write('EFI PART', 0, 'latin1')
    header.writeUInt32LE(0x10000, 8)
    header.writeUInt32LE(92, 12)
    header.writeBigUInt64LE(BigInt(own), 24)
    header.writeBigUInt64LE(BigInt(isPrimary ? last : 1), 32)
    header.writeBigUInt64LE(BigInt(2 + entrySectors), 40)
    header.writeBigUInt64LE(BigInt(backupEntries - 1), 48)
    header.fill(0x77, 56, 72)
    header.writeBigUInt64LE(BigInt(table), 72)
    header.writeUInt32LE(entryCount, 80)
    header.writeUInt32LE(entryBytes, 84)
    header.writeUInt32LE(crc32(entries), 88)
    entries.copy(disk, table * sectorSize)
    change?.(header, copy)
    sealGptHeader(header)
  }
  write('primary')
  write('backup')
  return disk
}

/** Computes a header's checksum anew, so that a change is seen for what it is. */
export function sealGptHeader(header: Buffer): void {
  const length = header.readUInt32LE(12)
  header.writeUInt32LE(0, 16)
  if (length <= header.length) header.writeUInt32LE(crc32(header.subarray(0, length)), 16)
}

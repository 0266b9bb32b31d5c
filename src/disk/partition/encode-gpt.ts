import { crc32 } from 'node:zlib'
import { encodeGuid } from '../guid.ts'
import { gpt } from './partition-layout.ts'

/** A partition to write. Bytes, multiples of the sector. GUIDs as text. */
export interface GptPartition {
  /** Its place in the table, from 1. */
  readonly number: number
  readonly type: string
  readonly uuid: string
  /** At most 36 characters. */
  readonly name: string
  readonly offset: number
  readonly length: number
}

const sector = 512
const entryCount = 128
const headerBytes = gpt.minimumHeaderBytes
/** Of each copy: its entries and, before or behind them, its header. */
export const gptCopyBytes = sector + entryCount * gpt.minimumEntryBytes

/** The entries of a table with these partitions. */
export function encodeGptEntries(partitions: readonly GptPartition[]): Buffer {
  const entries = Buffer.alloc(entryCount * gpt.minimumEntryBytes)
  for (const partition of partitions) {
    entries.set(encodeGptEntry(partition), (partition.number - 1) * gpt.minimumEntryBytes)
  }
  return entries
}

/** One entry of 128 bytes. */
export function encodeGptEntry({ type, uuid, name, offset, length }: Omit<GptPartition, 'number'>): Buffer {
  const bytes = Buffer.alloc(gpt.minimumEntryBytes)
  bytes.set(encodeGuid(type), 0)
  bytes.set(encodeGuid(uuid), 16)
  bytes.writeBigUInt64LE(BigInt(offset / sector), 32)
  bytes.writeBigUInt64LE(BigInt((offset + length) / sector - 1), 40)
  bytes.write(name.slice(0, 36), 56, 'utf16le')
  return bytes
}

export interface GptCopies {
  /** From the second sector on. */
  readonly primary: Buffer
  /** The last sectors of the disk. */
  readonly backup: Buffer
}

/**
 * Both copies of the GPT of a disk of `size` bytes with sectors of 512 bytes, each with its header and checksums
 * (UEFI specification 2.10, section 5.3). They leave room to partitions from sector 34 on.
 */
export function encodeGpt({
  size,
  guid,
  entries,
}: {
  size: number
  guid: string
  entries: Buffer
}): GptCopies {
  const lastSector = size / sector - 1
  const tableSectors = entries.length / sector
  const header = (copy: { own: number; other: number; table: number }): Buffer => {
    const bytes = Buffer.alloc(sector)
    bytes.write(gpt.signature, 0, 'latin1')
    bytes.writeUInt32LE(0x0001_0000, 8)
    bytes.writeUInt32LE(headerBytes, 12)
    bytes.writeBigUInt64LE(BigInt(copy.own), 24)
    bytes.writeBigUInt64LE(BigInt(copy.other), 32)
    bytes.writeBigUInt64LE(BigInt(2 + tableSectors), 40)
    bytes.writeBigUInt64LE(BigInt(lastSector - tableSectors - 1), 48)
    bytes.set(encodeGuid(guid), 56)
    bytes.writeBigUInt64LE(BigInt(copy.table), 72)
    bytes.writeUInt32LE(entries.length / gpt.minimumEntryBytes, 80)
    bytes.writeUInt32LE(gpt.minimumEntryBytes, 84)
    bytes.writeUInt32LE(crc32(entries), 88)
    bytes.writeUInt32LE(crc32(bytes.subarray(0, headerBytes)), 16)
    return bytes
  }
  return {
    primary: Buffer.concat([header({ own: 1, other: lastSector, table: 2 }), entries]),
    backup: Buffer.concat([entries, header({ own: lastSector, other: 1, table: lastSector - tableSectors })]),
  }
}

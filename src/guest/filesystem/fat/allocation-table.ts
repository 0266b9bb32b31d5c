import { damagedFat } from './damaged-fat.ts'
import type { FatGeometry } from './geometry.ts'

/** The table in memory: for every cluster the next one of its file, 0 where it is free. */
export type AllocationTable = Uint32Array

const endOfChain = { 12: 0xfff, 16: 0xffff, 32: 0x0fff_ffff } as const
/** The four bits that an entry of FAT32 does not use; they are left as they are. */
const reservedBits = 0xf000_0000

export function decodeTable(bytes: Buffer, { bits, clusterCount }: FatGeometry): AllocationTable {
  const table = new Uint32Array(clusterCount + 2)
  for (let cluster = 0; cluster < table.length; cluster += 1) {
    if (bits === 32) table[cluster] = bytes.readUInt32LE(cluster * 4) & ~reservedBits
    else if (bits === 16) table[cluster] = bytes.readUInt16LE(cluster * 2)
    else {
      const pair = bytes.readUInt16LE(Math.floor((cluster * 3) / 2))
      table[cluster] = cluster % 2 === 0 ? pair & 0xfff : pair >>> 4
    }
  }
  return table
}

/** Writes entry `cluster` into the bytes of a table. */
export function encodeTableEntry(
  bytes: Buffer,
  { cluster, next, bits }: { cluster: number; next: number; bits: FatGeometry['bits'] },
): void {
  if (bits === 32) {
    const kept = bytes.readUInt32LE(cluster * 4) & reservedBits
    bytes.writeUInt32LE((kept | next) >>> 0, cluster * 4)
  } else if (bits === 16) {
    bytes.writeUInt16LE(next, cluster * 2)
  } else {
    const offset = Math.floor((cluster * 3) / 2)
    const pair = bytes.readUInt16LE(offset)
    bytes.writeUInt16LE(cluster % 2 === 0 ? (pair & 0xf000) | next : (pair & 0x000f) | (next << 4), offset)
  }
}

/** What the last cluster of a chain has for its next one. */
export function endMark({ bits }: FatGeometry): number {
  return endOfChain[bits]
}

/**
 * The clusters of a file or directory, in order.
 * @throws GuestError `FILESYSTEM_DAMAGED` for a chain that leaves the volume, runs in a circle or hits a free cluster
 */
export function chainFrom(table: AllocationTable, first: number, geometry: FatGeometry): number[] {
  const chain: number[] = []
  const firstEnd = endMark(geometry) - 7
  for (let cluster = first; cluster < firstEnd; cluster = table[cluster] ?? 0) {
    if (cluster < 2 || cluster >= table.length) throw damagedFat(`a file has cluster ${cluster}`)
    if (chain.length > geometry.clusterCount)
      throw damagedFat(`the chain from cluster ${first} runs in a circle`)
    chain.push(cluster)
  }
  return chain
}

import type { AbortOptions } from '../../../core/abort.ts'
import type { Disk } from '../../../disk/disk.ts'
import { memoryDisk } from '../../../disk/memory-disk.ts'
import type { DiskWindow } from '../../../disk/overlay-disk.ts'
import { type AllocationTable, encodeTableEntry } from './allocation-table.ts'
import { damagedFat } from './damaged-fat.ts'
import { clusterOffset, type FatGeometry } from './geometry.ts'
import { fsInfo } from './layout.ts'
import type { FatVolume } from './open-fat.ts'

/** The new bytes of a directory at their places. */
export function directoryWindows(
  geometry: FatGeometry,
  { chain, bytes }: { readonly chain: readonly number[]; readonly bytes: Buffer },
): DiskWindow[] {
  const { root, clusterBytes } = geometry
  if (chain.length === 0) {
    if (!('offset' in root)) throw damagedFat('its root directory has no clusters')
    return [{ offset: root.offset, disk: memoryDisk(bytes) }]
  }
  return chain.map((cluster, index) => ({
    offset: clusterOffset(geometry, cluster),
    disk: memoryDisk(bytes.subarray(index * clusterBytes, (index + 1) * clusterBytes)),
  }))
}

/** The sectors of every copy of the table in which an entry has changed. */
export function tableWindows(
  { geometry, table: before, tableBytes }: FatVolume,
  table: AllocationTable,
): DiskWindow[] {
  const { bits, fatOffsets, bytesPerSector } = geometry
  const bytes = Buffer.from(tableBytes)
  const sectors = new Set<number>()
  table.forEach((next, cluster) => {
    if (next === before[cluster]) return
    encodeTableEntry(bytes, { cluster, next, bits })
    const first = Math.floor((cluster * bits) / 8)
    for (const offset of [first, first + bits / 8 - 1]) sectors.add(Math.floor(offset / bytesPerSector))
  })
  return fatOffsets.flatMap((fatOffset) =>
    [...sectors].map((sector) => {
      const start = sector * bytesPerSector
      return { offset: fatOffset + start, disk: memoryDisk(bytes.subarray(start, start + bytesPerSector)) }
    }),
  )
}

/** What FAT32 notes of its free space. */
export async function infoWindow(
  disk: Disk,
  offset: number,
  table: AllocationTable,
  options: AbortOptions,
): Promise<DiskWindow> {
  const sector = Buffer.alloc(512)
  await disk.read(sector, offset, options)
  const isInfo =
    sector.readUInt32LE(0) === fsInfo.leadSignature &&
    sector.readUInt32LE(fsInfo.structureSignatureOffset) === fsInfo.structureSignature
  if (isInfo) {
    sector.writeUInt32LE(
      table.reduce((free, next, cluster) => free + (next === 0 && cluster >= 2 ? 1 : 0), 0),
      fsInfo.freeCount,
    )
    sector.writeUInt32LE(0xffff_ffff, fsInfo.nextFree)
  }
  return { offset, disk: memoryDisk(sector) }
}

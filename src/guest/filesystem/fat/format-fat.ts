import { MiB } from '../../../core/bytes.ts'
import type { Disk } from '../../../disk/disk.ts'
import { memoryDisk } from '../../../disk/memory-disk.ts'
import { attributes, bootSector, directoryEntry, fsInfo } from './layout.ts'

export interface FormatFatOptions {
  /** By which Linux and GRUB find it: `1234-ABCD` as they write it is 0x1234abcd. */
  volumeId: number
  /** At most eleven capital letters and digits. */
  label: string
  /** Sectors before it on the disk, which old firmware wants to know. */
  hiddenSectors: number
}

/** The least that FAT32 can be by its specification: it has 65 525 clusters. */
export const minimumFat32Bytes = 34 * MiB

const sector = 512
const reservedSectors = 32
const backupSector = 6
const infoSector = 1
const fatCount = 2
const rootCluster = 2
const sectorsPerTrack = 63
const heads = 255

/**
 * An empty FAT32 file system of `size` bytes, a multiple of 512 from 34 MiB up. Holds its two tables in memory: about 1 MiB
 * for 64 MiB.
 */
export function formatFat32(size: number, { volumeId, label, hiddenSectors }: FormatFatOptions): Disk {
  if (size < minimumFat32Bytes || size % sector !== 0) throw new RangeError(`No size for FAT32: ${size}`)
  // The cluster sizes of the specification's table for FAT32: small ones, for as long as the table stays small.
  const sectorsPerCluster = size <= 260 * MiB ? 1 : 8
  const totalSectors = size / sector
  const fatSectors = sectorsOfTable(totalSectors, sectorsPerCluster)
  const dataSector = reservedSectors + fatCount * fatSectors
  const clusterCount = Math.floor((totalSectors - dataSector) / sectorsPerCluster)
  const bytes = Buffer.alloc((dataSector + sectorsPerCluster) * sector)

  const boot = bytes.subarray(0, sector)
  // A jump over the parameters and a name that some firmware looks for; there is no boot code.
  boot.set([0xeb, 0x58, 0x90])
  boot.write('MSWIN4.1', 3, 'latin1')
  boot.writeUInt16LE(sector, bootSector.bytesPerSector)
  boot.writeUInt8(sectorsPerCluster, bootSector.sectorsPerCluster)
  boot.writeUInt16LE(reservedSectors, bootSector.reservedSectors)
  boot.writeUInt8(fatCount, bootSector.fatCount)
  boot.writeUInt8(0xf8, bootSector.media)
  boot.writeUInt16LE(sectorsPerTrack, 24)
  boot.writeUInt16LE(heads, 26)
  boot.writeUInt32LE(hiddenSectors, 28)
  boot.writeUInt32LE(totalSectors, bootSector.totalSectors32)
  boot.writeUInt32LE(fatSectors, bootSector.fatSectors32)
  boot.writeUInt32LE(rootCluster, bootSector.rootCluster)
  boot.writeUInt16LE(infoSector, bootSector.fsInfoSector)
  boot.writeUInt16LE(backupSector, bootSector.backupSector)
  boot.writeUInt8(0x80, 64)
  boot.writeUInt8(0x29, 66)
  boot.writeUInt32LE(volumeId, 67)
  boot.write(label.padEnd(11), 71, 'latin1')
  boot.write('FAT32   ', 82, 'latin1')
  boot.writeUInt16LE(0xaa55, bootSector.signature)

  const info = bytes.subarray(infoSector * sector, (infoSector + 1) * sector)
  info.writeUInt32LE(fsInfo.leadSignature, 0)
  info.writeUInt32LE(fsInfo.structureSignature, fsInfo.structureSignatureOffset)
  info.writeUInt32LE(clusterCount - 1, fsInfo.freeCount)
  info.writeUInt32LE(rootCluster + 1, fsInfo.nextFree)
  info.writeUInt32LE(fsInfo.trailSignature, fsInfo.trailSignatureOffset)
  boot.copy(bytes, backupSector * sector)
  info.copy(bytes, (backupSector + infoSector) * sector)

  for (let copy = 0; copy < fatCount; copy += 1) {
    const fat = (reservedSectors + copy * fatSectors) * sector
    // The first two entries are no clusters: the media byte, and that the volume was left in order. Then the root directory.
    for (const [index, entry] of [0x0fff_fff8, 0x0fff_ffff, 0x0fff_ffff].entries()) {
      bytes.writeUInt32LE(entry, fat + index * 4)
    }
  }
  const volumeLabel = bytes.subarray(dataSector * sector, dataSector * sector + directoryEntry.bytes)
  volumeLabel.write(label.padEnd(11), 'latin1')
  volumeLabel.writeUInt8(attributes.volumeLabel, directoryEntry.attributes)
  return memoryDisk(bytes, size)
}

/** Sectors of a table for the clusters that are left beside the tables themselves. */
function sectorsOfTable(totalSectors: number, sectorsPerCluster: number): number {
  const clusters = Math.ceil((totalSectors - reservedSectors) / sectorsPerCluster)
  return Math.ceil(((clusters + 2) * 4) / sector)
}

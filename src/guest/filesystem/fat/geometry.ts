import { MiB } from '../../../core/bytes.ts'
import { GuestError } from '../../errors.ts'
import { damagedFat } from './damaged-fat.ts'
import { bootSector, directoryEntry } from './layout.ts'

/** Where everything is in a FAT file system. Bytes, from its start. */
export interface FatGeometry {
  readonly bits: 12 | 16 | 32
  readonly bytesPerSector: number
  readonly clusterBytes: number
  /** They are numbered from 2. */
  readonly clusterCount: number
  /** Of cluster 2. */
  readonly dataOffset: number
  /** Of one copy of the table. */
  readonly fatBytes: number
  /** The copy to read, and all that are kept up to date. */
  readonly fatOffset: number
  readonly fatOffsets: readonly number[]
  /** The root directory: a chain of clusters, or a fixed area. */
  readonly root: { readonly cluster: number } | { readonly offset: number; readonly bytes: number }
  /** Null where the file system has none. */
  readonly fsInfoOffset: number | null
}

/** The table of an EFI system partition of 4 GiB in clusters of 1 KiB; it is held in memory. */
const maximumFatBytes = 16 * MiB

/**
 * Reads the first sector of a FAT file system.
 * @throws GuestError `FILESYSTEM_DAMAGED` for numbers that cannot be, `FILESYSTEM_UNSUPPORTED` for a table above 16 MiB
 */
export function readGeometry(sector: Buffer, size: number): FatGeometry {
  const bytesPerSector = sector.readUInt16LE(bootSector.bytesPerSector)
  const sectorsPerCluster = sector.readUInt8(bootSector.sectorsPerCluster)
  const reserved = sector.readUInt16LE(bootSector.reservedSectors)
  const fatCount = sector.readUInt8(bootSector.fatCount)
  const rootEntries = sector.readUInt16LE(bootSector.rootEntries)
  const fatSectors16 = sector.readUInt16LE(bootSector.fatSectors16)
  const fatSectors = fatSectors16 || sector.readUInt32LE(bootSector.fatSectors32)
  const totalSectors =
    sector.readUInt16LE(bootSector.totalSectors16) || sector.readUInt32LE(bootSector.totalSectors32)
  if (![512, 1024, 2048, 4096].includes(bytesPerSector))
    throw damagedFat(`its sectors have ${bytesPerSector} bytes`)
  if (sectorsPerCluster === 0 || (sectorsPerCluster & (sectorsPerCluster - 1)) !== 0) {
    throw damagedFat(`its clusters have ${sectorsPerCluster} sectors`)
  }
  if (reserved === 0 || fatCount === 0 || fatSectors === 0) throw damagedFat('it has no table')
  const rootSectors = Math.ceil((rootEntries * directoryEntry.bytes) / bytesPerSector)
  const dataSector = reserved + fatCount * fatSectors + rootSectors
  if (totalSectors <= dataSector || totalSectors * bytesPerSector > size) {
    throw damagedFat(`it claims ${totalSectors} sectors of ${bytesPerSector} bytes`)
  }
  const clusterCount = Math.floor((totalSectors - dataSector) / sectorsPerCluster)
  // As Linux and firmware do it, and not by the number of clusters alone: small volumes are made with FAT32, too.
  const bits = fatSectors16 === 0 ? 32 : clusterCount < 4085 ? 12 : 16
  const fatBytes = fatSectors * bytesPerSector
  if (fatBytes > maximumFatBytes) {
    throw new GuestError('FILESYSTEM_UNSUPPORTED', `The table of the FAT file system has ${fatBytes} bytes.`)
  }
  if (Math.ceil(((clusterCount + 2) * bits) / 8) > fatBytes) throw damagedFat('its table is too short')
  const offsets = Array.from({ length: fatCount }, (_, copy) => reserved * bytesPerSector + copy * fatBytes)
  const flags = bits === 32 ? sector.readUInt16LE(bootSector.extendedFlags) : 0
  const isMirrored = (flags & 0x80) === 0
  const active = isMirrored ? 0 : flags & 0x0f
  const fatOffset = offsets[active]
  if (fatOffset === undefined) throw damagedFat(`copy ${active} of its table is the active one`)
  const infoSector = bits === 32 ? sector.readUInt16LE(bootSector.fsInfoSector) : 0
  return {
    bits,
    bytesPerSector,
    clusterBytes: sectorsPerCluster * bytesPerSector,
    clusterCount,
    dataOffset: dataSector * bytesPerSector,
    fatBytes,
    fatOffset,
    fatOffsets: isMirrored ? offsets : [fatOffset],
    root:
      bits === 32
        ? { cluster: sector.readUInt32LE(bootSector.rootCluster) }
        : { offset: (dataSector - rootSectors) * bytesPerSector, bytes: rootEntries * directoryEntry.bytes },
    fsInfoOffset: infoSector > 0 && infoSector < reserved ? infoSector * bytesPerSector : null,
  }
}

/** Where a cluster begins. */
export function clusterOffset({ dataOffset, clusterBytes }: FatGeometry, cluster: number): number {
  return dataOffset + (cluster - 2) * clusterBytes
}

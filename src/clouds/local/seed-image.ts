import { roundUp } from '../../core/bytes.ts'
import { CloudError } from '../errors.ts'

/** A file of the root folder; names have up to 255 characters of ASCII. */
export interface SeedFile {
  readonly name: string
  readonly content: Uint8Array
}

const sectorSize = 512
const clusterSize = 4096
const rootEntries = 512
const entrySize = 32
/** FAT12 ends at 4084 clusters. */
const maximumClusters = 4084
const minimumClusters = 64

/**
 * A FAT12 volume with these files, as cloud-init's NoCloud data source looks for one by its label. FAT because every
 * guest's kernel reads it, and bytes of our own because then neither an ISO tool, nor QEMU's `vvfat` driver (which
 * some distributions leave out), nor a server that would have to outlive us is needed.
 *
 * Layout after "Microsoft Extensible Firmware Initiative FAT32 File System Specification" 1.03, sections 3 to 7.
 */
export function seedImage(label: string, files: readonly SeedFile[]): Buffer {
  const needed = files.reduce((sum, file) => sum + Math.ceil(file.content.length / clusterSize), 0)
  if (needed > maximumClusters) {
    throw new CloudError('INSTANCE_INVALID', 'The user data of the instance is too long.', {
      hint: `It may have ${Math.floor((maximumClusters * clusterSize) / 1024)} KiB.`,
    })
  }
  const clusters = Math.max(needed, minimumClusters)
  const fatSectors = Math.ceil(((clusters + 2) * 1.5) / sectorSize)
  const fatStart = sectorSize
  const rootStart = fatStart + 2 * fatSectors * sectorSize
  const dataStart = rootStart + rootEntries * entrySize
  const image = Buffer.alloc(roundUp(dataStart + clusters * clusterSize, sectorSize))
  writeBootSector(image, { label, fatSectors })

  const fat = image.subarray(fatStart, fatStart + fatSectors * sectorSize)
  setFatEntry(fat, 0, 0xff8)
  setFatEntry(fat, 1, 0xfff)
  const entries: Buffer[] = [volumeLabelEntry(label)]
  let cluster = 2
  for (const [index, { name, content }] of files.entries()) {
    const count = Math.ceil(content.length / clusterSize)
    for (let i = 0; i < count; i += 1) {
      setFatEntry(fat, cluster + i, i === count - 1 ? 0xfff : cluster + i + 1)
    }
    image.set(content, dataStart + (cluster - 2) * clusterSize)
    entries.push(...fileEntries(name, index, { cluster: count === 0 ? 0 : cluster, size: content.length }))
    cluster += count
  }
  fat.copy(image, fatStart + fatSectors * sectorSize)
  Buffer.concat(entries).copy(image, rootStart)
  return image
}

function writeBootSector(image: Buffer, { label, fatSectors }: { label: string; fatSectors: number }): void {
  image.set([0xeb, 0x3c, 0x90], 0)
  image.write('imgwrght', 3, 'latin1')
  image.writeUInt16LE(sectorSize, 11)
  image.writeUInt8(clusterSize / sectorSize, 13)
  image.writeUInt16LE(1, 14) // reserved sectors: this one
  image.writeUInt8(2, 16) // file allocation tables
  image.writeUInt16LE(rootEntries, 17)
  const sectors = image.length / sectorSize
  image.writeUInt16LE(sectors < 0x10000 ? sectors : 0, 19)
  image.writeUInt8(0xf8, 21) // medium: fixed disk
  image.writeUInt16LE(fatSectors, 22)
  image.writeUInt16LE(63, 24) // sectors per track
  image.writeUInt16LE(16, 26) // heads
  image.writeUInt32LE(sectors < 0x10000 ? 0 : sectors, 32)
  image.writeUInt8(0x80, 36) // drive number
  image.writeUInt8(0x29, 38) // the next three fields are there
  image.writeUInt32LE(0x1a6e_d5ea, 39) // serial number
  image.write(label.padEnd(11), 43, 'latin1')
  image.write('FAT12   ', 54, 'latin1')
  image.writeUInt16LE(0xaa55, 510)
}

/** Entries have 12 bits: two of them share three bytes. */
function setFatEntry(fat: Buffer, index: number, value: number): void {
  const offset = Math.floor(index * 1.5)
  const pair = fat.readUInt16LE(offset)
  fat.writeUInt16LE(index % 2 === 0 ? (pair & 0xf000) | value : (pair & 0x000f) | (value << 4), offset)
}

function volumeLabelEntry(label: string): Buffer {
  const entry = Buffer.alloc(entrySize)
  entry.write(label.padEnd(11), 0, 'latin1')
  entry.writeUInt8(0x08, 11)
  return entry
}

function fileEntries(
  name: string,
  index: number,
  { cluster, size }: { cluster: number; size: number },
): Buffer[] {
  const shortName = `FILE~${index + 1}`.padEnd(11)
  const entry = Buffer.alloc(entrySize)
  entry.write(shortName, 0, 'latin1')
  entry.writeUInt8(0x20, 11)
  const firstOfJanuary1980 = 0x21
  for (const offset of [16, 18, 24]) entry.writeUInt16LE(firstOfJanuary1980, offset)
  entry.writeUInt16LE(cluster, 26)
  entry.writeUInt32LE(size, 28)
  return [...longNameEntries(name, checksumOf(shortName)), entry]
}

/** The long name, 13 characters of UTF-16 per entry, its end first. */
function longNameEntries(name: string, checksum: number): Buffer[] {
  const places = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30]
  const count = Math.ceil(name.length / places.length)
  return Array.from({ length: count }, (_, i) => {
    const order = count - i
    const entry = Buffer.alloc(entrySize)
    entry.writeUInt8(order | (i === 0 ? 0x40 : 0), 0)
    entry.writeUInt8(0x0f, 11)
    entry.writeUInt8(checksum, 13)
    for (const [place, offset] of places.entries()) {
      const position = (order - 1) * places.length + place
      const padding = position === name.length ? 0 : 0xffff
      entry.writeUInt16LE(position < name.length ? name.charCodeAt(position) : padding, offset)
    }
    return entry
  })
}

function checksumOf(shortName: string): number {
  return Buffer.from(shortName, 'latin1').reduce(
    (sum, byte) => (((sum & 1) << 7) + (sum >> 1) + byte) & 0xff,
    0,
  )
}

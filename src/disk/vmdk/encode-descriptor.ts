import { createHash } from 'node:crypto'
import { GiB } from '../../core/bytes.ts'
import type { ByteRanges } from '../byte-ranges.ts'
import { writtenDescriptorSectors } from './encode-vmdk-header.ts'
import { sectorSize } from './vmdk-layout.ts'

export interface NewDescriptor {
  createType: 'streamOptimized' | 'monolithicSparse'
  /** Bytes of the disk, whole sectors. */
  size: number
  /** Name the file will have, without folders. */
  fileName: string | undefined
  /** The data of the disk. */
  runs: ByteRanges
}

const usualName = 'disk.vmdk'

/** The descriptor of a disk in one file, padded to its 20 sectors. */
export function encodeDescriptor({ createType, size, fileName, runs }: NewDescriptor): Buffer {
  const sectors = size / sectorSize
  const name = extentName(fileName)
  const id = contentId({ size, name, runs })
  const { heads, track, cylinders } = geometry(size)
  const text = `# Disk DescriptorFile
version=1
CID=${id.subarray(0, 4).toString('hex')}
parentCID=ffffffff
createType="${createType}"

# Extent description
RW ${sectors} SPARSE "${name}"

# The Disk Data Base
#DDB

ddb.adapterType = "lsilogic"
ddb.geometry.cylinders = "${cylinders}"
ddb.geometry.heads = "${heads}"
ddb.geometry.sectors = "${track}"
ddb.longContentID = "${id.toString('hex')}"
ddb.toolsInstallType = "4"
ddb.toolsVersion = "2147483647"
ddb.virtualHWVersion = "4"
`
  const bytes = Buffer.alloc(writtenDescriptorSectors * sectorSize)
  bytes.write(text, 'latin1')
  return bytes
}

/** libvmdk opens the extent by this name; image services refuse a slash and whatever is not ASCII. */
function extentName(fileName: string | undefined): string {
  const isSafe = fileName !== undefined && /^[\x20-\x7e]{1,255}$/.test(fileName) && !/["/\\:]/.test(fileName)
  return isSafe && fileName.trim() === fileName && !/^\.{1,2}$/.test(fileName) ? fileName : usualName
}

/**
 * 16 bytes that change when a disk changes, as far as that can be told before it is read, so that the same disk always gives
 * the same file. The first four are the CID, in which all bits set would say that there is no disk.
 */
function contentId({ size, name, runs }: { size: number; name: string; runs: ByteRanges }): Buffer {
  const hash = createHash('sha256').update(`${size} ${name}\0`)
  hash.update(new Uint8Array(runs.bounds.buffer, runs.bounds.byteOffset, runs.bounds.byteLength))
  const id = hash.digest().subarray(0, 16)
  id[0] = (id[0] ?? 0) & 0x7f
  return id
}

/** What VMware gives to disks on SCSI controllers. */
function geometry(size: number): { heads: number; track: number; cylinders: number } {
  const [heads, track] = size < GiB ? [64, 32] : size < 2 * GiB ? [128, 32] : [255, 63]
  return { heads, track, cylinders: Math.max(1, Math.floor(size / sectorSize / (heads * track))) }
}

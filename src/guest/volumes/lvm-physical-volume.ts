import { crc32 } from 'node:zlib'
import type { AbortOptions } from '../../core/abort.ts'
import type { Disk } from '../../disk/disk.ts'
import type { ByteRange } from '../../transfer/byte-source.ts'
import { GuestError } from '../errors.ts'
import { isLvmSection, type LvmSection, parseLvmText } from './lvm-text.ts'

/** A partition that belongs to LVM. */
export interface PhysicalVolume {
  readonly disk: Disk
  /** Without dashes, as the label has it. */
  readonly id: string
  /** The volume group it belongs to; `null` for one that belongs to none, or keeps no metadata. */
  readonly group: { readonly name: string; readonly section: LvmSection } | null
  /** Room for metadata that is not in use: older versions of it. */
  readonly unused: readonly ByteRange[]
}

const labelSectors = [0, 512, 1024, 1536]
const areaMagic = ' LVM2 x[5A%r0N*>'
const maximumAreas = 8
const maximumText = 16 * 1024 * 1024
/** LVM's checksum begins with a number of its own; lib/misc/crc.h. */
const checksumStart = 0xf597a6cf

/**
 * Reads label, headers and the current metadata of a physical volume; lib/format_text/layout.h of LVM2.
 * @throws GuestError `FILESYSTEM_DAMAGED`
 */
export async function readPhysicalVolume(disk: Disk, options: AbortOptions): Promise<PhysicalVolume> {
  const head = Buffer.alloc(Math.min(4096, disk.size))
  await disk.read(head, 0, options)
  const start = labelSectors.find((sector) => head.toString('latin1', sector, sector + 8) === 'LABELONE')
  if (start === undefined) throw damaged('it has no label')
  const label = head.subarray(start, start + 512)
  if (lvmChecksum(label.subarray(20)) !== label.readUInt32LE(16))
    throw damaged('the checksum of its label is wrong')
  const header = label.readUInt32LE(20)
  if (header < 32 || header > 512 - 40) throw damaged('its header is outside its label')
  const id = label.toString('latin1', header, header + 32)
  const [dataEnd] = readAreas(label, header + 40)
  const [, metadata] = readAreas(label, dataEnd)
  let group: PhysicalVolume['group'] = null
  const unused: ByteRange[] = []
  for (const area of metadata) {
    const found = await readMetadata(disk, area, options)
    group ??= found.group
    unused.push(...found.unused)
  }
  return { disk, id, group, unused }
}

/** A list of areas that ends with an empty one; where it ends, and the areas. */
function readAreas(label: Buffer, from: number): [number, ByteRange[]] {
  const areas: ByteRange[] = []
  for (let at = from; at + 16 <= label.length; at += 16) {
    const [offset, length] = [Number(label.readBigUInt64LE(at)), Number(label.readBigUInt64LE(at + 8))]
    if (offset === 0) return [at + 16, areas]
    if (areas.length === maximumAreas) break
    areas.push({ offset, length })
  }
  throw damaged('its list of areas has no end')
}

async function readMetadata(
  disk: Disk,
  { offset, length }: ByteRange,
  options: AbortOptions,
): Promise<{ group: PhysicalVolume['group']; unused: ByteRange[] }> {
  if (offset + length > disk.size || length < 1024) throw damaged('its metadata is outside')
  const header = Buffer.alloc(512)
  await disk.read(header, offset, options)
  if (header.toString('latin1', 4, 20) !== areaMagic) throw damaged('the header of its metadata is not there')
  if (lvmChecksum(header.subarray(4)) !== header.readUInt32LE(0)) {
    throw damaged('the checksum of the header of its metadata is wrong')
  }
  const [start, size] = [Number(header.readBigUInt64LE(40)), Number(header.readBigUInt64LE(48))]
  const ring = { offset: offset + 512, length: length - 512 }
  if (start === 0 || size === 0) return { group: null, unused: [ring] }
  if (start < 512 || start >= length || size > maximumText || size > length - 512) {
    throw damaged('its metadata is outside its area')
  }
  // What reaches behind the end of the area goes on behind its header.
  const firstLength = Math.min(size, length - start)
  const bytes = Buffer.alloc(size)
  await disk.read(bytes.subarray(0, firstLength), offset + start, options)
  await disk.read(bytes.subarray(firstLength), ring.offset, options)
  if (lvmChecksum(bytes) !== header.readUInt32LE(56)) throw damaged('the checksum of its metadata is wrong')
  const groups = Object.entries(parseLvmText(bytes.toString('utf8').replace(/\0+$/, ''))).flatMap(
    ([name, value]) => (isLvmSection(value) ? [{ name, section: value }] : []),
  )
  const wrapped = size - firstLength
  const unused = [
    { offset: ring.offset + wrapped, length: offset + start - (ring.offset + wrapped) },
    { offset: offset + start + firstLength, length: length - start - firstLength },
  ]
  return { group: groups[0] ?? null, unused: unused.filter((range) => range.length > 0) }
}

/** CRC-32 without the inversions of others, from a start of its own. */
function lvmChecksum(bytes: Uint8Array): number {
  return (crc32(bytes, ~checksumStart >>> 0) ^ 0xffff_ffff) >>> 0
}

function damaged(problem: string): GuestError {
  return new GuestError('FILESYSTEM_DAMAGED', `The physical volume of LVM is damaged: ${problem}.`)
}

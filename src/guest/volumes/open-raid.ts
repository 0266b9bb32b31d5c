import type { AbortOptions } from '../../core/abort.ts'
import { roundUp } from '../../core/bytes.ts'
import { byteRanges } from '../../disk/byte-ranges.ts'
import type { Disk } from '../../disk/disk.ts'
import { maskDisk } from '../../disk/masked-disk.ts'
import { withWindows } from '../../disk/overlay-disk.ts'
import { windowDisk } from '../../disk/window-disk.ts'
import type { ByteRange } from '../../transfer/byte-source.ts'
import { GuestError } from '../errors.ts'
import type { InnerVolume, VolumeContainer } from './container.ts'

const magic = 0xa92b4efc
const sector = 512

/** Offsets of struct mdp_superblock_1, md_p.h of Linux. */
const fields = {
  features: 8,
  level: 72,
  size: 80,
  bitmapOffset: 96,
  dataOffset: 128,
  dataSize: 136,
  bblogSize: 186,
  bblogOffset: 188,
}

/** MD_FEATURE_BITMAP_OFFSET and MD_FEATURE_BAD_BLOCKS. */
const features = { bitmap: 1, badBlocks: 8 } as const

/**
 * Opens the member of a mirror (RAID 1): its data lies in it as it is. Members of other levels hold a part of the data, and the
 * image has only this disk.
 * @throws GuestError `FILESYSTEM_UNSUPPORTED` | `FILESYSTEM_DAMAGED`
 */
export async function openRaid(disk: Disk, name: string, options: AbortOptions): Promise<VolumeContainer> {
  const member = await readMember(disk, options)
  if (member.level !== 1) {
    throw new GuestError('FILESYSTEM_UNSUPPORTED', `${name} is a part of a RAID of level ${member.level}.`, {
      hint: 'Of software RAID only mirrors can be looked into: their members hold all of the data.',
    })
  }
  const { offset, length } = member.data
  if (length <= 0 || offset + length > disk.size) {
    throw new GuestError('FILESYSTEM_DAMAGED', `${name} is damaged: the data of the RAID is outside.`)
  }
  const volume: InnerVolume = {
    disk: windowDisk(disk, offset, length),
    error: null,
    name: `The mirror in ${name}`,
    devices: devicesOf(member.name),
  }
  return {
    volumes: [volume],
    async compose(view) {
      const inner = await view(volume)
      const masked = maskDisk(disk, byteRanges(member.unused))
      return inner ? withWindows(masked, [{ offset, disk: inner }]) : masked
    },
  }
}

interface Member {
  readonly level: number
  readonly name: string
  readonly data: ByteRange
  /** Bytes that are neither data nor needed to find it. */
  readonly unused: readonly ByteRange[]
}

async function readMember(disk: Disk, options: AbortOptions): Promise<Member> {
  const block = Buffer.alloc(4096)
  const places = [0, 4096, Math.floor((disk.size - 8192) / 4096) * 4096]
  for (const place of places) {
    if (place < 0 || place + 4096 > disk.size) continue
    await disk.read(block, place, options)
    if (block.readUInt32LE(0) === magic && block.readUInt32LE(4) === 1) {
      return parseVersion1(disk, block, place, options)
    }
  }
  const place = Math.floor(disk.size / 65536) * 65536 - 65536
  await disk.read(block, Math.max(0, place), options)
  if (block.readUInt32LE(0) === magic && block.readUInt32LE(4) === 0) {
    // struct mdp_superblock_s: words 7 and 8 are the level and the size in KiB.
    return {
      level: block.readInt32LE(28),
      name: '',
      data: { offset: 0, length: Math.min(block.readUInt32LE(32) * 1024, place) },
      unused: [],
    }
  }
  throw new GuestError('FILESYSTEM_DAMAGED', 'The super block of the RAID is not there.')
}

async function parseVersion1(
  disk: Disk,
  block: Buffer,
  place: number,
  options: AbortOptions,
): Promise<Member> {
  const field = (offset: number): number => Number(block.readBigUInt64LE(offset)) * sector
  const data = {
    offset: field(fields.dataOffset),
    length: Math.min(field(fields.size), field(fields.dataSize)),
  }
  const name = block.toString('utf8', 32, 64).split('\0')[0] ?? ''
  // In front of the data: the super block, a bitmap and a list of bad blocks are needed, the rest is room for reshaping.
  const needed = [{ offset: 0, length: place + 4096 }]
  const has = block.readUInt32LE(fields.features)
  if ((has & features.bitmap) !== 0) {
    const offset = place + block.readInt32LE(fields.bitmapOffset) * sector
    needed.push({ offset, length: await bitmapLength(disk, offset, options) })
  }
  if ((has & features.badBlocks) !== 0) {
    const offset = place + block.readInt32LE(fields.bblogOffset) * sector
    needed.push({ offset, length: block.readUInt16LE(fields.bblogSize) * sector })
  }
  const unused = place < data.offset && data.offset <= disk.size ? gaps(needed, data.offset) : []
  return { level: block.readInt32LE(fields.level), name, data, unused }
}

/** A bit for each chunk behind a header; struct bitmap_super_s of md-bitmap.h. */
async function bitmapLength(disk: Disk, offset: number, options: AbortOptions): Promise<number> {
  const header = Buffer.alloc(256)
  if (offset < 0 || offset + header.length > disk.size) {
    throw new GuestError('FILESYSTEM_DAMAGED', 'The bitmap of the RAID is outside.')
  }
  await disk.read(header, offset, options)
  const chunks = (Number(header.readBigUInt64LE(40)) * sector) / Math.max(1, header.readUInt32LE(52))
  return roundUp(header.length + Math.ceil(chunks / 8), 4096)
}

function gaps(ranges: readonly ByteRange[], end: number): ByteRange[] {
  const found: ByteRange[] = []
  let position = 0
  for (const { offset, length } of [...ranges].sort((one, other) => one.offset - other.offset)) {
    if (offset > position) found.push({ offset: position, length: Math.min(offset, end) - position })
    position = Math.max(position, offset + length)
  }
  if (end > position) found.push({ offset: position, length: end - position })
  return found.filter(({ length }) => length > 0)
}

/** The name has the host's in front: `web1:0`. */
function devicesOf(name: string): string[] {
  const own = name.slice(name.indexOf(':') + 1)
  if (own === '') return []
  return /^\d+$/.test(own) ? [`/dev/md${own}`, `/dev/md/${own}`] : [`/dev/md/${own}`]
}

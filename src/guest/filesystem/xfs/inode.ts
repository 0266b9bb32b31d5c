import type { AbortOptions } from '../../../core/abort.ts'
import type { Disk } from '../../../disk/disk.ts'
import { damagedXfs } from './damaged-xfs.ts'
import { blockOffset, type XfsGeometry } from './geometry.ts'
import { extentTree, walkTree } from './walk-tree.ts'

/** A part of a file on the disk, in blocks. */
export interface XfsExtent {
  /** Of the file. */
  readonly logical: number
  /** Of the disk, in bytes. */
  readonly offset: number
  readonly count: number
  readonly isUnwritten: boolean
}

/** What a file's inode says, and which bytes of it say something. */
export interface XfsInode {
  readonly mode: number
  readonly size: number
  readonly version: number
  /** `1`: in the inode; `2`: a list of extents; `3`: a tree of them. */
  readonly format: number
  /** Where its data begins in the inode, and how many bytes it may have there. */
  readonly fork: { readonly start: number; readonly length: number }
  readonly extentCount: number
  /** Its blocks may be those of other files, too. */
  readonly isShared: boolean
  /** Its blocks are on another disk. */
  readonly isRealtime: boolean
}

export const inodeFormats = { device: 0, local: 1, extents: 2, tree: 3 } as const

/** xfs on-disk format, "On-disk Inode". */
const field = {
  mode: 2,
  version: 4,
  format: 5,
  bigExtentCount: 24,
  size: 56,
  extentCount: 76,
  attributeExtentCount: 80,
  forkOffset: 82,
  attributeFormat: 83,
  flags: 90,
  flags2: 120,
} as const

const coreBytes = { old: 100, v3: 176 } as const
const realtimeFlag = 1
const sharedFlag = 0x2n
const bigCountsFlag = 0x10n

/** @returns null when there is no inode */
export function parseXfsInode(record: Buffer): XfsInode | null {
  if (record.toString('latin1', 0, 2) !== 'IN') return null
  const version = record.readUInt8(field.version)
  const start = version === 3 ? coreBytes.v3 : coreBytes.old
  const forkOffset = record.readUInt8(field.forkOffset) * 8
  const length = forkOffset > 0 ? forkOffset : record.length - start
  if (start + length > record.length) throw damagedXfs('an inode is longer than it is')
  const flags2 = version === 3 ? record.readBigUInt64BE(field.flags2) : 0n
  return {
    mode: record.readUInt16BE(field.mode),
    size: Number(record.readBigUInt64BE(field.size)),
    version,
    format: record.readUInt8(field.format),
    fork: { start, length },
    extentCount:
      (flags2 & bigCountsFlag) === 0n
        ? record.readUInt32BE(field.extentCount)
        : Number(record.readBigUInt64BE(field.bigExtentCount)),
    isShared: (flags2 & sharedFlag) !== 0n,
    isRealtime: (record.readUInt16BE(field.flags) & realtimeFlag) !== 0,
  }
}

/** The bytes of an inode's record that say nothing: behind its data, and behind its attributes. */
export function unusedOfInode(record: Buffer, inode: XfsInode): [number, number][] {
  const { fork, format, version } = inode
  const unused: [number, number][] = []
  const forkEnd = fork.start + fork.length
  const used = usedOfFork(format, format === inodeFormats.local ? inode.size : inode.extentCount)
  if (used !== null && used < fork.length) unused.push([fork.start + used, forkEnd])
  if (forkEnd < record.length) {
    const attributeFormat = record.readUInt8(field.attributeFormat)
    const flags2 = version === 3 ? record.readBigUInt64BE(field.flags2) : 0n
    const count =
      (flags2 & bigCountsFlag) === 0n
        ? record.readUInt16BE(field.attributeExtentCount)
        : record.readUInt32BE(field.extentCount)
    const size = attributeFormat === inodeFormats.local ? record.readUInt16BE(forkEnd) : count
    const usedByAttributes = usedOfFork(attributeFormat, size)
    if (usedByAttributes !== null && forkEnd + usedByAttributes < record.length) {
      unused.push([forkEnd + usedByAttributes, record.length])
    }
  }
  return unused
}

/** @param size bytes of local data, or the number of extents */
function usedOfFork(format: number, size: number): number | null {
  if (format === inodeFormats.local) return size
  if (format === inodeFormats.extents) return size * 16
  return format === inodeFormats.device ? 8 : null
}

/** The extents of a file or directory; none where its data is in its inode. */
export async function* readExtents(
  disk: Disk,
  geometry: XfsGeometry,
  record: Buffer,
  inode: XfsInode,
  options: AbortOptions,
): AsyncGenerator<XfsExtent, void, undefined> {
  const { fork, format, extentCount } = inode
  const data = record.subarray(fork.start, fork.start + fork.length)
  if (format === inodeFormats.extents) {
    if (extentCount * 16 > data.length) throw damagedXfs('an inode has more extents than room')
    for (let index = 0; index < extentCount; index += 1) {
      yield parseExtent(data.subarray(index * 16, index * 16 + 16), geometry)
    }
  } else if (format === inodeFormats.tree) {
    const capacity = Math.floor((data.length - 4) / 16)
    const root = Number(data.readBigUInt64BE(4 + capacity * 8))
    for await (const found of walkTree(disk, geometry, extentTree, root, options))
      yield parseExtent(found, geometry)
  }
}

/** xfs on-disk format, "Extent List": 1 bit, then 54, 52 and 21. */
function parseExtent(record: Buffer, geometry: XfsGeometry): XfsExtent {
  const [high, low] = [record.readBigUInt64BE(0), record.readBigUInt64BE(8)]
  const count = Number(low & 0x1f_ffffn)
  const start = Number(((high & 0x1ffn) << 43n) | (low >> 21n))
  return {
    logical: Number((high >> 9n) & 0x3f_ffff_ffff_ffffn),
    offset: blockOffset(geometry, start, count),
    count,
    isUnwritten: high >> 63n === 1n,
  }
}

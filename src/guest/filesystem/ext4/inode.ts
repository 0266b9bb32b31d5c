import type { AbortOptions } from '../../../core/abort.ts'
import { crc32c, crc32cOfNumber } from '../../../core/crc32c.ts'
import type { FileKind, FileStat } from '../filesystem.ts'
import { damaged } from './damaged.ts'
import { blockAreaSize, inodeFlags, inodeOffsets, modeTypes, smallInodeSize } from './layout.ts'
import type { Superblock } from './superblock.ts'
import type { Volume } from './volume.ts'

/** An inode, as stored. */
export interface Inode {
  readonly number: number
  /** The whole record; its length is the file system's inode size. */
  readonly record: Uint8Array
  readonly mode: number
  readonly links: number
  readonly size: number
  readonly flags: number
  readonly generation: number
  /** Block of extended attributes, 0 when there is none. */
  readonly attributeBlock: number
  /** `i_block`. */
  readonly blockArea: Uint8Array
}

export async function readInode(volume: Volume, number: number, options: AbortOptions): Promise<Inode> {
  const { superblock } = volume
  const position = inodePosition(volume, number)
  const block = Math.floor(position / superblock.blockSize)
  const bytes = await volume.readBlock(block, options)
  const offset = position - block * superblock.blockSize
  return parseInode(bytes.slice(offset, offset + superblock.inodeSize), number)
}

/** Byte offset of an inode's record in the file system. */
export function inodePosition({ superblock, groups }: Volume, number: number): number {
  const { inodesCount, inodesPerGroup, inodeSize, blockSize } = superblock
  if (!(number >= 1 && number <= inodesCount))
    throw damaged(`it refers to inode ${number}, which does not exist`)
  const group = Math.floor((number - 1) / inodesPerGroup)
  return (groups.inodeTable[group] ?? 0) * blockSize + ((number - 1) % inodesPerGroup) * inodeSize
}

export function parseInode(record: Uint8Array, number: number): Inode {
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength)
  const mode = view.getUint16(inodeOffsets.mode, true)
  const size =
    view.getUint32(inodeOffsets.sizeLow, true) +
    // For other kinds this field has had other meanings; directories above 4 GiB do not occur.
    (isType(mode, modeTypes.file) ? view.getUint32(inodeOffsets.sizeHigh, true) * 2 ** 32 : 0)
  if (!Number.isSafeInteger(size)) throw damaged(`inode ${number} claims ${size} bytes`)
  return {
    number,
    record,
    mode,
    links: view.getUint16(inodeOffsets.links, true),
    size,
    flags: view.getUint32(inodeOffsets.flags, true),
    generation: view.getUint32(inodeOffsets.generation, true),
    attributeBlock:
      view.getUint32(inodeOffsets.attributesLow, true) +
      view.getUint16(inodeOffsets.attributesHigh, true) * 2 ** 32,
    blockArea: record.subarray(inodeOffsets.block, inodeOffsets.block + blockAreaSize),
  }
}

export function statOf(inode: Inode): FileStat {
  const view = new DataView(inode.record.buffer, inode.record.byteOffset, inode.record.byteLength)
  return {
    kind: kindOf(inode),
    inode: inode.number,
    size: inode.size,
    mode: inode.mode & 0o7777,
    uid: view.getUint16(inodeOffsets.uidLow, true) + view.getUint16(inodeOffsets.uidHigh, true) * 65536,
    gid: view.getUint16(inodeOffsets.gidLow, true) + view.getUint16(inodeOffsets.gidHigh, true) * 65536,
    links: inode.links,
    modified: view.getInt32(inodeOffsets.modified, true) + epoch(view, inodeOffsets.modifiedExtra),
  }
}

export function kindOf({ mode, number }: Inode): FileKind {
  const kind = kinds[mode & modeTypes.mask]
  if (kind === undefined) throw damaged(`inode ${number} has the impossible mode 0${mode.toString(8)}`)
  return kind
}

export function isType(mode: number, type: number): boolean {
  return (mode & modeTypes.mask) === type
}

export function hasFlag(inode: Pick<Inode, 'flags'>, flag: keyof typeof inodeFlags): boolean {
  return (inode.flags & inodeFlags[flag]) !== 0
}

/** Start value for the checksums of one inode and of everything that belongs to it. */
export function inodeChecksumSeed(seed: number, number: number, generation: number): number {
  return crc32cOfNumber(crc32cOfNumber(seed, number), generation)
}

/** Writes the checksum of a changed record ("Checksums": crc32c of seed, inode number, generation and record). */
export function updateInodeChecksum(superblock: Superblock, number: number, record: Uint8Array): void {
  if (superblock.checksumSeed === null) return
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength)
  const hasHigh = record.length > smallInodeSize && view.getUint16(inodeOffsets.extraSize, true) >= 4
  view.setUint16(inodeOffsets.checksumLow, 0, true)
  if (hasHigh) view.setUint16(inodeOffsets.checksumHigh, 0, true)
  const generation = view.getUint32(inodeOffsets.generation, true)
  const checksum = crc32c(inodeChecksumSeed(superblock.checksumSeed, number, generation), record)
  view.setUint16(inodeOffsets.checksumLow, checksum & 0xffff, true)
  if (hasHigh) view.setUint16(inodeOffsets.checksumHigh, checksum >>> 16, true)
}

const kinds: Readonly<Record<number, FileKind>> = {
  [modeTypes.file]: 'file',
  [modeTypes.directory]: 'directory',
  [modeTypes.symlink]: 'symlink',
  [modeTypes.characterDevice]: 'character-device',
  [modeTypes.blockDevice]: 'block-device',
  [modeTypes.fifo]: 'fifo',
  [modeTypes.socket]: 'socket',
}

/** The two lowest bits of the extra time field count 2^32 seconds each ("Inode Timestamps"). */
function epoch(view: DataView, offset: number): number {
  if (view.byteLength <= smallInodeSize) return 0
  const end = smallInodeSize + view.getUint16(inodeOffsets.extraSize, true)
  return offset + 4 <= Math.min(end, view.byteLength) ? (view.getUint32(offset, true) & 3) * 2 ** 32 : 0
}

import { crc32c } from '../../../core/crc32c.ts'
import { damaged } from './damaged.ts'
import { inodeChecksumSeed } from './inode.ts'
import { directoryTailSize, directoryTailType } from './layout.ts'

/** An entry of a directory block (struct ext4_dir_entry_2), by its place in the block. */
export interface RawEntry {
  readonly offset: number
  /** Bytes up to the next entry. */
  readonly recordLength: number
  readonly inode: number
  readonly nameStart: number
  readonly nameEnd: number
  readonly fileType: number
}

/** How the entries of one file system look. */
export interface DirectoryLayout {
  /** Feature `filetype`: the byte behind the name's length tells the kind. */
  readonly hasFileType: boolean
  /** Start value of checksums, null without `metadata_csum`. */
  readonly checksumSeed: number | null
}

const entryHeaderSize = 8
const directoryRecordAlignment = 4

/**
 * All entries of a block or of an inline area, unused ones (inode 0) too. The blocks of a hashed directory's index
 * look like unused entries to this and every older reader, which is how the format stays compatible.
 */
export function* rawEntries(block: Uint8Array, layout: DirectoryLayout, inode: number): Generator<RawEntry> {
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength)
  let offset = 0
  while (offset < block.length) {
    const recordLength =
      offset + entryHeaderSize <= block.length ? decodeLength(view, offset, block.length) : 0
    // Without the feature `filetype` this is half of a 16-bit length, but no name is longer than 255 bytes.
    const nameLength = block[offset + 6] ?? 0
    if (
      recordLength < entryHeaderSize ||
      recordLength % directoryRecordAlignment !== 0 ||
      offset + recordLength > block.length ||
      entryHeaderSize + nameLength > recordLength
    ) {
      throw damaged(`an entry of directory inode ${inode} has an impossible length`)
    }
    yield {
      offset,
      recordLength,
      inode: view.getUint32(offset, true),
      nameStart: offset + entryHeaderSize,
      nameEnd: offset + entryHeaderSize + nameLength,
      fileType: layout.hasFileType ? (block[offset + 7] ?? 0) : 0,
    }
    offset += recordLength
  }
}

/**
 * Takes entries out: the space of each goes to the entry before it, or it becomes an unused one at the start of the
 * block. Their names are zeroed.
 * @param names the names as `latin1` strings, byte by byte
 * @returns the names that were found
 */
export function removeEntries(
  block: Uint8Array,
  layout: DirectoryLayout,
  directory: number,
  names: ReadonlySet<string>,
): string[] {
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength)
  const found: string[] = []
  let previous: { offset: number; length: number } | null = null
  for (const entry of [...rawEntries(block, layout, directory)]) {
    const name = Buffer.from(block.subarray(entry.nameStart, entry.nameEnd)).toString('latin1')
    if (entry.inode === 0 || !names.has(name)) {
      previous = { offset: entry.offset, length: entry.recordLength }
      continue
    }
    found.push(name)
    const end = entry.offset + entry.recordLength
    if (previous) {
      block.fill(0, entry.offset, end)
      previous = { offset: previous.offset, length: previous.length + entry.recordLength }
      encodeLength(view, previous.offset, previous.length, block.length)
    } else {
      view.setUint32(entry.offset, 0, true)
      block.fill(0, entry.offset + 6, end)
      previous = { offset: entry.offset, length: entry.recordLength }
    }
  }
  return found
}

/**
 * Zeroes what is behind each name up to the next entry, and the names of unused entries: the remains of removed files.
 * @returns whether anything changed
 * @throws GuestError `FILESYSTEM_DAMAGED`
 */
export function zeroSlack(block: Uint8Array, layout: DirectoryLayout, directory: number): boolean {
  let changed = false
  for (const entry of rawEntries(block, layout, directory)) {
    const end = entry.offset + entry.recordLength
    if (isTail(block, entry, layout)) continue
    // An unused entry's name length is not its own any more either.
    const start = entry.inode === 0 ? entry.offset + 6 : entry.nameEnd
    for (let position = start; position < end; position += 1) {
      if (block[position] === 0) continue
      block.fill(0, position, end)
      changed = true
      break
    }
  }
  return changed
}

/** Writes the checksum of a changed block into its tail, if it has one. */
export function updateBlockChecksum(
  block: Uint8Array,
  layout: DirectoryLayout,
  directory: { number: number; generation: number },
): void {
  if (layout.checksumSeed === null) return
  const tail = block.length - directoryTailSize
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength)
  if (!looksLikeTail(view, tail)) return
  const seed = inodeChecksumSeed(layout.checksumSeed, directory.number, directory.generation)
  view.setUint32(tail + 8, crc32c(seed, block.subarray(0, tail)), true)
}

/**
 * Whether a block of a hashed directory is part of its index ("Hash Tree Directories"): one unused entry as long as
 * the block, then limit and count, the limit being what the block can hold. A leaf with checksums never has an entry as
 * long as the block, because its tail is an entry of its own.
 */
export function isIndexBlock(block: Uint8Array, layout: DirectoryLayout): boolean {
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength)
  if (view.getUint32(0, true) !== 0 || decodeLength(view, 0, block.length) !== block.length) return false
  const limit = view.getUint16(8, true)
  const count = view.getUint16(10, true)
  const tail = layout.checksumSeed === null ? 0 : 8
  return limit === Math.floor((block.length - 8 - tail) / 8) && count >= 1 && count <= limit
}

function isTail(block: Uint8Array, entry: RawEntry, layout: DirectoryLayout): boolean {
  if (layout.checksumSeed === null || entry.offset !== block.length - directoryTailSize) return false
  return looksLikeTail(new DataView(block.buffer, block.byteOffset, block.byteLength), entry.offset)
}

function looksLikeTail(view: DataView, offset: number): boolean {
  return (
    offset > 0 &&
    view.getUint32(offset, true) === 0 &&
    view.getUint16(offset + 4, true) === directoryTailSize &&
    view.getUint8(offset + 6) === 0 &&
    view.getUint8(offset + 7) === directoryTailType
  )
}

/** With 64 KiB blocks a length of 65536 does not fit in 16 bits and is written as 0 or 65535. */
function decodeLength(view: DataView, offset: number, blockSize: number): number {
  const stored = view.getUint16(offset + 4, true)
  return blockSize === 65536 && (stored === 0 || stored === 65535) ? 65536 : stored
}

function encodeLength(view: DataView, offset: number, length: number, blockSize: number): void {
  view.setUint16(offset + 4, blockSize === 65536 && length === 65536 ? 65535 : length, true)
}

import type { AbortOptions } from '../../../core/abort.ts'
import type { DirectoryEntry, FileKind } from '../filesystem.ts'
import { decodeName } from '../name-encoding.ts'
import { hasBlockMap, readBlockMap } from './block-map.ts'
import { damaged } from './damaged.ts'
import { type DirectoryLayout, rawEntries } from './directory-block.ts'
import { inlineDataRanges } from './inline-data.ts'
import { hasFlag, type Inode, kindOf, readInode } from './inode.ts'
import { incompatibleFeatures } from './layout.ts'
import type { Superblock } from './superblock.ts'
import type { Volume } from './volume.ts'

/** An entry as it stands in the directory; `kind` is null where only the inode can tell it. */
export interface StoredEntry {
  readonly name: string
  readonly inode: number
  readonly kind: FileKind | null
}

/** A directory of more bytes than this is refused; 5 million short names fit. */
const maximumDirectorySize = 256 * 1024 * 1024

export function directoryLayout({ incompatible, checksumSeed }: Superblock): DirectoryLayout {
  return { hasFileType: (incompatible & incompatibleFeatures.fileType) !== 0, checksumSeed }
}

/** The entries of a directory without `.` and `..`, in stored order, hashed or not. */
export async function readDirectory(
  volume: Volume,
  inode: Inode,
  options: AbortOptions,
): Promise<StoredEntry[]> {
  const layout = directoryLayout(volume.superblock)
  const entries: StoredEntry[] = []
  if (hasFlag(inode, 'inlineData')) {
    for (const range of inlineEntryRanges(inode)) {
      collectEntries(inode.record.subarray(range.start, range.end), layout, inode.number, entries)
    }
    return entries
  }
  for (const block of await directoryBlocks(volume, inode, options)) {
    collectEntries(await volume.readBlock(block, options), layout, inode.number, entries)
  }
  return entries
}

/** Physical blocks of a directory, in logical order. */
export async function directoryBlocks(
  volume: Volume,
  inode: Inode,
  options: AbortOptions,
): Promise<number[]> {
  const { blockSize } = volume.superblock
  if (inode.size > maximumDirectorySize || !hasBlockMap(inode, 'directory')) {
    throw damaged(`directory inode ${inode.number} claims ${inode.size} bytes`)
  }
  const { runs } = await readBlockMap(volume, inode, options)
  const blockCount = Math.floor(inode.size / blockSize)
  const blocks: number[] = []
  for (const run of runs) {
    const end = Math.min(run.count, blockCount - run.logical)
    for (let index = 0; index < end; index += 1) blocks.push(run.physical + index)
  }
  return blocks
}

/** An inline directory starts with the four bytes of its parent's inode number, where others have `.` and `..`. */
export function inlineEntryRanges(inode: Inode): { start: number; end: number }[] {
  return inlineDataRanges(inode).map(({ start, end }, index) => ({
    start: index === 0 ? start + 4 : start,
    end,
  }))
}

/** Entries with their kind; without the feature `filetype`, and for odd values, that takes a look at the inode. */
export async function completeEntries(
  volume: Volume,
  entries: Iterable<StoredEntry>,
  options: AbortOptions,
): Promise<DirectoryEntry[]> {
  const complete: DirectoryEntry[] = []
  for (const { name, inode, kind } of entries) {
    complete.push({ name, inode, kind: kind ?? kindOf(await readInode(volume, inode, options)) })
  }
  return complete
}

function collectEntries(
  bytes: Uint8Array,
  layout: DirectoryLayout,
  directory: number,
  entries: StoredEntry[],
): void {
  for (const entry of rawEntries(bytes, layout, directory)) {
    if (entry.inode === 0 || entry.nameEnd === entry.nameStart) continue
    const name = decodeName(bytes.subarray(entry.nameStart, entry.nameEnd))
    if (name === '.' || name === '..') continue
    if (name.includes('/') || name.includes('\0')) {
      throw damaged(`directory inode ${directory} has an entry whose name holds a slash or a NUL`)
    }
    entries.push({ name, inode: entry.inode, kind: fileTypes[entry.fileType] ?? null })
  }
}

/** "Directory Entries", file type codes. */
const fileTypes: Readonly<Record<number, FileKind>> = {
  1: 'file',
  2: 'directory',
  3: 'character-device',
  4: 'block-device',
  5: 'fifo',
  6: 'socket',
  7: 'symlink',
}

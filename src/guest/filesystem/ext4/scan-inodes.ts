import type { AbortOptions } from '../../../core/abort.ts'
import type { ByteRangesBuilder } from '../../../disk/byte-ranges.ts'
import { type MapNode, type MapVisitor, visitMapNode, visitMapRoot } from './block-map.ts'
import { damaged } from './damaged.ts'
import { blockAreaSize, inodeFlags, inodeOffsets, modeTypes, reservedInodes } from './layout.ts'
import { readBlocks } from './read-blocks.ts'
import type { ScanVisitor } from './scan.ts'
import type { Superblock } from './superblock.ts'
import type { Volume } from './volume.ts'

/** The directory that a block belongs to, as far as its content depends on it. */
export interface DirectoryOwner {
  readonly number: number
  readonly generation: number
  readonly flags: number
  /** Whether this is the directory's first block, which in a hashed directory is the root of the index. */
  readonly isFirst: boolean
}

export interface InodeCollector {
  /** Looks at the inodes in use of one block of an inode table. */
  collect(table: Uint8Array, place: { group: number; firstIndex: number; bitmap: Uint8Array }): void
  /** Visits what the collected inodes point to. */
  finish(visitor: ScanVisitor, options: AbortOptions): Promise<void>
}

/** What becomes of the blocks of a file. */
type Role = 'content' | 'link' | 'directory' | 'metadata' | 'journal' | 'untouched'

interface MappedFile {
  readonly number: number
  readonly flags: number
  readonly generation: number
  readonly size: number
  readonly role: Role
}

/** A directory above this size, or a quota or orphan file, is refused: see `directory.ts`. */
const maximumMetadataFile = 256 * 1024 * 1024

/** Collects from inodes in use what else of a file system is metadata, and which allocated bytes no file owns. */
export function createInodeCollector(volume: Volume, unowned: ByteRangesBuilder): InodeCollector {
  const { superblock } = volume
  const { blockSize, blocksCount, inodeSize, inodesPerGroup } = superblock
  const claimed = new Set<number>()
  let nodes: { node: MapNode; file: MappedFile }[] = []
  let directoryBlocks: { block: number; owner: DirectoryOwner }[] = []
  let metadataBlocks = new Set<number>()

  function claim(block: number, number: number): void {
    if (claimed.has(block)) throw damaged(`block ${block} is claimed twice, once by inode ${number}`)
    claimed.add(block)
  }

  function addRun(
    file: MappedFile,
    logical: number,
    physical: number,
    count: number,
    unwritten: boolean,
  ): void {
    switch (file.role) {
      case 'link':
        // e2fsck looks at the targets of links.
        if (logical === 0) metadataBlocks.add(physical)
        addUnowned(unowned, blockSize, file, { logical, physical, count, unwritten })
        return
      case 'content':
        addUnowned(unowned, blockSize, file, { logical, physical, count, unwritten })
        return
      case 'journal': {
        const kept = logical === 0 ? 1 : 0
        if (kept > 0) metadataBlocks.add(physical)
        unowned.add((physical + kept) * blockSize, (count - kept) * blockSize)
        return
      }
      case 'directory':
      case 'metadata': {
        if ((logical + count) * blockSize > maximumMetadataFile) {
          throw damaged(`inode ${file.number} claims too many blocks for what it is`)
        }
        for (let index = 0; index < count; index += 1) {
          const block = physical + index
          claim(block, file.number)
          if (file.role === 'metadata') metadataBlocks.add(block)
          else directoryBlocks.push({ block, owner: { ...ownerOf(file), isFirst: logical + index === 0 } })
        }
        return
      }
      case 'untouched':
    }
  }

  let current: MappedFile = { number: 0, flags: 0, generation: 0, size: 0, role: 'untouched' }
  const mapVisitor: MapVisitor = {
    run: (logical, physical, count, unwritten) => addRun(current, logical, physical, count, unwritten),
    node(node) {
      claim(node.block, current.number)
      nodes.push({ node, file: current })
    },
  }

  function collectInode(view: DataView, offset: number, number: number): void {
    const attributeBlock =
      view.getUint32(offset + inodeOffsets.attributesLow, true) +
      view.getUint16(offset + inodeOffsets.attributesHigh, true) * 2 ** 32
    if (attributeBlock >= blocksCount) throw damaged(`the attributes of inode ${number} lie outside`)
    if (attributeBlock > 0) metadataBlocks.add(attributeBlock)
    const mode = view.getUint16(offset + inodeOffsets.mode, true)
    const flags = view.getUint32(offset + inodeOffsets.flags, true)
    const size =
      view.getUint32(offset + inodeOffsets.sizeLow, true) +
      ((mode & modeTypes.mask) === modeTypes.file
        ? view.getUint32(offset + inodeOffsets.sizeHigh, true) * 2 ** 32
        : 0)
    const role = roleOf(superblock, number, { mode, flags, size })
    if (role === null) return
    const generation = view.getUint32(offset + inodeOffsets.generation, true)
    current = { number, flags, generation, size, role }
    const root = new DataView(view.buffer, view.byteOffset + offset + inodeOffsets.block, blockAreaSize)
    visitMapRoot(root, current, blocksCount, mapVisitor)
  }

  return {
    collect(table, { group, firstIndex, bitmap }) {
      const view = new DataView(table.buffer, table.byteOffset, table.byteLength)
      for (let offset = 0, index = firstIndex; offset < table.length; offset += inodeSize, index += 1) {
        if (((bitmap[index >>> 3] ?? 0) & (1 << (index & 7))) === 0) continue
        collectInode(view, offset, group * inodesPerGroup + index + 1)
      }
    },

    async finish(visitor, options) {
      while (nodes.length > 0) {
        const level = nodes.sort((a, b) => a.node.block - b.node.block)
        nodes = []
        const blocks = level.map(({ node }) => node.block)
        await readBlocks(volume, blocks, options, (bytes, index) => {
          const entry = level[index]
          if (!entry) return
          visitor.metadata(entry.node.block, bytes)
          current = entry.file
          visitMapNode(bytes, entry.node, entry.file.number, blocksCount, mapVisitor)
        })
      }
      const metadata = Float64Array.from(metadataBlocks).sort()
      metadataBlocks = new Set()
      await readBlocks(volume, metadata, options, (bytes, index) => {
        visitor.metadata(metadata[index] ?? 0, bytes)
      })
      const directories = directoryBlocks.sort((a, b) => a.block - b.block)
      directoryBlocks = []
      const blocks = directories.map(({ block }) => block)
      await readBlocks(volume, blocks, options, (bytes, index) => {
        const entry = directories[index]
        if (entry) visitor.directory(entry.block, bytes, entry.owner)
      })
    },
  }
}

/** null for an inode without a map of blocks. */
function roleOf(
  superblock: Superblock,
  number: number,
  { mode, flags, size }: { mode: number; flags: number; size: number },
): Role | null {
  const type = mode & modeTypes.mask
  if ((flags & inodeFlags.inlineData) !== 0) return null
  if (number === superblock.journalInode) return 'journal'
  if (number === superblock.orphanFileInode || superblock.quotaInodes.includes(number)) return 'metadata'
  if (number < superblock.firstInode && number !== reservedInodes.root) {
    // The maps of the resize inode and of the list of bad blocks are read; their blocks are not what they look like.
    return number === reservedInodes.resize || number === reservedInodes.badBlocks || type === modeTypes.file
      ? 'untouched'
      : null
  }
  if (type === modeTypes.directory) return 'directory'
  if (type === modeTypes.file) return 'content'
  const isShortLink = size < blockAreaSize && (flags & inodeFlags.extents) === 0
  return type === modeTypes.symlink && !isShortLink ? 'link' : null
}

/** What of a file's blocks its content does not reach. */
function addUnowned(
  unowned: ByteRangesBuilder,
  blockSize: number,
  file: MappedFile,
  run: { logical: number; physical: number; count: number; unwritten: boolean },
): void {
  // fs-verity keeps its hash tree behind the end of the file.
  if ((file.flags & inodeFlags.verity) !== 0) return
  const start = run.physical * blockSize
  const length = run.count * blockSize
  if (run.unwritten) {
    unowned.add(start, length)
    return
  }
  // An encrypted file's last block only decrypts whole.
  const end =
    (file.flags & inodeFlags.encrypted) !== 0 ? Math.ceil(file.size / blockSize) * blockSize : file.size
  const owned = Math.max(0, Math.min(length, end - run.logical * blockSize))
  if (owned < length) unowned.add(start + owned, length - owned)
}

function ownerOf({ number, generation, flags }: MappedFile): Omit<DirectoryOwner, 'isFirst'> {
  return { number, generation, flags }
}

import type { AbortOptions } from '../../../core/abort.ts'
import { crc32c } from '../../../core/crc32c.ts'
import { GuestError } from '../../errors.ts'
import { encodeName } from '../name-encoding.ts'
import { readBlockMap } from './block-map.ts'
import { readDirectory } from './directory.ts'
import { runDebugfs } from './e2fsprogs.ts'
import { editInode, unlinkNames } from './edit-working-file.ts'
import { hasFlag, inodeChecksumSeed, readInode } from './inode.ts'
import {
  blockAreaSize,
  extentEntrySize,
  extentHeaderSize,
  extentMagic,
  inodeFlags,
  inodeOffsets,
  reservedInodes,
} from './layout.ts'
import { openVolume, type Volume } from './volume.ts'
import type { WorkingFile } from './working-file.ts'

export interface TransplantOptions extends AbortOptions {
  volume: Volume
  file: WorkingFile
  /** The file that gets the content; it has no blocks of its own any more. */
  target: number
  size: number
  /** The new file in the root directory whose blocks it gets; it disappears. */
  name: string
}

/**
 * Gives an existing file the blocks of a new one, so that it keeps its inode number, owner, mode and attributes while
 * debugfs does the allocating.
 */
export async function transplant({
  volume,
  file,
  target,
  size,
  name,
  signal,
}: TransplantOptions): Promise<void> {
  const options = { signal }
  const edited = await openVolume(file.disk, options)
  const root = await readInode(edited, reservedInodes.root, options)
  const entry = (await readDirectory(edited, root, options)).find((found) => found.name === name)
  if (!entry) throw new GuestError('FILESYSTEM_EDIT_FAILED', 'debugfs did not write the new content.')
  const source = await readInode(edited, entry.inode, options)
  const targetInode = await readInode(edited, target, options)
  const { mapBlocks } = await readBlockMap(edited, source, options)

  // The blocks of an extent tree carry a checksum that depends on whose they are.
  const { checksumSeed } = volume.superblock
  if (hasFlag(source, 'extents') && checksumSeed !== null) {
    const seed = inodeChecksumSeed(checksumSeed, target, targetInode.generation)
    for (const block of mapBlocks) {
      const bytes = await file.read(block)
      const view = new DataView(bytes.buffer)
      const tail = extentHeaderSize + view.getUint16(4, true) * extentEntrySize
      view.setUint32(tail, crc32c(seed, bytes.subarray(0, tail)), true)
      file.put(block, bytes)
    }
  }

  const sourceView = new DataView(source.record.buffer, source.record.byteOffset)
  const sectors = sourceView.getUint32(inodeOffsets.blocksLow, true)
  await editInode(edited, file, target, (inode) => {
    const view = new DataView(inode.record.buffer, inode.record.byteOffset)
    inode.blockArea.set(source.blockArea)
    // What is left after the punch is the block of attributes.
    view.setUint32(inodeOffsets.blocksLow, view.getUint32(inodeOffsets.blocksLow, true) + sectors, true)
    view.setUint32(inodeOffsets.sizeLow, size, true)
    view.setUint32(inodeOffsets.sizeHigh, 0, true)
    const extents = source.flags & inodeFlags.extents
    view.setUint32(inodeOffsets.flags, ((inode.flags & ~inodeFlags.extents) | extents) >>> 0, true)
  })
  await editInode(edited, file, source.number, (inode) => {
    const view = new DataView(inode.record.buffer, inode.record.byteOffset)
    inode.blockArea.fill(0)
    if (hasFlag(inode, 'extents')) {
      const capacity = (blockAreaSize - extentHeaderSize) / extentEntrySize
      view.setUint16(inodeOffsets.block, extentMagic, true)
      view.setUint16(inodeOffsets.block + 4, capacity, true)
    }
    view.setUint32(inodeOffsets.blocksLow, 0, true)
    view.setUint32(inodeOffsets.sizeLow, 0, true)
  })
  const names = new Set([Buffer.from(encodeName(name)).toString()])
  await unlinkNames(edited, file, { directory: root, names }, options)
  const freed = `<${source.number}>`
  await runDebugfs(file.path, [`set_inode_field ${freed} links_count 0`, `kill_file ${freed}`], options)
}

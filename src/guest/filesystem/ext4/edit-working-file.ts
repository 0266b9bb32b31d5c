import type { AbortOptions } from '../../../core/abort.ts'
import { encodeName } from '../name-encoding.ts'
import { damaged } from './damaged.ts'
import { directoryBlocks, directoryLayout, inlineEntryRanges } from './directory.ts'
import { removeEntries, updateBlockChecksum } from './directory-block.ts'
import { hasFlag, type Inode, inodePosition, parseInode, updateInodeChecksum } from './inode.ts'
import type { Volume } from './volume.ts'
import type { WorkingFile } from './working-file.ts'

/** Takes names out of a directory in the working file, and checks that each of them was there. */
export async function unlinkNames(
  volume: Volume,
  file: WorkingFile,
  { directory, names }: { directory: Inode; names: ReadonlySet<string> },
  options: AbortOptions,
): Promise<void> {
  const layout = directoryLayout(volume.superblock)
  const left = new Set([...names].map((name) => Buffer.from(encodeName(name)).toString('latin1')))
  const remove = (bytes: Uint8Array): boolean => {
    const found = removeEntries(bytes, layout, directory.number, left)
    for (const name of found) left.delete(name)
    return found.length > 0
  }
  if (hasFlag(directory, 'inlineData')) {
    await editInode(volume, file, directory.number, (inode) => {
      for (const { start, end } of inlineEntryRanges(inode)) remove(inode.record.subarray(start, end))
    })
  } else {
    for (const block of await directoryBlocks(volume, directory, options)) {
      const bytes = await file.read(block)
      if (!remove(bytes)) continue
      updateBlockChecksum(bytes, layout, directory)
      file.put(block, bytes)
      file.markChanged(block, 1)
    }
  }
  if (left.size > 0) throw damaged(`directory inode ${directory.number} has lost an entry`)
}

/** Changes an inode's record in the working file and renews its checksum. */
export async function editInode(
  volume: Volume,
  file: WorkingFile,
  number: number,
  change: (inode: Inode) => void,
): Promise<void> {
  const { superblock } = volume
  const position = inodePosition(volume, number)
  const block = Math.floor(position / superblock.blockSize)
  const bytes = await file.read(block)
  const offset = position - block * superblock.blockSize
  const record = bytes.subarray(offset, offset + superblock.inodeSize)
  change(parseInode(record, number))
  updateInodeChecksum(superblock, number, record)
  file.put(block, bytes)
  file.markChanged(block, 1)
}

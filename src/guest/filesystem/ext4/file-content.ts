import type { AbortOptions } from '../../../core/abort.ts'
import { GuestError } from '../../errors.ts'
import { readBlockMap } from './block-map.ts'
import { readInlineData } from './inline-data.ts'
import { hasFlag, type Inode } from './inode.ts'
import { blockAreaSize } from './layout.ts'
import type { Volume } from './volume.ts'

/**
 * All bytes of a regular file; holes and unwritten extents are zeros. The caller has limited `inode.size`.
 * @throws GuestError `GUEST_FILE_ENCRYPTED` | `FILESYSTEM_DAMAGED`
 */
export async function readFileContent(
  volume: Volume,
  inode: Inode,
  options: AbortOptions,
): Promise<Uint8Array> {
  if (hasFlag(inode, 'encrypted')) {
    throw new GuestError(
      'GUEST_FILE_ENCRYPTED',
      `Inode ${inode.number} is encrypted with a key of the guest.`,
    )
  }
  if (hasFlag(inode, 'inlineData')) return new Uint8Array(readInlineData(inode))
  const { blockSize } = volume.superblock
  const content = new Uint8Array(inode.size)
  if (inode.size === 0) return content
  const { runs } = await readBlockMap(volume, inode, options)
  for (const { logical, physical, count, unwritten } of runs) {
    const start = logical * blockSize
    if (unwritten || start >= content.length) continue
    const end = Math.min(start + count * blockSize, content.length)
    await volume.disk.read(content.subarray(start, end), physical * blockSize, options)
  }
  return content
}

/** The bytes a symbolic link points to: in the inode when they are short, else in its first block. */
export async function readLinkTarget(
  volume: Volume,
  inode: Inode,
  options: AbortOptions,
): Promise<Uint8Array> {
  if (inode.size < blockAreaSize && !hasFlag(inode, 'extents') && !hasFlag(inode, 'inlineData')) {
    return inode.blockArea.slice(0, inode.size)
  }
  return await readFileContent(volume, inode, options)
}

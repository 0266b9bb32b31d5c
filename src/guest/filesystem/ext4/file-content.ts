import type { AbortOptions } from '../../../core/abort.ts'
import { composeDisk } from '../../../disk/composed-disk.ts'
import type { Disk } from '../../../disk/disk.ts'
import { memoryDisk } from '../../../disk/memory-disk.ts'
import type { DiskWindow } from '../../../disk/overlay-disk.ts'
import { windowDisk } from '../../../disk/window-disk.ts'
import { GuestError } from '../../errors.ts'
import { readBlockMap } from './block-map.ts'
import { damaged } from './damaged.ts'
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
  refuseEncrypted(inode)
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

/**
 * A regular file as a disk of exactly its bytes, of which nothing is read before it is asked for.
 * @throws GuestError `GUEST_FILE_ENCRYPTED` | `FILESYSTEM_DAMAGED`
 */
export async function openFileContent(volume: Volume, inode: Inode, options: AbortOptions): Promise<Disk> {
  refuseEncrypted(inode)
  if (hasFlag(inode, 'inlineData')) return memoryDisk(new Uint8Array(readInlineData(inode)))
  if (inode.size === 0) return composeDisk(0, [])
  const { blockSize } = volume.superblock
  const parts: DiskWindow[] = []
  let done = 0
  for (const { logical, physical, count, unwritten } of (await readBlockMap(volume, inode, options)).runs) {
    const start = logical * blockSize
    const end = Math.min(start + count * blockSize, inode.size)
    if (unwritten || start >= end) continue
    if (start < done) throw damaged(`the blocks of inode ${inode.number} overlap`)
    parts.push({ offset: start, disk: windowDisk(volume.disk, physical * blockSize, end - start) })
    done = end
  }
  return composeDisk(inode.size, parts)
}

function refuseEncrypted(inode: Inode): void {
  if (!hasFlag(inode, 'encrypted')) return
  throw new GuestError('GUEST_FILE_ENCRYPTED', `Inode ${inode.number} is encrypted with a key of the guest.`)
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

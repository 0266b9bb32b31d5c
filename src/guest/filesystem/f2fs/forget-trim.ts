import { crc32 } from 'node:zlib'
import type { AbortOptions } from '../../../core/abort.ts'
import type { Disk } from '../../../disk/disk.ts'
import { GuestError } from '../../errors.ts'

/** Bytes to be written over those of a disk. */
export interface Patch {
  readonly offset: number
  readonly bytes: Buffer
}

const blockSize = 4096
/** f2fs_fs.h of Linux, struct f2fs_super_block, from byte 1024 of the disk on. */
const superBlock = {
  offset: 1024,
  magic: 0xf2f52010,
  logBlockSize: 16,
  logBlocksPerSegment: 20,
  checkpoint: 76,
}
/** struct f2fs_checkpoint. */
const checkpoint = { version: 0, flags: 132, blocks: 136, checksumOffset: 164 }
const trimmedFlag = 0x100

/**
 * What makes the kernel forget that free space was discarded. It notes that for the whole file system (CP_TRIMMED_FLAG), also on disks
 * that know no discarding, on which everything that was deleted is still there; fstrim then passes it over.
 *
 * Of the two checkpoints the newer valid one counts; its first and its last block are the same but for what lies between.
 * @throws GuestError `FILESYSTEM_DAMAGED`
 */
export async function forgetTrim(disk: Disk, options: AbortOptions = {}): Promise<Patch[]> {
  const head = Buffer.alloc(blockSize)
  await disk.read(head, 0, options)
  const field = (at: number): number => head.readUInt32LE(superBlock.offset + at)
  if (2 ** field(superBlock.logBlockSize) !== blockSize) {
    throw new GuestError(
      'FILESYSTEM_UNSUPPORTED',
      'The f2fs file system has blocks of another size than 4 KiB.',
    )
  }
  const first = field(superBlock.checkpoint)
  const packs = [first, first + 2 ** field(superBlock.logBlocksPerSegment)]
  const found = await Promise.all(packs.map((block) => readPack(disk, block, options)))
  const [newest] = found
    .flatMap((pack) => pack ?? [])
    .sort((one, other) => (one.version < other.version ? 1 : -1))
  if (!newest) throw new GuestError('FILESYSTEM_DAMAGED', 'The f2fs file system has no valid checkpoint.')
  return newest.blocks.map(({ offset, bytes }) => {
    bytes.writeUInt32LE((bytes.readUInt32LE(checkpoint.flags) & ~trimmedFlag) >>> 0, checkpoint.flags)
    bytes.writeUInt32LE(checksum(bytes), bytes.readUInt32LE(checkpoint.checksumOffset))
    return { offset, bytes }
  })
}

async function readPack(
  disk: Disk,
  block: number,
  options: AbortOptions,
): Promise<{ version: bigint; blocks: Patch[] } | null> {
  const first = await readCheckpoint(disk, block, options)
  if (!first) return null
  const last = await readCheckpoint(disk, block + first.bytes.readUInt32LE(checkpoint.blocks) - 1, options)
  const version = first.bytes.readBigUInt64LE(checkpoint.version)
  return last?.bytes.readBigUInt64LE(checkpoint.version) === version
    ? { version, blocks: [first, last] }
    : null
}

/** A block with a checksum that holds, or null. */
async function readCheckpoint(disk: Disk, block: number, options: AbortOptions): Promise<Patch | null> {
  const offset = block * blockSize
  if (block < 0 || offset + blockSize > disk.size) return null
  const bytes = Buffer.alloc(blockSize)
  await disk.read(bytes, offset, options)
  const at = bytes.readUInt32LE(checkpoint.checksumOffset)
  if (at < checkpoint.checksumOffset + 4 || at > blockSize - 4) return null
  return bytes.readUInt32LE(at) === checksum(bytes) ? { offset, bytes } : null
}

/** f2fs.h of Linux, f2fs_checkpoint_chksum: a CRC-32 that starts with the magic number and is not inverted, around its own place. */
function checksum(bytes: Buffer): number {
  const at = bytes.readUInt32LE(checkpoint.checksumOffset)
  const inverted = crc32(bytes.subarray(0, at), ~superBlock.magic >>> 0)
  return ~crc32(bytes.subarray(at + 4), inverted) >>> 0
}

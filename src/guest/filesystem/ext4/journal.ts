import type { AbortOptions } from '../../../core/abort.ts'
import type { Disk } from '../../../disk/disk.ts'
import { GuestError } from '../../errors.ts'
import { patchDisk } from '../patched-disk.ts'
import { readBlockMap } from './block-map.ts'
import { damaged } from './damaged.ts'
import { replayJournal } from './e2fsprogs.ts'
import { inodePosition, readInode } from './inode.ts'
import { incompatibleFeatures } from './layout.ts'
import { readBlocks } from './read-blocks.ts'
import { fixedBlocks } from './scan.ts'
import { openVolume, type Volume } from './volume.ts'
import { createWorkingFile, type WorkingFile } from './working-file.ts'

/** Whether the file system was in use, so that its journal holds what the tables do not say yet. */
export function needsReplay({ superblock }: Volume): boolean {
  return (superblock.incompatible & incompatibleFeatures.recover) !== 0
}

/**
 * Replays the journal in a working file that holds it and every block it may write. Which transactions count, what
 * was revoked and what was only begun is e2fsck's to decide: whatever then stands in these blocks is right, also
 * where nothing was written, because their old content was copied first.
 * @throws GuestError `FILESYSTEM_DAMAGED` | `FILESYSTEM_UNSUPPORTED`
 */
export async function replay(
  volume: Volume,
  workFolder: string,
  options: AbortOptions,
): Promise<{ volume: Volume; file: WorkingFile }> {
  const { superblock } = volume
  const { blockSize, blocksCount } = superblock
  const inode = await readInode(volume, superblock.journalInode, options)
  const { runs, mapBlocks } = await readBlockMap(volume, inode, options)
  const journalBlocks = runs.flatMap(({ physical, count }) =>
    Array.from({ length: count }, (_, i) => physical + i),
  )
  const first = journalBlocks[0]
  if (first === undefined) throw damaged('its journal has no blocks')
  const layout = journalLayout(await volume.readBlock(first, options), blockSize)

  const file = await createWorkingFile({ folder: workFolder, blockSize, blocksCount })
  try {
    const targets = new Set<number>()
    const put = (blocks: Float64Array, look?: (bytes: Uint8Array) => void): Promise<void> =>
      readBlocks(volume, blocks, options, (bytes, index) => {
        look?.(bytes)
        file.put(blocks[index] ?? 0, bytes)
      })
    const journal = Float64Array.from(journalBlocks).sort()
    await put(journal, (bytes) => collectTargets(bytes, layout, blocksCount, targets))
    for (const block of journalBlocks) targets.delete(block)
    const inodeBlock = Math.floor(inodePosition(volume, inode.number) / blockSize)
    for (const block of [...fixedBlocks(volume), inodeBlock, ...mapBlocks]) targets.add(block)
    await put(Float64Array.from(targets).sort())
    await replayJournal(file.path, options)
    const disk: Disk = patchDisk(volume.disk, file.disk, file.contents())
    return { volume: await openVolume(disk, options), file }
  } catch (error) {
    await file.discard()
    throw error
  }
}

interface JournalLayout {
  readonly tagSize: number
  /** Whether tags are struct journal_block_tag3_s. */
  readonly isVersion3: boolean
  readonly isWide: boolean
}

const journalMagic = 0xc03b_3998
const descriptorType = 1
const superblockTypes = [3, 4]
const featureOffset = 40
const incompatible = { wide: 0x2, checksum2: 0x8, checksum3: 0x10, fastCommit: 0x20 } as const
const tagFlags = { sameUuid: 0x2, last: 0x8 } as const
const headerSize = 12
const uuidSize = 16

/** "Journal (jbd2)": the journal's super block; all of the journal is big-endian. */
function journalLayout(bytes: Uint8Array, blockSize: number): JournalLayout {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (
    view.getUint32(0) !== journalMagic ||
    !superblockTypes.includes(view.getUint32(4)) ||
    view.getUint32(12) !== blockSize
  ) {
    throw damaged('its journal has no valid super block')
  }
  // Version 1 has no feature fields.
  const features = view.getUint32(4) === 4 ? view.getUint32(featureOffset) : 0
  if ((features & incompatible.fastCommit) !== 0) {
    throw new GuestError('FILESYSTEM_UNSUPPORTED', 'The journal holds fast commits that were not applied.', {
      hint: 'Shut the guest down, so that its file system is clean, and take the image then.',
    })
  }
  const isVersion3 = (features & incompatible.checksum3) !== 0
  const isWide = (features & incompatible.wide) !== 0
  const plainSize = 8 + (isWide ? 4 : 0) + ((features & incompatible.checksum2) !== 0 ? 2 : 0)
  return { tagSize: isVersion3 ? 16 : plainSize, isVersion3, isWide }
}

/**
 * Adds the targets of a descriptor block. Old descriptors of finished transactions count too: a block too many only
 * costs its copy.
 */
function collectTargets(
  bytes: Uint8Array,
  { tagSize, isVersion3, isWide }: JournalLayout,
  blocksCount: number,
  targets: Set<number>,
): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.getUint32(0) !== journalMagic || view.getUint32(4) !== descriptorType) return
  for (let offset = headerSize; offset + tagSize <= bytes.length; ) {
    const flags = isVersion3 ? view.getUint32(offset + 4) : view.getUint16(offset + 6)
    const block = view.getUint32(offset) + (isWide ? view.getUint32(offset + 8) * 2 ** 32 : 0)
    if (block < blocksCount) targets.add(block)
    if ((flags & tagFlags.last) !== 0) return
    offset += tagSize + ((flags & tagFlags.sameUuid) !== 0 ? 0 : uuidSize)
  }
}

import type { AbortOptions } from '../../../core/abort.ts'
import type { ByteRanges } from '../../../disk/byte-ranges.ts'
import { directoryLayout } from './directory.ts'
import { isIndexBlock, updateBlockChecksum, zeroSlack } from './directory-block.ts'
import { inodeFlags } from './layout.ts'
import { scanMetadata } from './scan.ts'
import type { DirectoryOwner } from './scan-inodes.ts'
import type { Volume } from './volume.ts'
import { createWorkingFile, type WorkingFile } from './working-file.ts'

/** A working file with all metadata of a file system, and what the scan found on the way. */
export interface Materialised {
  readonly file: WorkingFile
  /** Allocated bytes that no file owns: see `scanMetadata`. */
  readonly unowned: ByteRanges
}

/**
 * Copies a file system's metadata to a sparse working file. On the way the names of removed files, which stay in the
 * gaps of directory blocks, are zeroed; the blocks where there were any are marked as changed.
 */
export async function materialise(
  volume: Volume,
  workFolder: string,
  options: AbortOptions,
): Promise<Materialised> {
  const { superblock } = volume
  const layout = directoryLayout(superblock)
  const file = await createWorkingFile({ folder: workFolder, ...superblock })
  try {
    const unowned = await scanMetadata(
      volume,
      {
        metadata: (block, bytes) => file.put(block, bytes),
        directory(block, bytes, owner) {
          if (mayHaveSlack(owner) && !(isIndexed(owner) && isIndexBlock(bytes, layout))) {
            if (zeroSlack(bytes, layout, owner.number)) {
              updateBlockChecksum(bytes, layout, owner)
              file.markChanged(block, 1)
            }
          }
          file.put(block, bytes)
        },
      },
      options,
    )
    return { file, unowned }
  } catch (error) {
    await file.discard()
    throw error
  }
}

/**
 * The first block of a hashed directory hides the root of its index behind `..`; an encrypted directory that folds
 * case keeps each name's hash behind it.
 */
function mayHaveSlack(owner: DirectoryOwner): boolean {
  const hashed = inodeFlags.encrypted | inodeFlags.caseFolded
  return !(owner.isFirst && isIndexed(owner)) && (owner.flags & hashed) !== hashed
}

function isIndexed({ flags }: DirectoryOwner): boolean {
  return (flags & inodeFlags.indexed) !== 0
}

import { type AbortOptions, throwIfCancelled } from '../../../core/abort.ts'
import { type ByteRanges, ByteRangesBuilder } from '../../../disk/byte-ranges.ts'
import type { Disk } from '../../../disk/disk.ts'
import { maskDisk } from '../../../disk/masked-disk.ts'
import { GuestError } from '../../errors.ts'
import type { Edit } from '../edit.ts'
import type { Filesystem } from '../filesystem.ts'
import { decodeName } from '../name-encoding.ts'
import { defaultMaximumBytes, refuseLargeFile } from '../refuse-large-file.ts'
import { addFreeRanges } from './bitmaps.ts'
import { commitEdits } from './commit-edits.ts'
import { damaged } from './damaged.ts'
import { completeEntries } from './directory.ts'
import { openFileContent, readFileContent, readLinkTarget } from './file-content.ts'
import { type Inode, isType, statOf } from './inode.ts'
import { needsReplay, replay } from './journal.ts'
import { modeTypes, stateFlags } from './layout.ts'
import { createPathResolver, type Location } from './path-resolver.ts'
import { readFreeBytes } from './superblock.ts'
import { openVolume } from './volume.ts'
import type { WorkingFile } from './working-file.ts'

export interface OpenExt4Options extends AbortOptions {
  /** A folder of the caller's for working files, which hold the metadata of the file system. */
  workFolder: string
}

/**
 * Opens an ext2, ext3 or ext4 file system, without root and without mounting it. Reading costs nothing but the reads; a
 * journal in use is replayed first, in a working file. The disk stays the caller's.
 * @param disk exactly the file system: a partition, or a whole disk without partitions
 * @throws GuestError `FILESYSTEM_UNSUPPORTED` | `FILESYSTEM_DAMAGED`
 * @throws CoreError `PROGRAM_MISSING` when e2fsprogs is needed and not installed
 */
export async function openExt4(disk: Disk, { workFolder, signal }: OpenExt4Options): Promise<Filesystem> {
  let volume = await openVolume(disk, { signal })
  if ((volume.superblock.state & stateFlags.error) !== 0) {
    throw damaged('the guest has marked it as having errors')
  }
  const files: WorkingFile[] = []
  let wasReplayed = false
  if (needsReplay(volume)) {
    const replayed = await replay(volume, workFolder, { signal })
    files.push(replayed.file)
    volume = replayed.volume
    wasReplayed = true
  }
  const { type, uuid, label } = volume.superblock
  let resolver = createPathResolver(volume)
  let edits: Edit[] = []
  /** Set once the state was checked, with the allocated bytes that no file owns. */
  let unowned: ByteRanges | null = null

  async function locate(path: string, follow: boolean, options: AbortOptions): Promise<Location> {
    throwIfCancelled(options.signal)
    const found = await resolver.locate(path, { ...options, follow })
    if (!found) throw new GuestError('GUEST_FILE_NOT_FOUND', `The image has no "${path}".`)
    return found
  }

  async function locateFile(path: string, options: AbortOptions): Promise<Inode> {
    const { inode } = await locate(path, true, options)
    if (isType(inode.mode, modeTypes.file)) return inode
    throw new GuestError('GUEST_NOT_A_FILE', `"${path}" is not a regular file.`)
  }

  async function commit(options: AbortOptions): Promise<void> {
    const wanted = edits
    edits = []
    const committed = await commitEdits({
      volume,
      resolver,
      edits: wanted,
      workFolder,
      wasReplayed,
      ...options,
    })
    files.push(committed.file)
    volume = committed.volume
    resolver = createPathResolver(volume)
    unowned = committed.unowned
    wasReplayed = false
  }

  return {
    type,
    uuid,
    label,

    async stat(path, { follow = false, ...options } = {}) {
      const found = await resolver.locate(path, { ...options, follow })
      return found ? statOf(found.inode) : null
    },

    async list(path, options = {}) {
      const { inode } = await locate(path, true, options)
      if (!isType(inode.mode, modeTypes.directory)) {
        throw new GuestError('GUEST_NOT_A_DIRECTORY', `"${path}" is not a directory.`)
      }
      const stored = await resolver.entries(inode, options)
      const entries = await completeEntries(volume, stored.values(), options)
      return entries.sort((a, b) => (a.name < b.name ? -1 : 1))
    },

    async read(path, { maximumBytes = defaultMaximumBytes, ...options } = {}) {
      const inode = await locateFile(path, options)
      refuseLargeFile(path, inode.size, maximumBytes)
      return await readFileContent(volume, inode, options)
    },

    open: async (path, options = {}) => openFileContent(volume, await locateFile(path, options), options),

    async readLink(path, options = {}) {
      const { inode } = await locate(path, false, options)
      if (!isType(inode.mode, modeTypes.symlink)) {
        throw new GuestError('GUEST_NOT_A_FILE', `"${path}" is not a symbolic link.`)
      }
      return decodeName(await readLinkTarget(volume, inode, options))
    },

    async resolve(path, options = {}) {
      return (await resolver.locate(path, { ...options, follow: true }))?.path ?? null
    },

    freeBytes: (options = {}) => readFreeBytes(volume, options),

    remove: (path) => void edits.push({ kind: 'remove', path }),
    truncate: (path) => void edits.push({ kind: 'truncate', path }),
    write: (path, content, attributes = {}) => void edits.push({ kind: 'write', path, content, attributes }),
    makeDirectory: (path, attributes = {}) => void edits.push({ kind: 'make-directory', path, attributes }),
    setMode: (path, mode) => void edits.push({ kind: 'set-mode', path, mode }),

    async commit(options = {}) {
      if (edits.length > 0 || unowned === null) await commit(options)
    },

    committed: () => volume.disk,

    async scrubbed(options = {}) {
      // Bitmaps are only believed after a check: what they call free is going to be zeros.
      if (unowned === null) await commit(options)
      const ranges = new ByteRangesBuilder()
      await addFreeRanges(volume, ranges, options)
      addRanges(ranges, unowned)
      const { blockSize, blocksCount } = volume.superblock
      ranges.add(blocksCount * blockSize, disk.size - blocksCount * blockSize)
      return maskDisk(volume.disk, ranges.build())
    },

    async close() {
      await Promise.all(files.splice(0).map((file) => file.discard()))
    },
  }
}

function addRanges(builder: ByteRangesBuilder, ranges: ByteRanges | null): void {
  if (!ranges) return
  for (let index = 0; index < ranges.count; index += 1) {
    const start = ranges.bounds[index * 2] ?? 0
    builder.add(start, (ranges.bounds[index * 2 + 1] ?? start) - start)
  }
}

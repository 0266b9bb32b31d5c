import { randomUUID } from 'node:crypto'
import { writeSync } from 'node:fs'
import { type FileHandle, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { throwIfCancelled } from '../../../core/abort.ts'
import { type ByteRanges, ByteRangesBuilder } from '../../../disk/byte-ranges.ts'
import type { Disk } from '../../../disk/disk.ts'

/**
 * A sparse file of the file system's size that holds its metadata and nothing else, at the same offsets, so that
 * e2fsprogs can work on it. What was not put there reads as zeros.
 */
export interface WorkingFile {
  readonly path: string
  /** Copies blocks in, from `block` on. */
  put(block: number, bytes: Uint8Array): void
  /** Declares that what stands in these blocks now replaces the disk's content. */
  markChanged(block: number, count: number): void
  /** Everything put here so far. */
  contents(): ByteRanges
  changed(): ByteRanges
  read(block: number): Promise<Uint8Array>
  /** The file itself: zeros where nothing was put. */
  readonly disk: Disk
  /** Closes and deletes the file. */
  discard(): Promise<void>
}

export interface WorkingFileOptions {
  folder: string
  blockSize: number
  blocksCount: number
}

export async function createWorkingFile(options: WorkingFileOptions): Promise<WorkingFile> {
  const { folder, blockSize, blocksCount } = options
  const path = join(folder, `metadata-${randomUUID()}.ext4`)
  // A name of our own that nobody can have prepared, readable by nobody else: it holds the guest's directory.
  const handle = await open(path, 'wx+', 0o600)
  const size = blocksCount * blockSize
  const contents = new ByteRangesBuilder()
  const changed = new ByteRangesBuilder()
  try {
    await handle.truncate(size)
  } catch (error) {
    await discard(handle, path)
    throw error
  }
  return {
    path,
    // Thousands of single blocks go to the page cache here; a promise for each would cost ten times the copy.
    put(block, bytes) {
      contents.add(block * blockSize, bytes.length)
      for (let done = 0; done < bytes.length; ) {
        done += writeSync(handle.fd, bytes, done, bytes.length - done, block * blockSize + done)
      }
    },
    markChanged: (block, count) => changed.add(block * blockSize, count * blockSize),
    contents: () => contents.build(),
    changed: () => changed.build(),
    async read(block) {
      const bytes = new Uint8Array(blockSize)
      await readFully(handle, bytes, block * blockSize)
      return bytes
    },
    disk: {
      size,
      async *extents() {
        yield { offset: 0, length: size, kind: 'data' }
      },
      async read(target, offset, { signal } = {}) {
        throwIfCancelled(signal)
        await readFully(handle, target, offset)
      },
      close: async () => undefined,
    },
    discard: () => discard(handle, path),
  }
}

async function readFully(handle: FileHandle, target: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < target.length; ) {
    const { bytesRead } = await handle.read(target, done, target.length - done, position + done)
    if (bytesRead === 0) throw new Error('The working file of a file system was cut short.')
    done += bytesRead
  }
}

async function discard(handle: FileHandle, path: string): Promise<void> {
  await handle.close()
  await rm(path, { force: true })
}

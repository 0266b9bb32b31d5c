import { type FileHandle, link, open, rename, unlink } from 'node:fs/promises'
import { systemErrorCode } from './errors.ts'

/** What link(2) answers where the file system has no hard links: FAT and exFAT, some network file systems. */
const noHardLinks = new Set(['EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK'])

/**
 * Gives a complete file its name, in one step. Without `overwrite` the name must be free: rename(2) would replace
 * silently, so a second hard link is made, which fails with EEXIST, and the temporary name goes.
 */
export async function publishFile(
  temporaryPath: string,
  path: string,
  { overwrite }: { overwrite: boolean },
): Promise<void> {
  if (overwrite) return rename(temporaryPath, path)
  try {
    await link(temporaryPath, path)
  } catch (error) {
    if (!noHardLinks.has(systemErrorCode(error) ?? '')) throw error
    return reserveAndRename(temporaryPath, path)
  }
  await unlink(temporaryPath)
}

/** Without hard links the name is taken by an empty file first; only who made it may rename over it. */
async function reserveAndRename(temporaryPath: string, path: string): Promise<void> {
  const reserved = await open(path, 'wx')
  await reserved.close()
  try {
    await rename(temporaryPath, path)
  } catch (error) {
    await unlink(path)
    throw error
  }
}

/** What a folder answers that cannot be flushed: one that may be written but not read, some network file systems. */
const cannotSync = new Set(['EACCES', 'EPERM', 'EINVAL', 'ENOTSUP', 'EISDIR'])

/** Makes a folder's new names survive a power failure, where the folder can be flushed at all. */
export async function syncFolder(path: string): Promise<void> {
  let folder: FileHandle | undefined
  try {
    folder = await open(path, 'r')
    await folder.sync()
  } catch (error) {
    if (!cannotSync.has(systemErrorCode(error) ?? '')) throw error
  } finally {
    await folder?.close()
  }
}

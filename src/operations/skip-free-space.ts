import type { AbortOptions } from '../core/abort.ts'
import { ImagewrightError, isCancellation } from '../core/errors.ts'
import type { Disk } from '../disk/disk.ts'
import { type DiskWindow, withWindows } from '../disk/overlay-disk.ts'
import type { Guest } from '../guest/guest.ts'
import { openGuest } from '../guest/open-guest.ts'
import type { JobContext } from '../jobs/job.ts'
import type { Environment } from './environment.ts'
import { openWorkFolder } from './work-folder.ts'

export interface DiskWithoutFreeSpace extends AsyncDisposable {
  readonly disk: Disk
  /** Whether any file system was understood, so that its free space is left out. */
  readonly leftOut: boolean
}

/**
 * A view of the disk in which the free space of every file system that is understood reads as zeros, so that nobody
 * reads it. What is not understood, and everything outside file systems, stays as it is. The disk itself is only read.
 */
export async function skipFreeSpace(
  environment: Environment,
  context: JobContext,
  disk: Disk,
): Promise<DiskWithoutFreeSpace> {
  const { signal } = context
  const work = await openWorkFolder(environment, context)
  let guest: Guest | undefined
  const dispose = async (): Promise<void> => {
    await guest?.close()
    await work[Symbol.asyncDispose]()
  }
  try {
    guest = await openGuest(disk, { workFolder: work.path, signal })
    const windows = await usedSpace(guest, { signal })
    const leftOut = windows.length > 0
    return { disk: leftOut ? withWindows(disk, windows) : disk, leftOut, [Symbol.asyncDispose]: dispose }
  } catch (error) {
    await dispose()
    if (isCancellation(error) || !(error instanceof ImagewrightError) || !isAboutGuest(error)) throw error
    return { disk, leftOut: false, [Symbol.asyncDispose]: async () => undefined }
  }
}

async function usedSpace(guest: Guest, options: AbortOptions): Promise<DiskWindow[]> {
  // With a table that lies nobody knows which bytes are whose.
  if (guest.partitionTable.problems.some(({ severity }) => severity === 'error')) return []
  const windows: DiskWindow[] = []
  for (const { filesystem, offset } of guest.volumes) {
    if (!filesystem) continue
    try {
      windows.push({ offset, disk: await filesystem.scrubbed(options) })
    } catch (error) {
      // Damaged or of an unknown kind: carried over byte for byte.
      if (!(error instanceof ImagewrightError) || !isAboutGuest(error)) throw error
    }
  }
  return windows
}

/** Whether the error says that the guest is not understood; a read that failed is another matter. */
function isAboutGuest({ code }: ImagewrightError): boolean {
  return /^(FILESYSTEM|GUEST|PARTITION|PROGRAM)_/.test(code)
}

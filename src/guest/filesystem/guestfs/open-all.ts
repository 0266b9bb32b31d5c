import type { AbortOptions } from '../../../core/abort.ts'
import type { Disk } from '../../../disk/disk.ts'
import { GuestError } from '../../errors.ts'
import type { Filesystem } from '../filesystem.ts'
import type { FilesystemProbe } from '../probe-filesystem.ts'
import { type Appliance, startAppliance } from './appliance.ts'
import { isGuestfsType } from './kinds.ts'
import { openGuestfs } from './open-guestfs.ts'
import { createScratchDisk, type ScratchDisk } from './scratch-disk.ts'
import { type ServedDisk, serveDisk } from './serve-disk.ts'

export interface FilesystemToOpen {
  readonly disk: Disk
  readonly probe: FilesystemProbe
}

export interface OpenedInAppliance {
  /** In the order of what was asked for: the file system, or why it cannot be opened. */
  readonly results: readonly { filesystem: Filesystem | null; openError: GuestError | null }[]
  /** Stops the virtual machine; the scratch files go with the file systems. */
  close(): Promise<void>
}

/** Virtual disks are named by one letter here; a guest with more file systems is not met. */
const maximumDisks = 24

/** Opens file systems in one appliance, which is started for them. That it cannot be started is an error of each of them. */
export async function openInAppliance(
  wanted: readonly FilesystemToOpen[],
  { workFolder, signal }: AbortOptions & { workFolder: string },
): Promise<OpenedInAppliance> {
  const scratches: ScratchDisk[] = []
  const served: ServedDisk[] = []
  let appliance: Appliance | null = null

  async function close(): Promise<void> {
    await appliance?.close()
    await Promise.all(served.splice(0).map((disk) => disk.close()))
  }

  try {
    if (wanted.length > maximumDisks)
      throw new GuestError('FILESYSTEM_UNSUPPORTED', 'The guest has too many file systems.')
    for (const { disk } of wanted) {
      const scratch = await createScratchDisk(disk, workFolder)
      scratches.push(scratch)
      served.push(await serveDisk(scratch))
    }
    appliance = await startAppliance({ sockets: served.map(({ socket }) => socket), workFolder, signal })
    const results = []
    for (const [index, { disk, probe }] of wanted.entries()) {
      results.push(await openOne(appliance, index, { disk, probe }))
    }
    return { results, close }
  } catch (error) {
    await close()
    await Promise.all(scratches.map((scratch) => scratch.discard()))
    if (!isAboutGuest(error)) throw error
    return {
      results: wanted.map(() => ({ filesystem: null, openError: error })),
      close: async () => undefined,
    }
  }

  async function openOne(
    running: Appliance,
    index: number,
    { disk, probe }: FilesystemToOpen,
  ): Promise<OpenedInAppliance['results'][number]> {
    const [scratch, server] = [scratches[index], served[index]]
    if (!scratch || !server || !isGuestfsType(probe.type))
      throw new Error(`libguestfs is not asked for ${probe.type}.`)
    try {
      const filesystem = await openGuestfs({
        appliance: running,
        device: `/dev/sd${String.fromCharCode('a'.charCodeAt(0) + index)}`,
        scratch,
        disk,
        probe,
        type: probe.type,
        workFolder,
        diskFailure: server.failure,
        signal,
      })
      return { filesystem, openError: null }
    } catch (error) {
      if (!(error instanceof GuestError) || !error.code.startsWith('FILESYSTEM_')) throw error
      await scratch.discard()
      return { filesystem: null, openError: error }
    }
  }
}

function isAboutGuest(error: unknown): error is GuestError {
  return error instanceof GuestError && /^(FILESYSTEM|LIBGUESTFS)_/.test(error.code)
}

import { type AbortOptions, throwIfCancelled } from '../../core/abort.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { composeDisk } from '../composed-disk.ts'
import type { Disk } from '../disk.ts'
import { DiskError } from '../errors.ts'
import type { DiskWindow } from '../overlay-disk.ts'
import { checkDescriptor } from './descriptor-policy.ts'
import type { VmdkDescriptor, VmdkExtent } from './parse-descriptor.ts'
import { readEmbeddedDescriptor, readTextDescriptor } from './read-descriptor.ts'
import { openSparseExtent } from './sparse-extent.ts'
import { isSparseExtent, readVmdkHeader } from './vmdk-header.ts'

/**
 * Opens the file of an extent that a descriptor names. The name comes from the image and is untrusted; what it may
 * reach is this function's decision (see `allowExtentsWithin`).
 */
export type OpenExtent = (extent: VmdkExtent & { fileName: string }) => Promise<Disk>

export interface OpenVmdkOptions extends AbortOptions {
  /** Asked for the extents when they are files of their own; without it such an image is refused. */
  openExtent?: OpenExtent
}

/**
 * The disk of a VMDK: monolithicSparse, streamOptimized (versions 1 to 3, with a footer or with its tables in front), and with
 * `openExtent` monolithicFlat, twoGbMaxExtentFlat and twoGbMaxExtentSparse. Memory is that of `openSparseExtent`, for
 * each extent. Takes the source over: it is closed with the disk; when this throws, closing it stays with the caller.
 *
 * @throws DiskError of `readVmdkHeader`, `readEmbeddedDescriptor`, `checkDescriptor`, `openSparseExtent`
 */
export async function openVmdk(source: RandomAccessSource, options: OpenVmdkOptions = {}): Promise<Disk> {
  const { openExtent, signal } = options
  if (await isSparseExtent(source, { signal })) {
    const header = await readVmdkHeader(source, { signal })
    const descriptor = await readEmbeddedDescriptor(source, header, { signal })
    checkDescriptor(descriptor, { name: source.name, header, allowOtherFiles: false })
    return openSparseExtent(source, header, { signal })
  }
  const descriptor = await readTextDescriptor(source, { signal })
  checkDescriptor(descriptor, { name: source.name, header: null, allowOtherFiles: openExtent !== undefined })
  if (!openExtent) throw new Error('A disk in other files was let through')
  const windows = await openExtents(descriptor, { openExtent, name: source.name, signal })
  return {
    ...composeDisk(descriptor.size, windows),
    async close() {
      await closeAll([...windows.map(({ disk }) => disk), source])
    },
  }
}

async function openExtents(
  { extents }: VmdkDescriptor,
  { openExtent, name, signal }: AbortOptions & { openExtent: OpenExtent; name: string },
): Promise<DiskWindow[]> {
  const windows: DiskWindow[] = []
  try {
    let offset = 0
    for (const extent of extents) {
      throwIfCancelled(signal)
      const { fileName, size } = extent
      if (fileName !== null) {
        const disk = await openExtent({ ...extent, fileName })
        windows.push({ offset, disk })
        if (disk.size !== size) {
          throw new DiskError(
            'IMAGE_SIZE_AMBIGUOUS',
            `${name}: the extent ${JSON.stringify(fileName)} has ${disk.size} bytes, not ${size}.`,
          )
        }
      }
      offset += size
    }
    return windows
  } catch (error) {
    await closeAll(windows.map(({ disk }) => disk))
    throw error
  }
}

async function closeAll(things: readonly { close(): Promise<void> }[]): Promise<void> {
  const closing = await Promise.allSettled(things.map((thing) => thing.close()))
  const failed = closing.find((outcome) => outcome.status === 'rejected')
  if (failed) throw failed.reason
}

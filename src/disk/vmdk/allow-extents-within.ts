import type { AbortOptions } from '../../core/abort.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { openFileSource } from '../../transfer/file-source.ts'
import { confinedPath } from '../confined-path.ts'
import type { Disk } from '../disk.ts'
import { DiskError } from '../errors.ts'
import { openRaw } from '../raw/raw-reader.ts'
import { assertAccepted } from '../safety/assert-accepted.ts'
import { checkVmdkExtent } from '../safety/check-vmdk.ts'
import { windowDisk } from '../window-disk.ts'
import type { VmdkExtent } from './parse-descriptor.ts'
import { openSparseExtent } from './sparse-extent.ts'
import { readVmdkHeader } from './vmdk-header.ts'
import type { OpenExtent } from './vmdk-reader.ts'

/**
 * An `openExtent` that follows the names of extents only inside one folder, to plain files. A sparse extent is checked as an
 * image of a stranger first.
 *
 * The function given throws DiskError `IMAGE_UNSAFE_NAME`, `IMAGE_TRUNCATED` for a flat extent that is too short, and
 * what opening and checking a file throws.
 */
export function allowExtentsWithin(folder: string, options: AbortOptions = {}): OpenExtent {
  return async (extent) => {
    const source = await openFileSource(await confinedPath(folder, extent.fileName), options)
    try {
      return await (extent.type === 'FLAT' ? openFlat(source, extent) : openSparse(source, options))
    } catch (error) {
      await source.close()
      throw error
    }
  }
}

async function openFlat(source: RandomAccessSource, { offset, size }: VmdkExtent): Promise<Disk> {
  if (offset + size > source.size) {
    throw new DiskError(
      'IMAGE_TRUNCATED',
      `${source.name} has ${source.size} bytes, and its descriptor says that ${size} from ${offset} on are the disk’s.`,
    )
  }
  const file = await openRaw(source)
  return { ...windowDisk(file, offset, size), close: () => file.close() }
}

async function openSparse(source: RandomAccessSource, options: AbortOptions): Promise<Disk> {
  assertAccepted(await checkVmdkExtent(source, options), source.name)
  return openSparseExtent(source, await readVmdkHeader(source, options), options)
}

import type { AbortOptions } from '../../core/abort.ts'
import { openFileSource } from '../../transfer/file-source.ts'
import { confinedPath } from '../confined-path.ts'
import type { OpenDataFile } from './qcow2-policy.ts'

/**
 * An `openDataFile` that follows the name of an external data file only inside one folder.
 *
 * The function given throws DiskError `IMAGE_UNSAFE_NAME`, and what opening a file throws.
 */
export function allowDataFileWithin(folder: string, { signal }: AbortOptions = {}): OpenDataFile {
  return async (name) => openFileSource(await confinedPath(folder, name), { signal })
}

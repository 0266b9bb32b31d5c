import type { AbortOptions } from '../../core/abort.ts'
import { openFileSource } from '../../transfer/file-source.ts'
import { confinedPath } from '../confined-path.ts'
import type { Disk } from '../disk.ts'
import { DiskError } from '../errors.ts'
import { openRaw } from '../raw/raw-reader.ts'
import { assertAccepted } from '../safety/assert-accepted.ts'
import { checkImage } from '../safety/check-image.ts'
import { allowDataFileWithin } from './allow-data-file-within.ts'
import type { OpenBacking } from './qcow2-policy.ts'
import { openQcow2 } from './qcow2-reader.ts'

/** Backing files below one image. */
const maximumDepth = 16

/**
 * An `openBacking` that follows a backing chain only inside one folder: plain file names, an explicit format, every
 * file checked as an image of a stranger. An external data file of one of them is followed in the same way.
 *
 * The function given throws DiskError `IMAGE_UNSAFE_NAME`, `IMAGE_BACKING_FILE` (no format, or an unknown one),
 * `IMAGE_CHAIN_TOO_DEEP` for a loop or more than 16 files, and what opening and checking a file throws.
 */
export function allowBackingWithin(folder: string, options: AbortOptions = {}): OpenBacking {
  return chain(folder, new Set(), options)
}

function chain(folder: string, above: ReadonlySet<string>, { signal }: AbortOptions): OpenBacking {
  return async (name, format): Promise<Disk> => {
    const path = await confinedPath(folder, name)
    const shown = JSON.stringify(name)
    if (format !== 'raw' && format !== 'qcow2') {
      const problem = format === null ? 'names no format for it' : 'names an unknown format for it'
      throw new DiskError('IMAGE_BACKING_FILE', `The image has the backing file ${shown} but ${problem}.`, {
        hint: `Write the format into the image: qemu-img rebase -u -b ${shown} -F FORMAT, FORMAT being raw or qcow2.`,
      })
    }
    if (above.has(path) || above.size >= maximumDepth) {
      throw new DiskError(
        'IMAGE_CHAIN_TOO_DEEP',
        above.has(path)
          ? `The chain of backing files comes back to ${shown}.`
          : `There are more than ${maximumDepth} backing files below one another.`,
      )
    }
    const source = await openFileSource(path, { signal })
    try {
      assertAccepted(await checkImage(source, { format, allowOtherFiles: true, signal }), source.name)
      if (format === 'raw') return await openRaw(source)
      const openBacking = chain(folder, new Set([...above, path]), { signal })
      const openDataFile = allowDataFileWithin(folder, { signal })
      return await openQcow2(source, { openBacking, openDataFile, signal })
    } catch (error) {
      await source.close()
      throw error
    }
  }
}

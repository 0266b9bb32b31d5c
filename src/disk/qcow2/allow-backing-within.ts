import { realpath } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { AbortOptions } from '../../core/abort.ts'
import { openFileSource } from '../../transfer/file-source.ts'
import type { Disk } from '../disk.ts'
import { DiskError } from '../errors.ts'
import { openRaw } from '../raw/raw-reader.ts'
import { assertAccepted } from '../safety/assert-accepted.ts'
import { checkImage } from '../safety/check-image.ts'
import type { OpenBacking } from './qcow2-policy.ts'
import { openQcow2 } from './qcow2-reader.ts'

/** Backing files below one image. */
const maximumDepth = 16

/**
 * An `openBacking` that follows a backing chain only inside one folder: plain file names, an explicit format, every
 * file checked as an image of a stranger. A name in an image is an attacker's way to the host's files (CVE-2011-3147,
 * CVE-2024-4467), hence no folders, no schemes such as `json:` or `nbd:`, and no symbolic link that leads elsewhere.
 *
 * The function given throws DiskError `IMAGE_UNSAFE_NAME`, `IMAGE_BACKING_FILE` (no format, or an unknown one),
 * `IMAGE_CHAIN_TOO_DEEP` for a loop or more than 16 files, and what opening and checking a file throws.
 */
export function allowBackingWithin(folder: string, options: AbortOptions = {}): OpenBacking {
  return chain(folder, new Set(), options)
}

function chain(folder: string, above: ReadonlySet<string>, { signal }: AbortOptions): OpenBacking {
  return async (name, format): Promise<Disk> => {
    const path = await confine(folder, name)
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
      assertAccepted(await checkImage(source, { format, allowBacking: true, signal }), source.name)
      if (format === 'raw') return await openRaw(source)
      const openBacking = chain(folder, new Set([...above, path]), { signal })
      return await openQcow2(source, { openBacking, signal })
    } catch (error) {
      await source.close()
      throw error
    }
  }
}

/** The real path of a file that lies directly in the folder, whatever links are on the way. */
async function confine(folder: string, name: string): Promise<string> {
  const plain = name.startsWith('./') ? name.slice(2) : name
  const safe = plain !== '' && plain !== '.' && plain !== '..' && !/[/\\:\0]/.test(plain)
  const root = await realpath(folder)
  // A file that is not there is reported by whoever opens it.
  const path = safe ? await realpath(join(root, plain)).catch(() => join(root, plain)) : null
  if (path !== null && dirname(path) === root) return path
  throw new DiskError(
    'IMAGE_UNSAFE_NAME',
    `The image names the backing file ${JSON.stringify(name)}, which is not a plain name in its own folder.`,
    { hint: 'Put both files into one folder and rebase the image to the plain name: qemu-img rebase -u.' },
  )
}

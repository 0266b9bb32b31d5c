import { realpath, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { DiskError } from './errors.ts'

/**
 * The real path of a regular file an image names, when it lies directly in the folder. A name in an image is an attacker's way
 * to the host's files (CVE-2011-3147, CVE-2024-32498, CVE-2024-4467), hence no folders, no schemes such as `json:` or
 * `nbd:`, no symbolic link that leads elsewhere, and no device.
 * @throws DiskError `IMAGE_UNSAFE_NAME`
 */
export async function confinedPath(folder: string, name: string): Promise<string> {
  const plain = name.startsWith('./') ? name.slice(2) : name
  const safe = plain !== '' && plain !== '.' && plain !== '..' && !/[/\\:\0]/.test(plain)
  const root = await realpath(folder)
  // A file that is not there is reported by whoever opens it.
  const path = safe ? await realpath(join(root, plain)).catch(() => join(root, plain)) : null
  if (path !== null && dirname(path) === root) {
    const found = await stat(path).catch(() => null)
    if (found === null || found.isFile()) return path
  }
  throw new DiskError(
    'IMAGE_UNSAFE_NAME',
    `The image names the file ${JSON.stringify(name)}, which is not the plain name of a file in its own folder.`,
    {
      hint: 'Put all files of the image into one folder and let it name them without one: for a qcow2, qemu-img rebase -u.',
    },
  )
}

import type { AbortOptions } from '../../core/abort.ts'
import { MiB } from '../../core/bytes.ts'
import type { Disk } from '../../disk/disk.ts'
import { fileDigest } from '../file-digest.ts'
import type { GuestTree } from '../guest-tree.ts'
import type { PublicFinding } from './finding.ts'

/**
 * Whether a path is one where keys are examples, known to everybody: documentation, tests, and the certificate that the
 * package ssl-cert signs for itself. On guests of which the package database cannot be compared, the system's own
 * directories too.
 */
export function publicPlace(path: string, comparesPackages: boolean): PublicFinding['reason'] | null {
  if (path === '/etc/ssl/private/ssl-cert-snakeoil.key') return 'snakeoil'
  if (documentation.test(path) || (programTrees.test(path) && examples.test(path))) return 'documentation'
  return !comparesPackages && systemTrees.test(path) ? 'package' : null
}

const documentation = /^\/usr\/(local\/)?share\/(doc|doc-base|man|info|help|gtk-doc)\//
const programTrees = /^\/usr\/|^\/lib|\/(site-packages|dist-packages|node_modules|gems|pkg\/mod|vendor)\//
const examples =
  /\/(?:[^/]*[._-])?(?:tests?|testing|testdata|examples?|samples?|fixtures|specs?|docs?)(?:[._-][^/]*)?\/|_test\.[a-z]+$|\/test_[^/]*$/i
const systemTrees =
  /^\/usr\/(bin|sbin|lib|lib32|lib64|libx32|libexec|include|share|src)\/|^\/(bin|sbin|lib|lib32|lib64)\//

/** Whether the guest has a database of packages with digests of their files. */
export async function hasPackageDigests(tree: GuestTree, options: AbortOptions): Promise<boolean> {
  return (await tree.stat('/var/lib/dpkg/status', options)) !== null
}

/**
 * Which of these files are exactly as their Debian package ships them: what is in it is known to everybody. Reads the
 * lists of digests of all packages, one at a time.
 * @param open gives the content of a path
 */
export async function findPackageFiles(
  tree: GuestTree,
  paths: ReadonlySet<string>,
  { open, ...options }: AbortOptions & { open: (path: string) => Promise<Disk | null> },
): Promise<Set<string>> {
  const digests = await readDigests(tree, new Set([...paths].map(shippedPath)), options)
  const unchanged = new Set<string>()
  for (const path of paths) {
    const known = digests.get(shippedPath(path))
    const disk = known ? await open(shippedPath(path)) : null
    if (disk && known?.has(await fileDigest(disk, 'md5', options))) unchanged.add(path)
  }
  return unchanged
}

/** What a package installs compiles itself on the machine: a module of Python is as public as its source. */
function shippedPath(path: string): string {
  return path.replace(/\/__pycache__\/([^/]+)\.cpython-\d+(?:\.opt-\d)?\.pyc$/, '/$1.py')
}

/** Digests by path, from the lists of contents and from the configuration files of the status file: deb-md5sums(5). */
async function readDigests(
  tree: GuestTree,
  paths: ReadonlySet<string>,
  options: AbortOptions,
): Promise<Map<string, Set<string>>> {
  const found = new Map<string, Set<string>>()
  const note = (path: string, digest: string): void => {
    for (const name of [path, `/usr${path}`]) {
      // With merged directories /lib/x of a package is /usr/lib/x of the guest.
      if (paths.has(name)) found.set(name, (found.get(name) ?? new Set()).add(digest))
    }
  }
  const folder = '/var/lib/dpkg/info'
  for (const { name, kind } of await tree.list(folder, options)) {
    if (kind !== 'file' || !name.endsWith('.md5sums')) continue
    for (const [, digest = '', path = ''] of (await textOf(tree, `${folder}/${name}`, options)).matchAll(
      /^([0-9a-f]{32}) {2}(.+)$/gm,
    ))
      note(`/${path}`, digest)
  }
  const status = await textOf(tree, '/var/lib/dpkg/status', options)
  for (const [, path = '', digest = ''] of status.matchAll(/^ (\/\S+) ([0-9a-f]{32})(?: obsolete)?$/gm))
    note(path, digest)
  return found
}

async function textOf(tree: GuestTree, path: string, options: AbortOptions): Promise<string> {
  const content = await tree.read(path, { ...options, maximumBytes: 64 * MiB })
  return content === null ? '' : Buffer.from(content).toString('utf8')
}

import type { AbortOptions } from '../../core/abort.ts'
import type { GuestTree } from '../guest-tree.ts'

export interface GuestPackages {
  readonly manager: 'dpkg' | 'rpm' | 'pacman' | 'apk' | null
  /** Installed packages; `null` when the database is in a form that is not read. */
  readonly count: number | null
}

const rpmDatabases = ['/var/lib/rpm', '/usr/lib/sysimage/rpm'].flatMap((folder) =>
  ['rpmdb.sqlite', 'Packages', 'Packages.db'].map((file) => `${folder}/${file}`),
)

/** A package database of a full desktop has about 10 MiB. */
const maximumDatabase = 128 * 1024 * 1024

export async function readPackages(tree: GuestTree, options: AbortOptions = {}): Promise<GuestPackages> {
  const dpkg = await readDatabase(tree, '/var/lib/dpkg/status', options)
  if (dpkg !== null)
    return { manager: 'dpkg', count: dpkg.match(/^Status: \S+ \S+ installed$/gm)?.length ?? 0 }
  const apk = (await readDatabase(tree, '/lib/apk/db/installed', options)) ?? ''
  if (apk !== '') return { manager: 'apk', count: apk.match(/^P:/gm)?.length ?? 0 }
  const pacman = await tree.list('/var/lib/pacman/local', options)
  if (pacman.length > 0) {
    return { manager: 'pacman', count: pacman.filter((entry) => entry.kind === 'directory').length }
  }
  for (const path of rpmDatabases) {
    if ((await tree.stat(path, { ...options, follow: true })) !== null) return { manager: 'rpm', count: null }
  }
  return { manager: null, count: null }
}

async function readDatabase(tree: GuestTree, path: string, options: AbortOptions): Promise<string | null> {
  const stat = await tree.stat(path, { ...options, follow: true })
  if (stat?.kind !== 'file' || stat.size > maximumDatabase) return null
  const content = await tree.read(path, { ...options, maximumBytes: maximumDatabase })
  return content && Buffer.from(content).toString('latin1')
}

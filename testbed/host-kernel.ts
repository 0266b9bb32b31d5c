import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

export interface HostKernel {
  readonly version: string
  readonly image: string
}

/** The machine's newest Debian kernel, used to boot the tiny guest. @throws Error when none is installed */
export async function findHostKernel(): Promise<HostKernel> {
  const prefix = 'vmlinuz-'
  const names = (await readdir('/boot')).filter((name) => name.startsWith(prefix))
  // The cloud flavour first: it is the smallest and has every virtio driver.
  const rank = (name: string) => `${name.includes('cloud') ? 1 : 0}${name}`
  const newest = names.sort((a, b) => rank(a).localeCompare(rank(b), 'en', { numeric: true })).at(-1)
  if (!newest) throw new Error('No kernel in /boot: apt-get install linux-image-cloud-amd64')
  return { version: newest.slice(prefix.length), image: join('/boot', newest) }
}

/** The machine's newest Debian kernel for all machines: those for clouds lack rare file systems. @throws Error when none is installed */
export async function findFullKernel(): Promise<HostKernel> {
  const versions = (await readdir('/lib/modules')).filter((name) => /^\d.*-\d+-[a-z0-9]+$/.test(name))
  const newest = versions.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).at(-1)
  if (!newest) throw new Error('No such kernel in /lib/modules: apt-get install linux-image-amd64')
  return { version: newest, image: join('/boot', `vmlinuz-${newest}`) }
}

/**
 * Paths of these modules and everything they depend on, in the order in which they load. Names that the kernel has
 * built in, or does not have, are left out.
 */
export async function findModules(kernel: HostKernel, names: readonly string[]): Promise<string[]> {
  const folder = join('/lib/modules', kernel.version)
  const lines = (await readFile(join(folder, 'modules.dep'), 'utf8')).split('\n')
  const dependencies = new Map<string, string[]>()
  const pathOf = new Map<string, string>()
  for (const line of lines) {
    const [path, needs] = line.split(':')
    if (!path || needs === undefined) continue
    dependencies.set(path, needs.trim().split(' ').filter(Boolean))
    pathOf.set(moduleName(path), path)
  }
  const ordered = new Set<string>()
  const add = (path: string) => {
    // modules.dep lists a module's needs in full, the one to load last first.
    for (const need of [...(dependencies.get(path) ?? [])].reverse()) ordered.add(need)
    ordered.add(path)
  }
  for (const name of names) {
    const path = pathOf.get(name)
    if (path) add(path)
  }
  return [...ordered].map((path) => join(folder, path))
}

function moduleName(path: string): string {
  const base = path.slice(path.lastIndexOf('/') + 1)
  return base.slice(0, base.indexOf('.ko')).replaceAll('-', '_')
}

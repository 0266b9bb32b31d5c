import type { AbortOptions } from '../../../core/abort.ts'
import { joinPath } from '../../guest-path.ts'
import type { Appliance } from './appliance.ts'
import { command } from './command.ts'
import type { MountedTree } from './mounted-tree.ts'
import type { GuestfsStat } from './stat-output.ts'

export interface FindLockedOptions extends AbortOptions {
  appliance: Appliance
  tree: MountedTree
  mountPoint: string
  /** Paths without links; `all` asks for everything below them too. */
  touched: ReadonlyMap<string, 'itself' | 'all'>
}

/** Commands around those that change files which even root may not change. */
export interface LockCommands {
  readonly unlock: readonly string[]
  /** For the files that are left. */
  readonly lock: readonly { readonly path: string; readonly command: string }[]
}

/** Asked for at once: a page of output. */
const batchSize = 500

/**
 * Finds what is immutable or append-only (chattr(1), `i` and `a`) among the touched files: the kernel lets nobody remove or
 * write those, and their directories. Asked only after something was refused, for every question costs a process.
 */
export async function findLockedFiles(options: FindLockedOptions): Promise<LockCommands> {
  const { appliance, tree, mountPoint, touched, signal } = options
  const [unlock, lock]: [string[], { path: string; command: string }[]] = [[], []]
  let batch: string[] = []

  async function ask(): Promise<void> {
    const paths = batch
    batch = []
    const output = await appliance.run(paths.map((path) => command('get-e2attrs', inAppliance(path))))
    const answers = output.split('\n')
    for (const [index, path] of paths.entries()) {
      const flags = answers[index]?.replace(/[^ia]/g, '')
      if (!flags) continue
      unlock.push(`${command('set-e2attrs', inAppliance(path), flags)} clear:true`)
      lock.push({ path, command: command('set-e2attrs', inAppliance(path), flags) })
    }
  }

  async function look(path: string, stat: GuestfsStat, depth: 'itself' | 'all'): Promise<void> {
    // Others have no flags, or are links, which would be followed.
    if (stat.kind !== 'file' && stat.kind !== 'directory') return
    batch.push(path)
    if (batch.length === batchSize) await ask()
    if (stat.kind !== 'directory' || depth === 'itself') return
    for (const [name, inside] of await tree.entries(path, { signal })) {
      await look(joinPath(path, name), inside, depth)
    }
  }

  const inAppliance = (path: string): string => (path === '/' ? mountPoint : `${mountPoint}${path}`)
  for (const [path, depth] of touched) {
    const found = await tree.locate(path, { follow: false, signal })
    if (found) await look(path, found.stat, depth)
  }
  await ask()
  return { unlock, lock }
}

import { type AbortOptions, throwIfCancelled } from '../../core/abort.ts'
import { isWithin } from '../guest-path.ts'
import type { GuestTree } from '../guest-tree.ts'
import type { GuestHome } from '../inspect/accounts.ts'
import { matchPattern } from './match-pattern.ts'
import { parseGlob } from './pattern.ts'

/** Logs outside `/var/log`, without links. */
export interface ConfiguredLogs {
  readonly current: readonly string[]
  /** Older ones beside them, numbered or dated. */
  readonly rotated: readonly string[]
}

/**
 * The logs that configurations of the guest name: those of logrotate(8), and what cloud-init writes its output to. A guest
 * can name anything, so the system's own directories never count, nor does what is no regular file.
 */
export async function findConfiguredLogs(
  tree: GuestTree,
  { homes, signal }: AbortOptions & { homes: readonly GuestHome[] },
): Promise<ConfiguredLogs> {
  const globs = [...(await logrotateGlobs(tree, { signal })), ...(await cloudInitLogs(tree, { signal }))]
  const context = { tree, anchors: new Map<string, readonly string[]>(), homes, signal }
  const find = async (glob: string): Promise<string[]> => {
    throwIfCancelled(signal)
    const pattern = parseGlob(glob)
    const found: string[] = []
    if (!pattern) return found
    for await (const { path, kind, forbidden } of matchPattern(pattern, context)) {
      if (kind === 'file' && forbidden === null && mayBeLog(path)) found.push(path)
    }
    return found
  }
  const current = new Set<string>()
  const rotated = new Set<string>()
  for (const glob of [...new Set(globs)].filter(mayBeLog).slice(0, maximumGlobs)) {
    for (const path of await find(glob)) current.add(path)
    for (const suffix of ['.[0-9]*', '-[0-9][0-9][0-9][0-9][0-9]*']) {
      for (const path of await find(`${glob}${suffix}`)) rotated.add(path)
    }
  }
  return { current: [...current].filter((path) => !rotated.has(path)), rotated: [...rotated] }
}

/** Far more than any guest has, and few enough for one that wants to keep us busy. */
const maximumGlobs = 500
const maximumBytes = 256 * 1024

const systemDirectories =
  '/bin /boot /dev /etc /lib /lib32 /lib64 /proc /run /sbin /sys /usr /var/log /var/lib/dpkg /var/lib/rpm'.split(
    ' ',
  )

function mayBeLog(path: string): boolean {
  const depth = path.split('/').length
  return depth > 2 && !systemDirectories.some((directory) => isWithin(path, directory))
}

/** The paths in front of each `{ ... }` of logrotate.conf(5) and its directory. */
async function logrotateGlobs(tree: GuestTree, options: AbortOptions): Promise<string[]> {
  const files = ['/etc/logrotate.conf']
  for (const { name } of await tree.list('/etc/logrotate.d', options)) files.push(`/etc/logrotate.d/${name}`)
  const globs: string[] = []
  for (const file of files) {
    let inside = false
    for (const line of (await readSmall(tree, file, options)).split('\n')) {
      const text = line.trim()
      if (!inside && /^["'/]/.test(text)) globs.push(...wordsOf(text))
      if (text.endsWith('{')) inside = true
      if (text.startsWith('}')) inside = false
    }
  }
  return globs
}

/** Paths in quotes may have blanks. */
function wordsOf(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|'([^']*)'|([^\s{"']+)/g)]
    .map(([, double, single, plain]) => double ?? single ?? plain ?? '')
    .filter((word) => word.startsWith('/'))
}

/** `output: {all: '| tee -a /var/log/x'}` and `def_log_file`, in cloud.cfg and the files beside it. */
async function cloudInitLogs(tree: GuestTree, options: AbortOptions): Promise<string[]> {
  const files = ['/etc/cloud/cloud.cfg']
  for (const { name } of await tree.list('/etc/cloud/cloud.cfg.d', options)) {
    if (name.endsWith('.cfg')) files.push(`/etc/cloud/cloud.cfg.d/${name}`)
  }
  const logs: string[] = []
  for (const file of files) {
    const text = await readSmall(tree, file, options)
    for (const [, path = ''] of text.matchAll(/^\s*def_log_file:\s*["']?(\/[^\s"'#]+)/gm)) logs.push(path)
    for (const [, path = ''] of text.matchAll(/(?:tee\s+(?:-a\s+)?|>>?\s*)(\/[^\s"'#{}]+)/g)) logs.push(path)
  }
  return logs
}

async function readSmall(tree: GuestTree, path: string, options: AbortOptions): Promise<string> {
  const stat = await tree.stat(path, { ...options, follow: true })
  if (stat?.kind !== 'file' || stat.size > maximumBytes) return ''
  return Buffer.from((await tree.read(path, options)) ?? new Uint8Array()).toString('utf8')
}

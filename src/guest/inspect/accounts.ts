import type { AbortOptions } from '../../core/abort.ts'
import { normalisePath } from '../guest-path.ts'
import type { GuestTree } from '../guest-tree.ts'

/** An account of the guest's `/etc/passwd`. */
export interface GuestAccount {
  readonly name: string
  readonly uid: number
  readonly gid: number
  readonly home: string
  readonly shell: string
}

/** A directory in which somebody's private things lie. */
export interface GuestHome {
  /** Without links. */
  readonly path: string
  /** False for the directory of a service, such as `/var/lib/postgresql`. */
  readonly person: boolean
}

/** passwd(5); a line that is not a record is passed over, as the guest's own programs do. */
export function parsePasswd(text: string): GuestAccount[] {
  return text.split('\n').flatMap((line) => {
    const fields = line.replace(/\r$/, '').split(':')
    const [name, , uid, gid, , home, shell] = fields
    if (!name || fields.length !== 7 || home === undefined || shell === undefined) return []
    if (!/^\d{1,10}$/.test(uid ?? '') || !/^\d{1,10}$/.test(gid ?? '')) return []
    return [{ name, uid: Number(uid), gid: Number(gid), home, shell }]
  })
}

/** The accounts of the guest; none when it has no readable `/etc/passwd`. */
export async function readAccounts(tree: GuestTree, options: AbortOptions = {}): Promise<GuestAccount[]> {
  const passwd = await tree.read('/etc/passwd', options)
  return passwd === null ? [] : parsePasswd(new TextDecoder().decode(passwd))
}

/**
 * Every home of the guest: those that passwd names wherever they lie, `/root`, `/etc/skel`, and the directories of
 * `/home` even without an account, since accounts may live in a directory server. A home that is a directory of the
 * system itself (`/`, `/usr/...`, `/bin`) is nobody's.
 */
export async function findHomes(tree: GuestTree, options: AbortOptions = {}): Promise<GuestHome[]> {
  const candidates = ['/root', '/etc/skel']
  for (const account of await readAccounts(tree, options)) candidates.push(account.home)
  for (const entry of await tree.list('/home', options)) {
    if (entry.name !== 'lost+found') candidates.push(`/home/${entry.name}`)
  }
  const homes = new Map<string, GuestHome>()
  for (const candidate of candidates) {
    const path = normalisePath(candidate)
    if (path === null || path === '/' || isSystemDirectory(path)) continue
    const resolved = await tree.resolve(path, options)
    if (resolved === null || resolved === '/' || isSystemDirectory(resolved)) continue
    if ((await tree.entry(resolved, options))?.kind !== 'directory') continue
    homes.set(resolved, { path: resolved, person: !serviceHomes.test(resolved) })
  }
  return [...homes.values()].sort((one, other) => (one.path < other.path ? -1 : 1))
}

const serviceHomes = /^\/(var|run|opt|tmp|mnt|media)(\/|$)/

/** Trees of the system, and the directories that hold homes or services rather than being one. */
const systemDirectories =
  /^\/(bin|boot|dev|etc|lib|lib32|lib64|libx32|lost\+found|nonexistent|proc|sbin|sys|usr)(\/|$)|^\/(home|opt|srv|mnt|media|run|tmp|var)$|^\/var\/(backups|cache|lib|local|lock|log|mail|opt|run|spool|tmp)$/

function isSystemDirectory(path: string): boolean {
  return path !== '/etc/skel' && systemDirectories.test(path)
}

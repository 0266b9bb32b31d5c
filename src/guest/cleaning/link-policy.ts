import { isWithin, pathComponents } from '../guest-path.ts'
import type { GuestHome } from '../inspect/accounts.ts'

/**
 * Whether cleaning may act on `actual`, the place that a link in `written` leads to. Usual links are followed
 * (`/var/run`, `/var/mail`, logs moved to a data disk). A link may not turn one thing into another: `/tmp` into
 * `/etc`, `/var/log` into the whole tree, somebody's `.cache` into the system or into another's home.
 * Both paths absolute; `actual` without links.
 */
export function mayFollow(written: string, actual: string, homes: readonly GuestHome[]): boolean {
  if (written === actual || usualLinks.get(written) === actual) return true
  if (isWithin(written, actual)) return false
  if (reservedDirectories.has(actual)) return false
  const area = protectedArea(actual, homes)
  return area === null || area === protectedArea(written, homes)
}

const usualLinks = new Map([['/var/run', '/run']])

/** Directories that hold other things than their own; nothing else stands for them. */
const reservedDirectories = new Set(
  '/ /home /root /opt /srv /mnt /media /run /var /var/backups /var/cache /var/lib /var/spool'.split(' '),
)

/** The part of the system a path belongs to, when it is one that only its own paths may touch. */
function protectedArea(path: string, homes: readonly GuestHome[]): string | null {
  const [first, second, third] = pathComponents(path)
  if (first === undefined) return '/'
  if (first === 'usr' && second !== undefined && mergedDirectories.has(second)) return second
  if (mergedDirectories.has(first)) return first
  if (systemDirectories.has(first)) return first
  if (first === 'home' || first === 'root') return 'homes'
  if (homes.some((home) => isWithin(path, home.path) || isWithin(home.path, path))) return 'homes'
  return first === 'var' && second === 'lib' ? `/var/lib/${third ?? ''}` : null
}

/** `/lib` is a link to `/usr/lib` in most guests of today. */
const mergedDirectories = new Set(['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32'])
const systemDirectories = new Set(['etc', 'usr', 'boot', 'dev', 'proc', 'sys'])

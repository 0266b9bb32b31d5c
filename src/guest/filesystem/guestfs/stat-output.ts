import type { FileKind, FileStat } from '../filesystem.ts'

/** A time of a file as the system call has it. */
export interface FileTime {
  readonly seconds: number
  readonly nanoseconds: number
}

/** What lstat(2) says of a file. */
export interface GuestfsStat extends FileStat {
  readonly accessTime: FileTime
  readonly modificationTime: FileTime
}

/** By the four bits of S_IFMT. */
const kinds: Readonly<Record<number, FileKind>> = {
  1: 'fifo',
  2: 'character-device',
  4: 'directory',
  6: 'block-device',
  8: 'file',
  10: 'symlink',
  12: 'socket',
}

/** The structures that guestfish prints for `lstatns` and `lstatnslist`: numbers only, so nothing of the guest can imitate one. */
export function parseStats(output: string): (GuestfsStat | null)[] {
  const stats: (GuestfsStat | null)[] = []
  let fields = new Map<string, number>()
  for (const line of output.split('\n')) {
    const match = /^\s*(st_\w+): (-?\d+)$/.exec(line)
    if (match?.[1] === undefined) continue
    fields.set(match[1], Number(match[2]))
    if (match[1] !== 'st_spare6') continue
    stats.push(toStat(fields))
    fields = new Map()
  }
  return stats
}

/** A name that could not be looked at has the inode -1. */
function toStat(fields: ReadonlyMap<string, number>): GuestfsStat | null {
  const field = (name: string): number => fields.get(name) ?? 0
  const mode = field('st_mode')
  const kind = kinds[mode >>> 12]
  if (field('st_ino') === -1 || !kind) return null
  return {
    kind,
    inode: field('st_ino'),
    size: field('st_size'),
    mode: mode & 0o7777,
    uid: field('st_uid'),
    gid: field('st_gid'),
    links: field('st_nlink'),
    modified: field('st_mtime_sec'),
    accessTime: { seconds: field('st_atime_sec'), nanoseconds: field('st_atime_nsec') },
    modificationTime: { seconds: field('st_mtime_sec'), nanoseconds: field('st_mtime_nsec') },
  }
}

import { getSystemErrorName } from 'node:util'

/**
 * Turns a range of an open file into a hole that reads as zeros, and gives its blocks back. False where the file system
 * cannot do that.
 */
export type PunchHole = (fd: number, offset: number, length: number) => boolean

/** FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE of <linux/falloc.h>. */
const punchHoleKeepSize = 0x02 | 0x01

let loading: Promise<PunchHole | null> | undefined

/** Null where koffi is not installed, does not load, or the system is not Linux. Node has no call of its own for it. */
export function loadPunchHole(): Promise<PunchHole | null> {
  loading ??= load()
  return loading
}

async function load(): Promise<PunchHole | null> {
  if (process.platform !== 'linux') return null
  const koffi = await import('koffi').then(
    (module) => module.default,
    () => null,
  )
  if (!koffi) return null
  const fallocate = koffi.load(null).func('int fallocate(int fd, int mode, int64_t offset, int64_t length)')
  return (fd, offset, length) => {
    if (fallocate(fd, punchHoleKeepSize, offset, length) === 0) return true
    const errno = koffi.errno()
    const code = getSystemErrorName(-errno)
    if (code === 'EOPNOTSUPP' || code === 'ENOSYS') return false
    throw Object.assign(new Error(`${code}: fallocate`), { code, errno })
  }
}

import { getSystemErrorMap, getSystemErrorName } from 'node:util'
import type { ByteRange } from './byte-source.ts'

/**
 * The next data at or after `position` of an open file, up to the hole that ends it; null when only a hole is left.
 * The file system answers, nothing is read.
 *
 * Node has no `lseek`, so this calls the C library through koffi, an optional dependency. The file offset that lseek
 * moves is shared by all users of the descriptor, which is harmless as long as all of them read and write with
 * explicit positions, as this project does.
 */
export type SeekData = (fd: number, position: number) => ByteRange | null

/** `whence` values of <unistd.h>; macOS has the two the other way round. */
const whence = process.platform === 'darwin' ? { hole: 3, data: 4 } : { data: 3, hole: 4 }

let loading: Promise<SeekData | null> | undefined

/** Null where koffi is not installed, does not load, or the platform has no SEEK_DATA. */
export function loadSeekData(): Promise<SeekData | null> {
  loading ??= load()
  return loading
}

async function load(): Promise<SeekData | null> {
  if (process.platform !== 'linux' && process.platform !== 'darwin') return null
  const koffi = await import('koffi').then(
    (module) => module.default,
    () => null,
  )
  if (!koffi) return null
  const lseek = koffi.load(null).func('int64_t lseek(int fd, int64_t offset, int whence)')

  /** Gives -1 for ENXIO: no data, or no hole, after the position. */
  const seek = (fd: number, position: number, where: number): number => {
    const found = Number(lseek(fd, position, where))
    if (found >= 0) return found
    const errno = koffi.errno()
    const code = getSystemErrorName(-errno)
    if (code === 'ENXIO') return -1
    throw Object.assign(new Error(`${code}: ${getSystemErrorMap().get(-errno)?.[1]}, lseek`), { code, errno })
  }

  return (fd, position) => {
    const start = seek(fd, position, whence.data)
    if (start < 0) return null
    const end = seek(fd, start, whence.hole)
    return end < 0 ? null : { offset: start, length: end - start }
  }
}

import { constants, type Stats } from 'node:fs'
import { type FileHandle, open, readFile } from 'node:fs/promises'
import { type AbortOptions, throwIfCancelled } from '../core/abort.ts'
import { MiB } from '../core/bytes.ts'
import type { ByteRange, RandomAccessSource, StreamOptions } from './byte-source.ts'
import { sourceError, systemErrorCode, TransferError } from './errors.ts'
import { scanForData } from './scan-for-data.ts'
import { loadSeekData, type SeekData } from './seek-data.ts'

/** A file on this machine. Its `dataRanges` come from the file system; see `openFileSource`. */
export interface FileSource extends RandomAccessSource {
  dataRanges(options?: AbortOptions): AsyncGenerator<ByteRange, void, undefined>
  /**
   * For the end of a long read: fails when the file was written to since it was opened.
   * @throws TransferError `SOURCE_CHANGED`
   */
  assertUnchanged(): Promise<void>
}

export interface FileSourceOptions extends AbortOptions {
  /** How holes are found; by default with lseek, and by scanning where that cannot be had. */
  seekData?: SeekData | null
}

const streamChunk = MiB

/**
 * Opens a regular file or a block device for reading.
 *
 * `dataRanges` asks the file system (SEEK_DATA, SEEK_HOLE) and costs about a microsecond per run, whatever the size.
 * Without koffi a file that has holes is read once from front to end and searched for zeros, at some GiB/s; a file
 * without holes is taken as all data.
 *
 * @throws TransferError `SOURCE_NOT_FOUND` | `SOURCE_NO_PERMISSION` | `SOURCE_NOT_A_FILE`; reading throws
 *   `SOURCE_CHANGED` when the file has become shorter, `SOURCE_UNREADABLE` for an input/output error
 */
export async function openFileSource(path: string, options: FileSourceOptions = {}): Promise<FileSource> {
  throwIfCancelled(options.signal)
  // Opening a pipe would wait for its writer; O_NONBLOCK opens it at once, so that it can be refused.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: unknown) => {
    throw sourceError(error, path)
  })
  try {
    const stats = await file.stat()
    const size = await sizeOf(path, stats)
    const seekData = options.seekData === undefined ? await loadSeekData() : options.seekData
    return fileSource(path, file, { stats, size, seekData })
  } catch (error) {
    await file.close()
    throw sourceError(error, path)
  }
}

interface FileFacts {
  stats: Stats
  size: number
  seekData: SeekData | null
}

function fileSource(name: string, file: FileHandle, { stats, size, seekData }: FileFacts): FileSource {
  async function read(target: Uint8Array, position: number, { signal }: AbortOptions = {}): Promise<number> {
    throwIfCancelled(signal)
    const wanted = Math.max(0, Math.min(target.length, size - position))
    let done = 0
    while (done < wanted) {
      const { bytesRead } = await file
        .read(target, done, wanted - done, position + done)
        .catch((error: unknown) => {
          throw sourceError(error, name)
        })
      if (bytesRead === 0) throw changed(name)
      done += bytesRead
    }
    return done
  }

  async function assertUnchanged(): Promise<void> {
    if (!stats.isFile()) return
    const now = await file.stat()
    if (now.size !== stats.size || now.mtimeMs !== stats.mtimeMs) throw changed(name)
  }

  async function* stream(options: StreamOptions = {}): AsyncGenerator<Uint8Array, void, undefined> {
    const end = Math.min(options.end ?? size, size)
    const shared = options.transient ? Buffer.allocUnsafeSlow(streamChunk) : null
    for (let position = options.start ?? 0; position < end; ) {
      const length = Math.min(streamChunk, end - position)
      const chunk = shared ? shared.subarray(0, length) : Buffer.allocUnsafeSlow(length)
      await read(chunk, position, options)
      yield chunk
      position += chunk.length
    }
    await assertUnchanged()
  }

  async function* dataRanges({ signal }: AbortOptions = {}): AsyncGenerator<ByteRange, void, undefined> {
    if (seekData && stats.isFile()) {
      try {
        yield* soughtRanges(file.fd, { size, seekData, signal })
        // A file cut off meanwhile looks like one that ends in a hole.
        await assertUnchanged()
        return
      } catch (error) {
        // EINVAL comes from the first call where a file system cannot tell; nothing has been given yet then.
        if (systemErrorCode(error) !== 'EINVAL') throw sourceError(error, name)
      }
    }
    const hasHoles = stats.isFile() && stats.blocks * 512 < size
    if (hasHoles) yield* scanForData({ size, read }, { signal })
    else if (size > 0) yield { offset: 0, length: size }
  }

  return { name, size, read, stream, dataRanges, assertUnchanged, close: () => file.close() }
}

/** Holes may appear and vanish while this runs, so every answer is held against the one before. */
async function* soughtRanges(
  fd: number,
  { size, seekData, signal }: { size: number; seekData: SeekData; signal: AbortSignal | undefined },
): AsyncGenerator<ByteRange, void, undefined> {
  for (let position = 0; position < size; ) {
    throwIfCancelled(signal)
    const found = seekData(fd, position)
    if (!found || found.offset >= size) return
    const offset = Math.max(found.offset, position)
    const end = Math.min(found.offset + found.length, size)
    if (end > offset) yield { offset, length: end - offset }
    position = Math.max(end, position + 1)
  }
}

/** Bytes of a regular file or, from the kernel's list of devices, of a block device. */
async function sizeOf(path: string, stats: Stats): Promise<number> {
  if (stats.isFile()) return stats.size
  if (!stats.isBlockDevice()) {
    throw new TransferError('SOURCE_NOT_A_FILE', `${path} is neither a regular file nor a block device.`)
  }
  const sectors = await readFile(`/sys/dev/block/${deviceNumber(stats.rdev)}/size`, 'utf8')
  return Number(sectors) * 512
}

/** `major:minor` as Linux packs them into `st_rdev` (glibc's gnu_dev_major and gnu_dev_minor). */
function deviceNumber(packed: number): string {
  const device = BigInt(packed)
  const major = ((device >> 8n) & 0xfffn) | ((device >> 32n) & 0xfffff000n)
  const minor = (device & 0xffn) | ((device >> 12n) & 0xffffff00n)
  return `${major}:${minor}`
}

function changed(name: string): TransferError {
  return new TransferError('SOURCE_CHANGED', `${name} was changed while it was read.`, {
    hint: 'Stop whatever writes to it, for example a running virtual machine, and start again.',
  })
}

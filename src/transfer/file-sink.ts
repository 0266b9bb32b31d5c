import { randomBytes } from 'node:crypto'
import { constants, type Stats } from 'node:fs'
import { type FileHandle, open, realpath, rm, stat } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { type AbortOptions, throwIfCancelled } from '../core/abort.ts'
import type { SeekableSink } from './byte-sink.ts'
import { earlyFlush } from './early-flush.ts'
import { outputError, outputExists, systemErrorCode, TransferError } from './errors.ts'
import { publishFile, syncFolder } from './publish-file.ts'

/** A file that appears under its name, complete and on stable storage, when `finish` returns. */
export interface FileSink extends SeekableSink {
  writeZeros(length: number, options?: AbortOptions): Promise<void>
  /** Where the bytes are until then: all that is left when the process is killed. */
  readonly temporaryPath: string
}

export interface FileSinkOptions extends AbortOptions {
  /** Whether a file of this name may be replaced, at the moment of `finish`. Default false. */
  overwrite?: boolean
  /**
   * Permissions of the new file, less the process's umask. Default 0666. A file that is replaced hands on its own, and
   * its owner as far as this process may give a file away.
   */
  mode?: number
  /**
   * Whether `finish` waits until everything is on stable storage. Without it a power cut soon after may leave a file
   * that is not complete. Default true.
   */
  durable?: boolean
}

/**
 * Creates a file to be written. Until `finish` it is a hidden file of a random name in the same folder; then it is
 * flushed, unless told otherwise, and gets its name in one step. Of several sinks for one name without `overwrite`, one
 * wins and the others fail with `OUTPUT_EXISTS`, at the start if the name is taken already. What is never written is a
 * hole.
 *
 * A symbolic link is followed when it is overwritten: the file it leads to is replaced.
 *
 * @throws TransferError `OUTPUT_EXISTS` | `OUTPUT_FOLDER_MISSING` | `OUTPUT_NOT_A_FILE` | `OUTPUT_NO_PERMISSION`;
 *   writing and finishing throw `OUTPUT_NO_SPACE` and the like
 */
export async function createFileSink(path: string, options: FileSinkOptions = {}): Promise<FileSink> {
  const { overwrite = false, mode = 0o666, durable = true, signal } = options
  throwIfCancelled(signal)
  const { target, replaced } = await resolveTarget(path, overwrite)
  const temporaryPath = temporaryName(target)
  // Never open to more people than the file it replaces, not even for the moment before the permissions are set.
  const file = await open(temporaryPath, 'wx+', replaced ? replaced.mode & 0o600 : mode).catch(
    (error: unknown) => {
      throw outputError(error, path)
    },
  )
  if (replaced) await inherit(file, replaced)
  return fileSink(path, file, { target, temporaryPath, overwrite, durable, length: 0 })
}

/** A file that was begun by a process that is gone, and what is in it. */
export interface ContinuedFile {
  readonly sink: FileSink
  /** Bytes that are there already; the next write goes behind them. */
  readonly length: number
}

/**
 * Takes up a file that `createFileSink` had begun to write in order, for the same `path`. Null when its temporary file
 * is not there any more.
 * @throws TransferError as `createFileSink`
 */
export async function continueFileSink(
  path: string,
  temporaryPath: string,
  options: FileSinkOptions = {},
): Promise<ContinuedFile | null> {
  const { overwrite = false, durable = true, signal } = options
  throwIfCancelled(signal)
  const { target } = await resolveTarget(path, overwrite)
  if (dirname(temporaryPath) !== dirname(target)) return null
  const flags = constants.O_RDWR | constants.O_NOFOLLOW
  const file = await open(temporaryPath, flags).catch((error: unknown) => {
    // ELOOP: a link of this name is nothing of ours.
    if (['ENOENT', 'ELOOP'].includes(systemErrorCode(error) ?? '')) return null
    throw outputError(error, path)
  })
  if (!file) return null
  const { size: length } = await file.stat()
  return { sink: fileSink(path, file, { target, temporaryPath, overwrite, durable, length }), length }
}

interface FilePlace {
  target: string
  temporaryPath: string
  overwrite: boolean
  durable: boolean
  /** Bytes it has. */
  length: number
}

function fileSink(name: string, file: FileHandle, place: FilePlace): FileSink {
  const { target, temporaryPath, overwrite, durable } = place
  let position = place.length
  let fileLength = place.length
  let state: 'open' | 'finishing' | 'finished' | 'aborted' = 'open'
  let finishing: Promise<void> | undefined
  const flush = durable ? earlyFlush(file) : null

  function assertOpen(signal?: AbortSignal): void {
    throwIfCancelled(signal)
    if (state !== 'open') throw new Error(`${name} is written after it was ${state}`)
  }

  async function writeAt(chunk: Uint8Array, at: number, { signal }: AbortOptions = {}): Promise<void> {
    assertOpen(signal)
    for (let done = 0; done < chunk.length; ) {
      const { bytesWritten } = await file
        .write(chunk, done, chunk.length - done, at + done)
        .catch((error: unknown) => {
          throw outputError(error, name)
        })
      done += bytesWritten
    }
    fileLength = Math.max(fileLength, at + chunk.length)
    flush?.wrote(chunk.length)
  }

  async function write(chunk: Uint8Array, writeOptions?: AbortOptions): Promise<void> {
    const at = position
    position += chunk.length
    await writeAt(chunk, at, writeOptions)
  }

  /** Extends the file at once, so that whoever verifies it under its temporary name sees its whole length. */
  async function leaveHole(length: number, { signal }: AbortOptions = {}): Promise<void> {
    assertOpen(signal)
    position += length
    if (position > fileLength) await truncate(position)
  }

  async function truncate(newSize: number): Promise<void> {
    assertOpen()
    fileLength = newSize
    await file.truncate(newSize).catch((error: unknown) => {
      throw outputError(error, name)
    })
  }

  async function finish({ signal }: AbortOptions = {}): Promise<void> {
    if (state !== 'open') throw new Error(`${name} is finished after it was ${state}`)
    state = 'finishing'
    finishing = publish(signal)
    return finishing
  }

  async function publish(signal: AbortSignal | undefined): Promise<void> {
    try {
      throwIfCancelled(signal)
      await flush?.settled()
      if (durable) await file.sync()
      await file.close()
      throwIfCancelled(signal)
      await publishFile(temporaryPath, target, { overwrite })
      state = 'finished'
      if (durable) await syncFolder(dirname(target))
    } catch (error) {
      if (state !== 'finished') await discard()
      throw outputError(error, name)
    }
  }

  async function abort(): Promise<void> {
    // What is on its way to its name either gets there or is discarded by `publish` itself.
    if (state === 'finishing') await finishing?.catch(() => undefined)
    if (state === 'open') await discard()
  }

  async function discard(): Promise<void> {
    state = 'aborted'
    try {
      await rm(temporaryPath, { force: true })
    } finally {
      await file.close()
    }
  }

  return { name, temporaryPath, write, writeAt, writeZeros: leaveHole, truncate, finish, abort }
}

/** The path to give the file at the end, after what can be refused at once has been. */
async function resolveTarget(
  path: string,
  overwrite: boolean,
): Promise<{ target: string; replaced: Stats | null }> {
  try {
    const existing = await stat(path)
    if (!overwrite) throw outputExists(path)
    if (!existing.isFile()) {
      throw new TransferError('OUTPUT_NOT_A_FILE', `${path} is not a regular file.`, {
        hint: 'Give the name of a file.',
      })
    }
    return { target: await realpath(path), replaced: existing }
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return { target: resolve(path), replaced: null }
    throw outputError(error, path)
  }
}

/** The owner first: giving a file away takes its set-user-id bits. */
async function inherit(file: FileHandle, { uid, gid, mode }: Stats): Promise<void> {
  try {
    await file.chown(uid, gid)
  } catch (error) {
    if (systemErrorCode(error) !== 'EPERM') throw error
  }
  await file.chmod(mode & 0o7777)
}

/** Names have at most 255 bytes on every common file system, so only the beginning of the target's is kept. */
function temporaryName(target: string): string {
  const readable = basename(target)
    .replace(/[^\w.-]/g, '_')
    .slice(0, 100)
  return join(dirname(target), `.imagewright-${readable}-${randomBytes(8).toString('hex')}`)
}

import { randomBytes } from 'node:crypto'
import { type FileHandle, open, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type AbortOptions, throwIfCancelled } from '../../core/abort.ts'
import { KiB } from '../../core/bytes.ts'
import { outputError, sourceError } from '../../transfer/errors.ts'
import { forEachNonZeroRun } from '../../transfer/zeros.ts'

/** A file without a name, which goes away with the process at the latest. What was not written reads as zeros. */
export interface ScratchFile {
  /** Writes what is not zeros of `chunk`. */
  write(chunk: Uint8Array, position: number, options?: AbortOptions): Promise<void>
  /** Fills `target`, with zeros behind the end. */
  read(target: Uint8Array, position: number, options?: AbortOptions): Promise<void>
  close(): Promise<void>
}

const granule = 64 * KiB

/** Where large temporary files belong: `/tmp` is often memory. */
export function defaultScratchFolder(): string {
  return process.env.TMPDIR ?? (process.platform === 'win32' ? tmpdir() : '/var/tmp')
}

/** @throws TransferError as `createFileSink` */
export async function openScratchFile(folder: string): Promise<ScratchFile> {
  const path = join(folder, `imagewright-${randomBytes(8).toString('hex')}`)
  const file = await open(path, 'wx+', 0o600).catch((error: unknown) => {
    throw outputError(error, path)
  })
  await unlink(path)

  async function writeAll(bytes: Uint8Array, position: number): Promise<void> {
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done)
      done += bytesWritten
    }
  }

  return {
    async write(chunk, position, { signal } = {}) {
      throwIfCancelled(signal)
      const runs: [number, number][] = []
      forEachNonZeroRun(chunk, granule, (start, end) => runs.push([start, end]))
      for (const [start, end] of runs) {
        await writeAll(chunk.subarray(start, end), position + start).catch((error: unknown) => {
          throw outputError(error, `a temporary file in ${folder}`)
        })
      }
    },
    read: (target, position, options) => readAll(file, target, position, options),
    close: () => file.close(),
  }
}

async function readAll(
  file: FileHandle,
  target: Uint8Array,
  position: number,
  { signal }: AbortOptions = {},
): Promise<void> {
  for (let done = 0; done < target.length; ) {
    throwIfCancelled(signal)
    const { bytesRead } = await file
      .read(target, done, target.length - done, position + done)
      .catch((error: unknown) => {
        throw sourceError(error, 'a temporary file')
      })
    if (bytesRead === 0) {
      target.fill(0, done)
      return
    }
    done += bytesRead
  }
}

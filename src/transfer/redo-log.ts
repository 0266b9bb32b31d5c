import { createHash } from 'node:crypto'
import { type FileHandle, mkdir, open, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import type { AbortOptions } from '../core/abort.ts'
import type { RandomAccessSource } from './byte-source.ts'
import { outputError, systemErrorCode, TransferError } from './errors.ts'
import { createFileSink } from './file-sink.ts'
import { openFileSource } from './file-source.ts'
import { syncFolder } from './publish-file.ts'
import { loadPunchHole } from './punch-hole.ts'
import { useSink } from './use-sink.ts'
import { isZero, zeroBlock, zeroBlockLength } from './zeros.ts'

/** What one range of a file is to hold. */
export interface Change {
  readonly offset: number
  readonly length: number
  /** `length` bytes; null for zeros. */
  readonly data: Uint8Array | null
}

export interface RedoSummary {
  /** Bytes that are written anew. */
  readonly written: number
  /** Bytes that become zeros. */
  readonly zeroed: number
}

/**
 * A redo log makes many changes of a file one change: all of them are written down first, on stable storage, and only
 * then made. Whoever is interrupted while making them makes them again from the log. It is a folder:
 *
 * - `log`: a line of JSON that names the file, then records of kind (1 byte), offset and length (64-bit floats, little
 *   endian) with the data behind those of kind `data`, then an `end` record with the SHA-256 of all before it;
 * - `begun`: there once the file may have been changed.
 */
const kinds = { data: 1, zero: 2, end: 3 } as const
const recordLength = 17
const digestLength = 32

const targetSchema = z.strictObject({
  path: z.string(),
  size: z.number(),
  /** Inode number, in decimal. */
  inode: z.string(),
  modified: z.number(),
})

type Target = z.infer<typeof targetSchema>

/** Writes the changes of `path` down. Nothing of the file is touched. An unfinished log of before is replaced. */
export async function writeRedoLog(
  folder: string,
  { path, changes, signal }: AbortOptions & { path: string; changes: AsyncIterable<Change> },
): Promise<RedoSummary> {
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true, mode: 0o700 })
  const sink = await createFileSink(join(folder, 'log'), { mode: 0o600, signal })
  const summary = { written: 0, zeroed: 0 }
  await useSink(
    sink,
    async () => {
      const hash = createHash('sha256')
      const write = async (bytes: Uint8Array): Promise<void> => {
        hash.update(bytes)
        await sink.write(bytes, { signal })
      }
      await write(Buffer.from(`${JSON.stringify(await identify(path))}\n`))
      for await (const { offset, length, data } of changes) {
        await write(record(data ? kinds.data : kinds.zero, offset, length))
        if (data) await write(data)
        summary[data ? 'written' : 'zeroed'] += length
      }
      await write(record(kinds.end, 0, 0))
      await sink.write(hash.digest(), { signal })
    },
    { signal },
  )
  return summary
}

/** Whether the file may have been changed: then the log must be applied, and not thrown away. */
export async function hasBegun(folder: string): Promise<boolean> {
  try {
    await stat(join(folder, 'begun'))
    return true
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return false
    throw error
  }
}

/**
 * Makes the changes, brings them to stable storage and reads every one back. May be called again after an interruption
 * at any moment. The log stays; its folder is the caller's to remove.
 * @throws TransferError `OUTPUT_CHANGED` when the file is not the one that was looked at, before it is touched;
 *   `OUTPUT_FAILED` when it does not read back as it was written
 */
export async function applyRedoLog(folder: string, { signal }: AbortOptions = {}): Promise<void> {
  const log = await openFileSource(join(folder, 'log'), { signal })
  try {
    await checkDigest(log, { signal })
    const { target, start } = await readTarget(log)
    const begun = await hasBegun(folder)
    const found = await identify(target.path)
    if (found.inode !== target.inode || found.size !== target.size) throw changedMeanwhile(target)
    if (!begun) {
      if (found.modified !== target.modified) throw changedMeanwhile(target)
      await writeFile(join(folder, 'begun'), '', { flush: true })
      await syncFolder(folder)
      await syncFolder(dirname(folder))
    }
    const file = await open(target.path, 'r+')
    try {
      // From here on stopping would help nobody: half of the changes is worse than all or none.
      await makeChanges(file, readChanges(log, start))
      await file.sync()
      await verifyChanges(file, { name: target.path, changes: readChanges(log, start) })
    } catch (error) {
      throw outputError(error, target.path)
    } finally {
      await file.close()
    }
  } finally {
    await log.close()
  }
}

async function makeChanges(file: FileHandle, changes: AsyncIterable<Change>): Promise<void> {
  const punchHole = await loadPunchHole()
  for await (const { offset, length, data } of changes) {
    if (data) await writeAll(file, data, offset)
    else if (!punchHole?.(file.fd, offset, length)) await writeZeros(file, offset, length)
  }
}

async function verifyChanges(
  file: FileHandle,
  { name, changes }: { name: string; changes: AsyncIterable<Change> },
): Promise<void> {
  const buffer = Buffer.allocUnsafe(zeroBlockLength)
  for await (const { offset, length, data } of changes) {
    for (let done = 0; done < length; done += buffer.length) {
      const found = buffer.subarray(0, Math.min(buffer.length, length - done))
      const { bytesRead } = await file.read(found, 0, found.length, offset + done)
      const same = data ? found.equals(data.subarray(done, done + found.length)) : isZero(found)
      if (bytesRead === found.length && same) continue
      throw new TransferError('OUTPUT_FAILED', `${name} does not read back as it was written.`, {
        hint: 'Check the disk it lies on, then resume the job: it makes the changes again.',
        details: { offset: offset + done },
      })
    }
  }
}

async function writeZeros(file: FileHandle, offset: number, length: number): Promise<void> {
  for (let done = 0; done < length; done += zeroBlockLength) {
    await writeAll(file, zeroBlock.subarray(0, Math.min(zeroBlockLength, length - done)), offset + done)
  }
}

async function writeAll(file: FileHandle, bytes: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    done += (await file.write(bytes, done, bytes.length - done, position + done)).bytesWritten
  }
}

async function identify(path: string): Promise<Target> {
  const { size, ino, mtimeMs } = await stat(path)
  return { path, size, inode: String(ino), modified: mtimeMs }
}

function changedMeanwhile({ path }: Target): TransferError {
  return new TransferError('OUTPUT_CHANGED', `${path} was changed or replaced by somebody else meanwhile.`, {
    hint: 'Make sure that nothing uses the disk, then start again.',
  })
}

function record(kind: number, offset: number, length: number): Buffer {
  const bytes = Buffer.alloc(recordLength)
  bytes.writeUInt8(kind, 0)
  bytes.writeDoubleLE(offset, 1)
  bytes.writeDoubleLE(length, 9)
  return bytes
}

async function checkDigest(log: RandomAccessSource, { signal }: AbortOptions): Promise<void> {
  const hash = createHash('sha256')
  const end = Math.max(0, log.size - digestLength)
  for await (const chunk of log.stream({ end, signal })) hash.update(chunk)
  const expected = Buffer.alloc(digestLength)
  await log.read(expected, end, { signal })
  if (!hash.digest().equals(expected)) throw damagedLog(log)
}

async function readTarget(log: RandomAccessSource): Promise<{ target: Target; start: number }> {
  const line = Buffer.alloc(Math.min(log.size, 64 * 1024))
  await log.read(line, 0)
  const end = line.indexOf('\n')
  if (end < 0) throw damagedLog(log)
  return { target: targetSchema.parse(JSON.parse(line.toString('utf8', 0, end))), start: end + 1 }
}

async function* readChanges(log: RandomAccessSource, start: number): AsyncGenerator<Change, void, undefined> {
  const take = takeFrom(log, start)
  for (;;) {
    const header = Buffer.from(await take(recordLength))
    const [kind, offset, length] = [header.readUInt8(0), header.readDoubleLE(1), header.readDoubleLE(9)]
    if (kind === kinds.end) return
    yield { offset, length, data: kind === kinds.data ? await take(length) : null }
  }
}

/** Reads on from `start` in large pieces; what is taken is valid until the next time. */
function takeFrom(log: RandomAccessSource, start: number): (length: number) => Promise<Uint8Array> {
  let held: Uint8Array = new Uint8Array()
  let position = start
  return async (length) => {
    if (held.length < length) {
      const more = Buffer.allocUnsafe(Math.max(length, zeroBlockLength))
      more.set(held)
      const read = await log.read(more.subarray(held.length), position)
      position += read
      held = more.subarray(0, held.length + read)
      if (held.length < length) throw damagedLog(log)
    }
    const taken = held.subarray(0, length)
    held = held.subarray(length)
    return taken
  }
}

function damagedLog({ name }: RandomAccessSource): TransferError {
  return new TransferError('SOURCE_UNREADABLE', `The record of changes ${name} is damaged.`, {
    hint: 'The file it is for may be half changed: use a copy of it.',
  })
}

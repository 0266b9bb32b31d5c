import { randomUUID } from 'node:crypto'
import { type FileHandle, open, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type ByteRanges, ByteRangesBuilder } from '../../../disk/byte-ranges.ts'
import type { Disk } from '../../../disk/disk.ts'
import { maskDisk } from '../../../disk/masked-disk.ts'
import { noRuns } from '../../../disk/overlay-ranges.ts'
import { patchDisk } from '../patched-disk.ts'

/**
 * A disk that can be written to while the one below it stays as it is. What is written lies in a sparse file, what is
 * discarded or zeroed is only remembered. Everything is a whole number of sectors.
 */
export interface ScratchDisk {
  /** Bytes: those of the disk below, without a last sector that is not whole. */
  readonly size: number
  read(target: Uint8Array, offset: number): Promise<void>
  write(bytes: Uint8Array, offset: number): Promise<void>
  /** From now on this range reads as zeros. */
  zero(offset: number, length: number): void
  /** How it reads now, as a view of the disk below. Valid until the next change. */
  view(): Disk
  /** Whether anything was written, apart from what was zeroed. */
  hasWrites(): boolean
  /** Takes back what was written and keeps what was zeroed. */
  dropWrites(): void
  /** Closes and deletes the file. */
  discard(): Promise<void>
}

export const sectorSize = 512
const pageSectors = 4096
const pageSize = pageSectors * sectorSize

/** What a sector is; a page whose sectors are all alike is one of these numbers. */
const below = 0
const written = 1
const zeroed = 2

type Page = Uint8Array | typeof below | typeof written | typeof zeroed

/** Memory: 4 KiB for each 2 MiB of the disk in which something was changed, and not all of it alike. */
export async function createScratchDisk(base: Disk, folder: string): Promise<ScratchDisk> {
  const path = join(folder, `changes-${randomUUID()}`)
  const handle = await open(path, 'wx+', 0o600)
  const size = base.size - (base.size % sectorSize)
  const pages = new Map<number, Page>()

  function mark(offset: number, length: number, state: typeof written | typeof zeroed): void {
    const end = offset + length
    for (let position = offset; position < end; ) {
      const number = Math.floor(position / pageSize)
      const pageStart = number * pageSize
      const to = Math.min(end, pageStart + pageSize)
      if (position === pageStart && to === Math.min(size, pageStart + pageSize)) pages.set(number, state)
      else {
        const page = pages.get(number) ?? below
        const sectors = typeof page === 'number' ? new Uint8Array(pageSectors).fill(page) : page
        sectors.fill(state, (position - pageStart) / sectorSize, (to - pageStart) / sectorSize)
        pages.set(number, sectors)
      }
      position = to
    }
  }

  /** Runs of one state in a range, in order. */
  function* runs(
    offset: number,
    length: number,
  ): Generator<{ offset: number; length: number; state: number }> {
    const end = offset + length
    let start = offset
    let current: number | null = null
    for (let position = offset; position < end; ) {
      const number = Math.floor(position / pageSize)
      const page = pages.get(number) ?? below
      const pageStart = number * pageSize
      const to = Math.min(end, pageStart + pageSize)
      if (typeof page === 'number') {
        if (current !== null && current !== page) {
          yield { offset: start, length: position - start, state: current }
          start = position
        }
        current = page
        position = to
        continue
      }
      for (; position < to; position += sectorSize) {
        const state: number = page[(position - pageStart) / sectorSize] ?? below
        if (current !== null && current !== state) {
          yield { offset: start, length: position - start, state: current }
          start = position
        }
        current = state
      }
    }
    if (current !== null) yield { offset: start, length: end - start, state: current }
  }

  function ranges(wanted: number): ByteRanges {
    const builder = new ByteRangesBuilder()
    for (const number of [...pages.keys()].sort((one, other) => one - other)) {
      const start = number * pageSize
      for (const { offset, length, state } of runs(start, Math.min(pageSize, size - start))) {
        if (state === wanted) builder.add(offset, length)
      }
    }
    return builder.build()
  }

  return {
    size,

    async read(target, offset) {
      for (const run of runs(offset, target.length)) {
        const part = target.subarray(run.offset - offset, run.offset - offset + run.length)
        if (run.state === below) await base.read(part, run.offset)
        else if (run.state === zeroed) part.fill(0)
        else await readFully(handle, part, run.offset)
      }
    },

    async write(bytes, offset) {
      // What is zero already stays a hole in what is written in the end.
      if (isZero(bytes)) {
        mark(offset, bytes.length, zeroed)
        return
      }
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, offset + done)
        done += bytesWritten
      }
      mark(offset, bytes.length, written)
    },

    zero: (offset, length) => mark(offset, length, zeroed),

    view() {
      const upper: Disk = {
        size: base.size,
        async *extents() {
          yield { offset: 0, length: base.size, kind: 'data' }
        },
        read: (target, offset) => readFully(handle, target, offset),
        changes: noRuns,
        close: async () => undefined,
      }
      return patchDisk(maskDisk(base, ranges(zeroed)), upper, ranges(written))
    },

    hasWrites: () => ranges(written).count > 0,

    dropWrites() {
      for (const [number, page] of pages) {
        if (page === written) pages.delete(number)
        else if (typeof page !== 'number') {
          pages.set(
            number,
            page.map((state) => (state === written ? below : state)),
          )
        }
      }
    },

    async discard() {
      await handle.close()
      await rm(path, { force: true })
    },
  }
}

/** Bytes behind the end of the file were never written. */
async function readFully(handle: FileHandle, target: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < target.length; ) {
    const { bytesRead } = await handle.read(target, done, target.length - done, position + done)
    if (bytesRead === 0) {
      target.fill(0, done)
      return
    }
    done += bytesRead
  }
}

function isZero(bytes: Uint8Array): boolean {
  return bytes[0] === 0 && Buffer.compare(bytes.subarray(1), bytes.subarray(0, bytes.length - 1)) === 0
}

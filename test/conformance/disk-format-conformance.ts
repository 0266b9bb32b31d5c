import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MiB, roundUp } from '../../src/core/bytes.ts'
import { isCancellation } from '../../src/core/errors.ts'
import type { Disk } from '../../src/disk/disk.ts'
import { openCheckedDisk } from '../../src/disk/open-disk.ts'
import { type OutputFormat, type WriteDiskOptions, writeDisk } from '../../src/disk/write-disk.ts'
import { type ByteSink, isSeekable, type SeekableSink } from '../../src/transfer/byte-sink.ts'
import { createFileSink } from '../../src/transfer/file-sink.ts'
import { openFileSource } from '../../src/transfer/file-source.ts'
import { useSink } from '../../src/transfer/use-sink.ts'
import { qemuImgCompare, qemuImgRefusals, qemuImgSize, qemuIo } from '../support/qemu-img.ts'
import { missing } from '../support/requirements.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import {
  type DiskContent,
  diskContents,
  diskOf,
  diskProblems,
  randomContents,
  sparseContent,
  writeReference,
} from './disk-contents.ts'

/** One way to write a disk, and what is true of it beyond what is true of all. */
export interface WrittenFormat {
  readonly format: OutputFormat
  /** Null for a format of one kind only. */
  readonly subformat: string | null
  /** The usual extension, with the dot. */
  readonly extension: string
  /** What qemu-img calls it; null where it cannot read it. */
  readonly qemuDriver: string | null
  /** Whether `qemu-img check` has anything to say about it. */
  readonly qemuChecks: boolean
  /** Bytes that the virtual size is rounded up to. */
  readonly granule: number
  /** Whether a disk costs what is on it, whatever its size. */
  readonly isSparse: boolean
  /** Writes it with the ids and times given that are new in every image otherwise. */
  readonly repeatably: (disk: Disk, sink: ByteSink, options: WriteDiskOptions) => Promise<void>
}

const sinks = ['file', 'pipe'] as const
type SinkKind = (typeof sinks)[number]

/** What every container format must do that can be written. Looped over all of them, with all their kinds. */
export function describeWrittenFormat(written: WrittenFormat): void {
  const { format, subformat, extension, qemuDriver } = written

  /** Writes the disk to a new file of the folder, and gives its path. */
  async function write(folder: string, disk: Disk, kind: SinkKind, change: Change = {}): Promise<string> {
    const name = `${kind}${extension}`
    const path = join(folder, name)
    const file = await createFileSink(path, { durable: false })
    const whole = kind === 'file' ? file : sequentialPart(file)
    const sink = change.sink?.(whole) ?? whole
    const options = { format, ...(subformat && { subformat }), fileName: name, ...change.options }
    await useSink(sink, () => (change.write ?? writeDisk)(disk, sink, options))
    return path
  }

  async function readBack(path: string, content: DiskContent): Promise<void> {
    await using checked = await openCheckedDisk(await openFileSource(path))
    expect(checked.verdict).toMatchObject({ accepted: true, format })
    expect(checked.verdict.checks.filter(({ outcome }) => outcome !== 'passed')).toEqual([])
    expect(checked.disk.size).toBe(roundUp(content.size, written.granule))
    expect(checked.verdict.virtualSize).toBe(checked.disk.size)
    expect(await diskProblems(checked.disk, content)).toEqual([])
  }

  /** The driver is named always, as it must be wherever an untrusted image is shown to QEMU. */
  async function showToQemu(path: string, content: DiskContent, reference: string): Promise<void> {
    if (qemuDriver === null || missing('qemu-img')) return
    if (written.qemuChecks) expect(await qemuImgRefusals(path, qemuDriver)).toEqual([])
    const said = await qemuImgCompare({ path: reference, format: 'raw' }, { path, format: qemuDriver })
    // A warning before that is about the zeros behind the end, where the format has no such size.
    if (roundUp(content.size, 512) % written.granule === 0) expect(said).toBe('Images are identical.\n')
    else expect(said).toMatch(/Images are identical.\n$/)
  }

  describe(`a disk written as ${[format, subformat ?? []].flat().join(', ')}`, () => {
    for (const [name, content] of Object.entries(diskContents)) {
      it(`is the same disk again: ${name}`, async () => {
        const folder = await temporaryFolder()
        const reference = join(folder, 'reference')
        await writeReference(content, reference)
        await forBothSinks(async (kind) => {
          const path = await write(folder, diskOf(content), kind)
          await readBack(path, content)
          await showToQemu(path, content, reference)
        })
      })
    }

    it('is the same disk again: any allocation', async () => {
      const cases = fc.asyncProperty(randomContents, async (content) => {
        const folder = await temporaryFolder()
        const reference = join(folder, 'reference')
        await writeReference(content, reference)
        await forBothSinks(async (kind) => {
          const path = await write(folder, diskOf(content), kind)
          await readBack(path, content)
          if (kind === 'pipe') await showToQemu(path, content, reference)
        })
      })
      await fc.assert(cases, { numRuns: 5 })
    })

    if (written.isSparse) {
      it('is the same disk again: 1 TiB with little on it, at the cost of that', async () => {
        const folder = await temporaryFolder()
        await forBothSinks(async (kind) => {
          const path = await write(folder, diskOf(sparseContent), kind)
          await readBack(path, sparseContent)
          expect((await stat(path)).blocks * 512).toBeLessThan(16 * MiB)
          if (qemuDriver === null || missing('qemu-img')) return
          if (written.qemuChecks) expect(await qemuImgRefusals(path, qemuDriver)).toEqual([])
          expect(await qemuImgSize(path, qemuDriver)).toBe(roundUp(sparseContent.size, written.granule))
          // Comparing would take qemu-img hours where its driver cannot tell what is not allocated.
          const reads = sparseContent.pieces.map(
            ({ offset, bytes }) => `read -P ${bytes[0] ?? 0} ${offset} ${bytes.length}`,
          )
          expect(await qemuIo(qemuDriver, path, 'read -P 0 500G 64K', ...reads)).not.toMatch(/fail/i)
        })
      })
    }

    it('takes a disk without a byte, or says that the format has none', async () => {
      const folder = await temporaryFolder()
      const content: DiskContent = { size: 0, pieces: [] }
      await forBothSinks(async (kind) => {
        const path = await write(folder, diskOf(content), kind).catch((error: unknown) => error)
        if (typeof path === 'string') await readBack(path, content)
        else expect(path).toMatchObject({ code: 'DISK_OPTION_INVALID' })
      })
    })

    it('is the same file every time, but for ids and times', async () => {
      const disk = diskOf(diskContents['data and holes, and an odd size'])
      const files: Buffer[] = []
      for (const kind of [...sinks, ...sinks]) {
        const folder = await temporaryFolder()
        files.push(await readFile(await write(folder, disk, kind, { write: written.repeatably })))
      }
      const [file, pipe, secondFile, secondPipe] = files
      expect(secondFile?.equals(file ?? Buffer.alloc(0))).toBe(true)
      expect(secondPipe?.equals(pipe ?? Buffer.alloc(0))).toBe(true)
    })

    it('tells how far it is, from nothing to all', async () => {
      const folder = await temporaryFolder()
      await forBothSinks(async (kind) => {
        const told: [number, number][] = []
        const onProgress = (done: number, total: number) => told.push([done, total])
        await write(folder, diskOf(someContent()), kind, { options: { onProgress } })
        const total = told[0]?.[1] ?? 0
        expect(total).toBeGreaterThan(0)
        expect(told.at(0)).toEqual([0, total])
        expect(told.at(-1)).toEqual([total, total])
        expect(told.every(([done], index) => done >= (told[index - 1]?.[0] ?? 0))).toBe(true)
      })
    })

    it('leaves nothing when it is cancelled half way', async () => {
      await forBothSinks(async (kind) => {
        const folder = await temporaryFolder()
        const stop = new AbortController()
        const disk = disturbed(diskOf(someContent()), () => stop.abort())
        const outcome = await write(folder, disk, kind, { options: { signal: stop.signal } }).catch(
          (error: unknown) => error,
        )
        expect(isCancellation(outcome), String(outcome)).toBe(true)
        expect(await readdir(folder)).toEqual([])
      })
    })

    it('fails with the error of its source, and leaves nothing', async () => {
      await forBothSinks(async (kind) => {
        const folder = await temporaryFolder()
        const disk = disturbed(diskOf(someContent()), () => {
          throw new Error('the source broke')
        })
        await expect(write(folder, disk, kind)).rejects.toThrow('the source broke')
        expect(await readdir(folder)).toEqual([])
      })
    })

    it('fails with the error of its sink, and leaves nothing', async () => {
      await forBothSinks(async (kind) => {
        const folder = await temporaryFolder()
        let room = 3_000_000
        const sink = (whole: ByteSink) =>
          limited(whole, (length) => {
            room -= length
            if (room < 0) throw new Error('the sink is full')
          })
        await expect(write(folder, diskOf(someContent()), kind, { sink })).rejects.toThrow('the sink is full')
        expect(await readdir(folder)).toEqual([])
      })
    })
  })
}

/** Both at once: most of the time goes into starting other programs. */
async function forBothSinks(test: (kind: SinkKind) => Promise<void>): Promise<void> {
  const outcomes = await Promise.allSettled(sinks.map(test))
  outcomes.forEach((outcome, index) => {
    if (outcome.status === 'rejected') throw new Error(`Into a ${sinks[index]}:`, { cause: outcome.reason })
  })
}

interface Change {
  readonly write?: WrittenFormat['repeatably']
  readonly options?: Partial<WriteDiskOptions>
  readonly sink?: (sink: ByteSink) => ByteSink
}

/** Several reads and several blocks of any format, more than half of it noise. */
function someContent(): DiskContent {
  const content = diskContents['data and holes, and an odd size']
  const noise = diskContents['data everywhere']
  const moved = noise.pieces.map(({ offset, bytes }) => ({ offset: offset + 8 * MiB, bytes }))
  return { size: content.size, pieces: [...content.pieces, ...moved].toSorted((a, b) => a.offset - b.offset) }
}

/** What a pipe or an HTTP body takes; zeros are passed on, so that a test of 1 TiB ends. */
function sequentialPart(file: SeekableSink): ByteSink {
  const { name, write, writeZeros, finish, abort } = file
  return { name, write, finish, abort, ...(writeZeros && { writeZeros }) }
}

/** Something happens when a good part of the data has been read. */
function disturbed(disk: Disk, happens: () => void): Disk {
  let left = 2_500_000
  return {
    ...disk,
    async read(target, offset, options) {
      left -= target.length
      if (left < 0) happens()
      await disk.read(target, offset, options)
    },
  }
}

function limited(sink: ByteSink, take: (length: number) => void): ByteSink {
  const counted: ByteSink = {
    ...sink,
    async write(chunk, options) {
      take(chunk.length)
      await sink.write(chunk, options)
    },
  }
  if (!isSeekable(sink)) return counted
  const seekable: SeekableSink = {
    ...sink,
    ...counted,
    async writeAt(chunk, position, options) {
      take(chunk.length)
      await sink.writeAt(chunk, position, options)
    },
  }
  return seekable
}

import type { AbortOptions } from '../../core/abort.ts'
import { formatSize, KiB, MiB, roundUp } from '../../core/bytes.ts'
import { type ByteSink, isSeekable, type SeekableSink } from '../../transfer/byte-sink.ts'
import { isZero } from '../../transfer/zeros.ts'
import { rangeEnd, rangeStart } from '../byte-ranges.ts'
import type { Disk } from '../disk.ts'
import { DiskError } from '../errors.ts'
import { type FileOutput, seekableOutput, sequentialOutput } from '../file-output.ts'
import { readAhead } from '../read-ahead.ts'
import { encodeVmdkHeader, writtenDescriptorSectors, writtenGrainSectors } from './encode-vmdk-header.ts'
import type { VmdkPartOptions } from './stream-optimized-writer.ts'
import {
  descriptorSector,
  entriesPerGrainTable,
  entryBytes,
  grainTableBytes,
  headerFlags,
  sectorSize,
} from './vmdk-layout.ts'

const grainSize = writtenGrainSectors * sectorSize
const lastSector = 0xffff_ffff
const bufferSize = 2 * MiB
/** Bytes of grain tables that are written at once. */
const pageBytes = 64 * KiB

/** Where everything but the grains goes, in bytes. */
interface Layout {
  readonly size: number
  readonly directoryBytes: number
  readonly tableBytes: number
  /** The second copy stands first, as every writer has it. */
  readonly copies: readonly [redundant: TableCopy, first: TableCopy]
  /** Where the first grain goes. */
  readonly overHead: number
}

interface TableCopy {
  readonly directory: number
  readonly tables: number
}

/**
 * Writes the disk as a monolithicSparse VMDK: header, descriptor, both copies of directory and grain tables (4 bytes per grain of
 * 64 KiB each, whether it is stored or not, as programs that write into the disk expect it), and the grains in the order of
 * the disk. A sink is treated by what it can do:
 *
 * - A file gets its header last, so that an interrupted one is never an image; grains of zeros found in the data are left out.
 * - A pipe or an HTTP body gets the tables before the data are read, by the disk's extents; zeros found in them are stored.
 *
 * Memory is 8 MiB.
 * @throws DiskError `DISK_OPTION_INVALID` when the data take more than 2 TiB
 */
export async function writeMonolithicSparse(
  disk: Disk,
  sink: ByteSink,
  options: VmdkPartOptions,
): Promise<void> {
  const layout = layoutOf(options.size)
  await (isSeekable(sink)
    ? writeAnywhere(disk, sink, { ...options, layout })
    : writeInOrder(disk, sink, { ...options, layout }))
}

interface SparseOptions extends VmdkPartOptions {
  layout: Layout
}

async function writeInOrder(disk: Disk, sink: ByteSink, options: SparseOptions): Promise<void> {
  const { layout, descriptor, runs, onBytes, signal } = options
  placeOf(layout, Math.max(0, runs.total / grainSize - 1))
  const header = headerOf(layout)
  await sink.write(header, { signal })
  const output = sequentialOutput(sink, header.length)
  await output.write({ position: descriptorSector * sectorSize, bytes: descriptor }, { signal })
  for (const copy of layout.copies) {
    await writeDirectory(output, layout, { copy, signal })
    const tables = tableWriter(output, [copy])
    let stored = 0
    for (let index = 0; index < runs.count; index += 1) {
      for (let offset = rangeStart(runs, index); offset < rangeEnd(runs, index); offset += grainSize) {
        await tables.set(offset / grainSize, placeOf(layout, stored) / sectorSize, { signal })
        stored += 1
      }
    }
    await tables.finish({ signal })
  }
  let position = layout.overHead
  for await (const { data } of readAhead(disk, { bufferSize, alignment: grainSize, runs, signal })) {
    await output.write({ position, bytes: data }, { signal })
    position += data.length
    onBytes(data.length)
  }
  await output.extendTo(roundUp(position, grainSize), { signal })
}

async function writeAnywhere(disk: Disk, sink: SeekableSink, options: SparseOptions): Promise<void> {
  const { layout, descriptor, runs, onBytes, signal } = options
  const output = seekableOutput(sink)
  await output.write({ position: descriptorSector * sectorSize, bytes: descriptor }, { signal })
  for (const copy of layout.copies) await writeDirectory(output, layout, { copy, signal })
  const tables = tableWriter(output, layout.copies)
  let stored = 0
  for await (const { offset, data } of readAhead(disk, { bufferSize, alignment: grainSize, runs, signal })) {
    let start = 0
    const writeUpTo = async (end: number): Promise<void> => {
      const bytes = data.subarray(start, end)
      const grains = Math.ceil(bytes.length / grainSize)
      if (grains > 0) await output.write({ position: placeOf(layout, stored - grains), bytes }, { signal })
    }
    for (let from = 0; from < data.length; from += grainSize) {
      if (isZero(data, from, Math.min(from + grainSize, data.length))) {
        await writeUpTo(from)
        start = from + grainSize
        continue
      }
      await tables.set((offset + from) / grainSize, placeOf(layout, stored) / sectorSize, { signal })
      stored += 1
    }
    await writeUpTo(data.length)
    onBytes(data.length)
  }
  await tables.finish({ signal })
  await output.extendTo(layout.overHead + stored * grainSize, { signal })
  await output.write({ position: 0, bytes: headerOf(layout) }, { signal })
}

function layoutOf(size: number): Layout {
  const tables = Math.ceil(size / (grainSize * entriesPerGrainTable))
  const directoryBytes = roundUp(tables * entryBytes, sectorSize)
  const tableBytes = tables * grainTableBytes
  const copyAt = (directory: number): TableCopy => ({ directory, tables: directory + directoryBytes })
  const redundant = copyAt((descriptorSector + writtenDescriptorSectors) * sectorSize)
  const first = copyAt(redundant.tables + tableBytes)
  const overHead = roundUp(first.tables + tableBytes, grainSize)
  return { size, directoryBytes, tableBytes, copies: [redundant, first], overHead }
}

function headerOf({ size, copies: [redundant, first], overHead }: Layout): Buffer {
  return encodeVmdkHeader({
    version: 1,
    flags: headerFlags.redundantGrainTable,
    capacity: size / sectorSize,
    rgdOffset: redundant.directory / sectorSize,
    gdOffset: first.directory / sectorSize,
    overHead: overHead / sectorSize,
  })
}

/** Where the grain goes that comes after `earlier` ones. */
function placeOf({ size, overHead }: Layout, earlier: number): number {
  const place = overHead + earlier * grainSize
  if (place / sectorSize <= lastSector) return place
  throw new DiskError(
    'DISK_OPTION_INVALID',
    `A VMDK cannot hold more than 2 TiB of data, and this disk of ${formatSize(size)} has more.`,
    { hint: 'Choose another format: qcow2, VHDX or raw.' },
  )
}

async function writeDirectory(
  output: FileOutput,
  { directoryBytes, tableBytes }: Layout,
  { copy, signal }: AbortOptions & { copy: TableCopy },
): Promise<void> {
  const bytes = Buffer.alloc(directoryBytes)
  for (let index = 0; index * grainTableBytes < tableBytes; index += 1) {
    bytes.writeUInt32LE((copy.tables + index * grainTableBytes) / sectorSize, index * entryBytes)
  }
  await output.write({ position: copy.directory, bytes }, { signal })
}

interface TableWriter {
  /** Enters a grain; they come in ascending order. */
  set(grain: number, sector: number, options: AbortOptions): Promise<void>
  /** Writes what is left. */
  finish(options: AbortOptions): Promise<void>
}

/** Writes the pages of the grain tables that have an entry, to each of the copies; all others stay zeros. */
function tableWriter(output: FileOutput, copies: readonly TableCopy[]): TableWriter {
  const page = Buffer.alloc(pageBytes)
  let start = -1
  let end = 0

  async function finish(options: AbortOptions): Promise<void> {
    if (start < 0) return
    for (const { tables } of copies) {
      await output.write({ position: tables + start, bytes: page.subarray(0, end) }, options)
    }
    page.fill(0)
  }

  return {
    finish,
    async set(grain, sector, options) {
      const at = grain * entryBytes
      const pageStart = at - (at % pageBytes)
      if (pageStart !== start) await finish(options)
      start = pageStart
      page.writeUInt32LE(sector, at - start)
      end = at - start + entryBytes
    },
  }
}

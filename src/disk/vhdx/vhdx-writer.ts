import { randomUUID } from 'node:crypto'
import { type AbortOptions, throwIfCancelled } from '../../core/abort.ts'
import { KiB, MiB } from '../../core/bytes.ts'
import { type ByteSink, isSeekable } from '../../transfer/byte-sink.ts'
import type { ByteRange } from '../../transfer/byte-source.ts'
import { forEachNonZeroRun } from '../../transfer/zeros.ts'
import { eachRange } from '../byte-ranges.ts'
import { collectDataRuns } from '../data-runs.ts'
import type { Disk } from '../disk.ts'
import { type Placed, seekableOutput, sequentialOutput } from '../file-output.ts'
import { outputGranule } from '../output-traits.ts'
import { paddedDisk } from '../padded-disk.ts'
import { type DiskPiece, readAhead } from '../read-ahead.ts'
import {
  batOffset,
  encodeHeaderSection,
  encodeMetadata,
  metadataOffset,
  type NewVhdx,
  type VhdxIds,
} from './encode-vhdx.ts'
import { type VhdxPlan, vhdxPlan } from './vhdx-plan.ts'

export interface WriteVhdxOptions extends AbortOptions {
  /** `fixed` has a place for every block from the start; `dynamic`, the default, for those that hold data. */
  subformat?: string
  /** New ones by default. */
  ids?: VhdxIds
  /** Bytes of guest data done and in all; what the disk calls zero does not count. */
  onProgress?: (done: number, total: number) => void
}

/** Few and large is what file systems like best. */
const bufferSize = 2 * MiB
/** Zeros are looked for, and holes left, in steps of this many bytes. */
const granule = 64 * KiB

/**
 * Writes the disk as a VHDX image with an empty log: headers, log, metadata, BAT, then the blocks in the order of the disk.
 * What the disk's extents call zero is not read.
 *
 * - A file gets its headers last, so that an interrupted one is never an image; blocks of zeros found in the data are left
 *   out, and shorter zeros become holes.
 * - A pipe or an HTTP body gets the BAT first, which follows from the extents: zeros found in the data are stored.
 *
 * Does not finish the sink. Memory is 6 MiB, the BAT, at most 8 MiB, and 16 bytes per run of data.
 *
 * @throws DiskError `DISK_OPTION_INVALID` for an empty disk, or one larger than the format allows
 */
export async function writeVhdx(disk: Disk, sink: ByteSink, options: WriteVhdxOptions = {}): Promise<void> {
  const { subformat = 'dynamic', signal, onProgress } = options
  throwIfCancelled(signal)
  const padded = paddedDisk(disk, outputGranule('vhdx', subformat))
  const plan = vhdxPlan(padded.size)
  const isFixed = subformat === 'fixed'
  const runs = await collectDataRuns(padded, { alignment: granule, signal })
  const image: NewVhdx = { ...plan, isFixed, ids: options.ids ?? newIds() }
  const seekable = isSeekable(sink)
  if (isFixed) placeBlocks(plan, [{ offset: 0, length: plan.size }])
  else if (!seekable) placeBlocks(plan, eachRange(runs))

  const output = seekable ? seekableOutput(sink) : sequentialOutput(sink, 0)
  const writeHeaders = () => output.write({ position: 0, bytes: encodeHeaderSection(image) }, { signal })
  const writeTables = async () => {
    await output.write({ position: metadataOffset, bytes: encodeMetadata(image) }, { signal })
    await output.write({ position: batOffset, bytes: plan.bat() }, { signal })
  }
  const writeData = async () => {
    let done = 0
    onProgress?.(done, runs.total)
    for await (const piece of readAhead(padded, { bufferSize, runs, signal })) {
      for (const placed of placePiece(plan, piece)) await output.write(placed, { signal })
      done += piece.data.length
      onProgress?.(done, runs.total)
    }
    await output.extendTo(plan.fileSize(), { signal })
  }
  const steps = seekable ? [writeData, writeTables, writeHeaders] : [writeHeaders, writeTables, writeData]
  for (const step of steps) await step()
}

function newIds(): VhdxIds {
  return { fileWrite: randomUUID(), dataWrite: randomUUID(), virtualDisk: randomUUID() }
}

/** Gives all blocks of these ranges their places. */
function placeBlocks(plan: VhdxPlan, ranges: Iterable<ByteRange>): void {
  const { blockSize } = plan
  for (const { offset, length } of ranges) {
    const end = offset + length
    for (let block = Math.floor(offset / blockSize); block * blockSize < end; block += 1) plan.placeOf(block)
  }
}

/** The writes a piece asks for: what is not zeros, and as one what lies side by side both in piece and file. */
function placePiece(plan: VhdxPlan, { offset, data }: DiskPiece): Placed[] {
  const { blockSize } = plan
  const writes: { position: number; start: number; end: number }[] = []
  forEachNonZeroRun(data, granule, (runStart, runEnd) => {
    for (let start = runStart; start < runEnd; ) {
      const block = Math.floor((offset + start) / blockSize)
      const end = Math.min(runEnd, (block + 1) * blockSize - offset)
      const position = plan.placeOf(block) + ((offset + start) % blockSize)
      const last = writes.at(-1)
      if (last?.end === start && last.position + (start - last.start) === position) last.end = end
      else writes.push({ position, start, end })
      start = end
    }
  })
  return writes.map(({ position, start, end }) => ({ position, bytes: data.subarray(start, end) }))
}

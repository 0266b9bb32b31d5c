import type { AbortOptions } from '../../core/abort.ts'
import { KiB, MiB } from '../../core/bytes.ts'
import type { ByteRange } from '../../transfer/byte-source.ts'
import { forEachNonZeroRun, isZero } from '../../transfer/zeros.ts'
import { type ByteRanges, eachRange } from '../byte-ranges.ts'
import type { Disk } from '../disk.ts'
import type { FileOutput, Placed } from '../file-output.ts'
import { type DiskPiece, readAhead } from '../read-ahead.ts'
import { type BlockTableWriter, blockTableWriter, type NewBlockTable } from './block-table-writer.ts'

/** Where everything but the headers goes in a new file of blocks. */
export interface BlockLayout {
  readonly blockSize: number
  readonly table: NewBlockTable
  /** Every block has its place, in the order of the disk, whether it holds data or not. */
  readonly preallocated: boolean
  /** Where in the file the data of a block begin, when `earlier` blocks were stored before it. */
  placeOf(earlier: number): number
  /** What the table says of that block. */
  entryOf(earlier: number): number
  /** Bytes that stand right before the data of every block. */
  readonly lead: Uint8Array
}

export interface WriteBlocksOptions extends AbortOptions {
  disk: Disk
  layout: BlockLayout
  /** The data of the disk, widened to blocks. */
  runs: ByteRanges
  output: FileOutput
  /** Told the guest bytes of every step. */
  onBytes: (bytes: number) => void
}

/** Few and large is what file systems like best. */
const bufferSize = 2 * MiB
/** Zeros are looked for, and holes left, in steps of this many bytes. */
const granule = 64 * KiB

/**
 * Writes the table first and then the blocks, all of it ascending: for a pipe or an HTTP body. Zeros in the data are
 * stored, since the table says before they are read that they are there.
 * @returns how many blocks were stored
 */
export async function writeBlocksInOrder(options: WriteBlocksOptions): Promise<number> {
  const { layout, runs, disk, output, onBytes, signal } = options
  const { blockSize, lead, preallocated } = layout
  const table = blockTableWriter(output, layout.table)
  const blocks = preallocated ? [{ offset: 0, length: disk.size }] : eachRange(runs)
  const stored = await enterBlocks(layout, blocks, { table, signal })
  await table.finish({ signal })
  let next = 0
  for await (const { offset, data } of readAhead(disk, { bufferSize, alignment: blockSize, runs, signal })) {
    for (const [index, block] of blocksOf({ offset, data }, blockSize)) {
      const position = layout.placeOf(preallocated ? index : next)
      next += 1
      if (lead.length > 0) await output.write({ position: position - lead.length, bytes: lead }, { signal })
      await output.write({ position, bytes: block }, { signal })
    }
    onBytes(data.length)
  }
  return stored
}

/**
 * Writes the blocks, the table as it becomes known, and nothing twice: for a file. Blocks of zeros found in the data are
 * left out, shorter runs of zeros become holes.
 * @returns how many blocks were stored
 */
export async function writeBlocksAnywhere(options: WriteBlocksOptions): Promise<number> {
  const { layout, runs, disk, output, onBytes, signal } = options
  const { blockSize, lead, preallocated } = layout
  const table = blockTableWriter(output, layout.table)
  let stored = preallocated
    ? await enterBlocks(layout, [{ offset: 0, length: disk.size }], { table, signal })
    : 0
  for await (const piece of readAhead(disk, { bufferSize, alignment: blockSize, runs, signal })) {
    const writes: Placed[] = []
    for (const [index, block] of blocksOf(piece, blockSize)) {
      if (isZero(block)) continue
      const ordinal = preallocated ? index : stored
      if (!preallocated) {
        await table.set(index, layout.entryOf(ordinal), { signal })
        stored += 1
      }
      const position = layout.placeOf(ordinal)
      if (lead.length > 0) writes.push({ position: position - lead.length, bytes: lead })
      forEachNonZeroRun(block, granule, (start, end) =>
        writes.push({ position: position + start, bytes: block.subarray(start, end) }),
      )
    }
    for (const placed of joined(writes)) await output.write(placed, { signal })
    onBytes(piece.data.length)
  }
  await table.finish({ signal })
  return stored
}

async function enterBlocks(
  { blockSize, entryOf }: BlockLayout,
  runs: Iterable<ByteRange>,
  { table, signal }: AbortOptions & { table: BlockTableWriter },
): Promise<number> {
  let stored = 0
  for (const { offset, length } of runs) {
    for (let index = offset / blockSize; index * blockSize < offset + length; index += 1) {
      await table.set(index, entryOf(stored), { signal })
      stored += 1
    }
  }
  return stored
}

/** The blocks of a piece with their numbers; the disk's last may be short. */
function* blocksOf(
  { offset, data }: DiskPiece,
  blockSize: number,
): Generator<[index: number, block: Uint8Array], void, undefined> {
  for (let from = 0; from < data.length; from += blockSize) {
    yield [(offset + from) / blockSize, data.subarray(from, from + blockSize)]
  }
}

/** Writes that follow each other both in memory and in the file as one. */
function joined(writes: readonly Placed[]): Placed[] {
  const result: Placed[] = []
  for (const { position, bytes } of writes) {
    const last = result.at(-1)
    const follows =
      last !== undefined &&
      last.position + last.bytes.length === position &&
      last.bytes.buffer === bytes.buffer &&
      last.bytes.byteOffset + last.bytes.length === bytes.byteOffset
    if (!follows) {
      result.push({ position, bytes })
      continue
    }
    const all = new Uint8Array(bytes.buffer, last.bytes.byteOffset, last.bytes.length + bytes.length)
    result[result.length - 1] = { position: last.position, bytes: all }
  }
  return result
}

import type { AbortOptions } from '../../core/abort.ts'
import { KiB, roundUp } from '../../core/bytes.ts'
import { type ByteSink, isSeekable } from '../../transfer/byte-sink.ts'
import { blockEntryBytes } from '../blocks/block-map.ts'
import { type BlockLayout, writeBlocksAnywhere, writeBlocksInOrder } from '../blocks/write-blocks.ts'
import { collectDataRuns } from '../data-runs.ts'
import type { Disk } from '../disk.ts'
import { seekableOutput, sequentialOutput } from '../file-output.ts'
import { encodeDynamicHeader } from './encode-vhd.ts'
import { defaultVhdBlockSize, dynamicHeaderBytes, footerBytes, vhdSectorSize } from './vhd-layout.ts'

export interface WriteDynamicVhdOptions extends AbortOptions {
  footer: Buffer
  onProgress: (done: number, total: number) => void
}

/**
 * The data of each block begin at a multiple of this, where Windows has them too, since sectors of disks are so large. Only
 * the bitmap before them makes that a matter of choice.
 */
const dataAlignment = 4 * KiB
/** A bit for each sector of the block: all of it is there. */
const bitmap = Buffer.alloc(defaultVhdBlockSize / vhdSectorSize / 8, 0xff)

/** Writes a disk of whole sectors: copy of the footer, header, table, blocks in the order of the disk, footer. */
export async function writeDynamicVhd(
  disk: Disk,
  sink: ByteSink,
  { footer, onProgress, signal }: WriteDynamicVhdOptions,
): Promise<void> {
  const layout = layoutOf(disk.size)
  const runs = await collectDataRuns(disk, { alignment: layout.blockSize, signal })
  let done = 0
  const onBytes = (bytes: number) => {
    done += bytes
    onProgress(done, runs.total)
  }
  onProgress(done, runs.total)
  const headers = Buffer.concat([
    footer,
    encodeDynamicHeader({
      tableOffset: layout.table.offset,
      tableEntries: Math.ceil(disk.size / layout.blockSize),
    }),
  ])
  const common = { disk, layout, runs, onBytes, signal }
  if (isSeekable(sink)) {
    // The headers last: an interrupted file is never an image.
    const output = seekableOutput(sink)
    const stored = await writeBlocksAnywhere({ ...common, output })
    await output.write({ position: endOf(layout, stored), bytes: footer }, { signal })
    await output.write({ position: 0, bytes: headers }, { signal })
    return
  }
  const output = sequentialOutput(sink, 0)
  await output.write({ position: 0, bytes: headers }, { signal })
  const stored = await writeBlocksInOrder({ ...common, output })
  await output.write({ position: endOf(layout, stored), bytes: footer }, { signal })
}

function layoutOf(size: number): BlockLayout {
  const blockSize = defaultVhdBlockSize
  const offset = footerBytes + dynamicHeaderBytes
  const bytes = roundUp(Math.ceil(size / blockSize) * blockEntryBytes, vhdSectorSize)
  const first = roundUp(offset + bytes + bitmap.length, dataAlignment)
  const stride = roundUp(bitmap.length + blockSize, dataAlignment)
  const placeOf = (earlier: number) => first + earlier * stride
  return {
    blockSize,
    table: { offset, bytes, bigEndian: true },
    preallocated: false,
    placeOf,
    entryOf: (earlier) => (placeOf(earlier) - bitmap.length) / vhdSectorSize,
    lead: bitmap,
  }
}

function endOf({ placeOf, blockSize, table }: BlockLayout, stored: number): number {
  return stored === 0 ? table.offset + table.bytes : placeOf(stored - 1) + blockSize
}

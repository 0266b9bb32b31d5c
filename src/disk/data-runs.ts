import type { AbortOptions } from '../core/abort.ts'
import { roundUp } from '../core/bytes.ts'
import type { ByteRange } from '../transfer/byte-source.ts'
import { type ByteRanges, ByteRangesBuilder } from './byte-ranges.ts'
import type { Disk } from './disk.ts'

export interface DataRunOptions extends AbortOptions {
  /**
   * Bytes; every run starts at a multiple of it and ends at one or at the disk's end, and runs that then touch are
   * one. A writer passes its cluster or grain size.
   */
  alignment: number
}

/** The parts of a disk that may hold something else than zeros, widened to `alignment`, in order. */
export async function* dataRuns(
  disk: Disk,
  { alignment, signal }: DataRunOptions,
): AsyncGenerator<ByteRange, void, undefined> {
  let start = 0
  let end = 0
  for await (const extent of disk.extents({ signal })) {
    if (extent.kind === 'zero') continue
    const extentStart = extent.offset - (extent.offset % alignment)
    const extentEnd = Math.min(roundUp(extent.offset + extent.length, alignment), disk.size)
    if (extentStart > end) {
      if (end > start) yield { offset: start, length: end - start }
      start = extentStart
    }
    end = Math.max(end, extentEnd)
  }
  if (end > start) yield { offset: start, length: end - start }
}

/**
 * All of `dataRuns` at once, 16 bytes each: the allocation map that has to be known before the first byte of most
 * formats, and the total of a progress bar.
 */
export async function collectDataRuns(disk: Disk, options: DataRunOptions): Promise<ByteRanges> {
  const builder = new ByteRangesBuilder()
  for await (const run of dataRuns(disk, options)) builder.add(run.offset, run.length)
  return builder.build()
}

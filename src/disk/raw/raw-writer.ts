import type { AbortOptions } from '../../core/abort.ts'
import { KiB, MiB } from '../../core/bytes.ts'
import { type ByteSink, isSeekable } from '../../transfer/byte-sink.ts'
import { writeZeros } from '../../transfer/write-zeros.ts'
import { forEachNonZeroRun } from '../../transfer/zeros.ts'
import { collectDataRuns } from '../data-runs.ts'
import type { Disk } from '../disk.ts'
import { readAhead } from '../read-ahead.ts'

export interface WriteRawOptions extends AbortOptions {
  /** Guest data bytes done and in all; zeros between the data do not count, short runs of them apart. */
  onProgress?: (done: number, total: number) => void
}

/** Zeros are looked for, and holes left, in steps of this many bytes. */
const granule = 64 * KiB
/** Zero runs shorter than this between data are read along: that takes less time than one more read. */
const alignment = 256 * KiB
const bufferSize = 2 * MiB

/**
 * Writes the guest's bytes, front to end, into any sink. Long zero runs of the disk are not read, and zeros found in its
 * data are passed on as zeros, so that a file becomes sparse. Does not finish the sink. Memory is 6 MiB.
 */
export async function writeRaw(disk: Disk, sink: ByteSink, options: WriteRawOptions = {}): Promise<void> {
  const { signal, onProgress } = options
  const runs = await collectDataRuns(disk, { alignment, signal })
  // A file that has its length from the start need not be extended for every hole.
  if (isSeekable(sink)) await sink.truncate(disk.size)
  let position = 0
  let done = 0
  onProgress?.(done, runs.total)
  for await (const { offset, data } of readAhead(disk, { bufferSize, alignment, runs, signal })) {
    for (const [start, end] of nonZeroRuns(data)) {
      if (offset + start > position) await writeZeros(sink, offset + start - position, { signal })
      await sink.write(data.subarray(start, end), { signal })
      position = offset + end
    }
    done += data.length
    onProgress?.(done, runs.total)
  }
  if (disk.size > position) await writeZeros(sink, disk.size - position, { signal })
}

function nonZeroRuns(data: Uint8Array): [start: number, end: number][] {
  const found: [number, number][] = []
  forEachNonZeroRun(data, granule, (start, end) => found.push([start, end]))
  return found
}

import { randomUUID } from 'node:crypto'
import { type AbortOptions, throwIfCancelled } from '../../core/abort.ts'
import { formatSize } from '../../core/bytes.ts'
import type { ByteSink } from '../../transfer/byte-sink.ts'
import type { Disk } from '../disk.ts'
import { DiskError } from '../errors.ts'
import { outputGranule } from '../output-traits.ts'
import { paddedDisk } from '../padded-disk.ts'
import { writeRaw } from '../raw/raw-writer.ts'
import { encodeVhdFooter } from './encode-vhd.ts'
import { maximumDynamicSize, maximumFixedSize } from './vhd-layout.ts'
import { writeDynamicVhd } from './write-dynamic-vhd.ts'

export interface WriteVhdOptions extends AbortOptions {
  /** `dynamic`, the default, holds what is data; `fixed` is the disk and a footer, filled up to whole MiB as Azure wants it. */
  subformat?: string
  /** New by default. */
  uniqueId?: string
  /** Now by default. */
  createdAt?: Date
  /** Bytes of guest data done and in all; what the disk calls zero does not count. */
  onProgress?: (done: number, total: number) => void
}

/**
 * Writes the disk as a VHD, dynamic with blocks of 2 MiB or fixed. All programs read the exact size from it. What the
 * disk's extents call zero is not read.
 *
 * A fixed image is written front to end into any sink. Of a dynamic one a file gets its headers last, and blocks of zeros
 * found in the data are left out; a pipe or an HTTP body gets the table first, which follows from the extents, so that zeros
 * found in the data are stored.
 *
 * Does not finish the sink. Memory is 6 MiB, and 16 bytes per run of data.
 *
 * @throws DiskError `DISK_OPTION_INVALID` for an empty disk, or one larger than readers of the format take
 */
export async function writeVhd(disk: Disk, sink: ByteSink, options: WriteVhdOptions = {}): Promise<void> {
  const { subformat, uniqueId = randomUUID(), createdAt = new Date(), signal } = options
  const { onProgress = () => undefined } = options
  throwIfCancelled(signal)
  const type = subformat === 'fixed' ? 'fixed' : 'dynamic'
  const padded = paddedDisk(disk, outputGranule('vhd', type))
  refuseSize(padded.size, type)
  const footer = encodeVhdFooter({ type, size: padded.size, uniqueId, createdAt })
  if (type === 'dynamic') return writeDynamicVhd(padded, sink, { footer, onProgress, signal })
  await writeRaw(padded, sink, { onProgress, signal })
  await sink.write(footer, { signal })
}

const maximumSizes = {
  dynamic: [maximumDynamicSize, '2040 GiB'],
  fixed: [maximumFixedSize, '32 TiB'],
} as const

function refuseSize(size: number, type: 'fixed' | 'dynamic'): void {
  const [maximum, title] = maximumSizes[type]
  if (size > 0 && size <= maximum) return
  const hint =
    size === 0
      ? 'A VHD has at least one sector.'
      : `A ${type} VHD holds at most ${title}: write vhdx, qcow2 or raw.`
  throw new DiskError('DISK_OPTION_INVALID', `A VHD cannot hold a disk of ${formatSize(size)}.`, { hint })
}

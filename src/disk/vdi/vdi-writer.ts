import { randomUUID } from 'node:crypto'
import { type AbortOptions, throwIfCancelled } from '../../core/abort.ts'
import { formatSize, roundUp } from '../../core/bytes.ts'
import { type ByteSink, isSeekable } from '../../transfer/byte-sink.ts'
import { blockEntryBytes } from '../blocks/block-map.ts'
import { type BlockLayout, writeBlocksAnywhere, writeBlocksInOrder } from '../blocks/write-blocks.ts'
import { collectDataRuns } from '../data-runs.ts'
import type { Disk } from '../disk.ts'
import { DiskError } from '../errors.ts'
import { seekableOutput, sequentialOutput } from '../file-output.ts'
import { outputGranule } from '../output-traits.ts'
import { paddedDisk } from '../padded-disk.ts'
import { encodeVdiHeader, type VdiIds } from './encode-vdi-header.ts'
import { vdiBlockSize, vdiSectorSize } from './vdi-layout.ts'

export interface WriteVdiOptions extends AbortOptions {
  /** `fixed` has a place for every block from the start; `dynamic`, the default, for those that hold data. */
  subformat?: string
  /** The ids of the image and of its state; new ones by default, since VirtualBox takes no two images of one id. */
  ids?: VdiIds
  /** Bytes of guest data done and in all; what the disk calls zero does not count. */
  onProgress?: (done: number, total: number) => void
}

/** As QEMU places it: right behind the header. */
const mapOffset = 0x200
/** The header has 32 bits for it. */
const maximumDataOffset = 0xffffffff

/**
 * Writes the disk as a VDI image: header, map, then from a boundary of 1 MiB on the blocks in the order of the disk. What
 * the disk's extents call zero is not read.
 *
 * - A file gets its header last, so that an interrupted one is never an image; blocks of zeros found in the data are left
 *   out, and shorter zeros become holes.
 * - A pipe or an HTTP body gets the map first, which follows from the extents: zeros found in the data are stored.
 *
 * Does not finish the sink. Memory is 6 MiB, and 16 bytes per run of data.
 *
 * @throws DiskError `DISK_OPTION_INVALID` for an empty disk, or one larger than the format allows
 */
export async function writeVdi(disk: Disk, sink: ByteSink, options: WriteVdiOptions = {}): Promise<void> {
  const { subformat = 'dynamic', signal, onProgress } = options
  const ids = options.ids ?? { image: randomUUID(), modification: randomUUID() }
  throwIfCancelled(signal)
  const padded = paddedDisk(disk, outputGranule('vdi', subformat))
  const type = subformat === 'fixed' ? 'fixed' : 'dynamic'
  const layout = layoutOf(padded.size, type)
  const runs = await collectDataRuns(padded, { alignment: vdiBlockSize, signal })
  let done = 0
  const onBytes = (bytes: number) => {
    done += bytes
    onProgress?.(done, runs.total)
  }
  onProgress?.(0, runs.total)
  const header = (allocated: number) => {
    return encodeVdiHeader({
      type,
      size: padded.size,
      mapOffset,
      dataOffset: layout.placeOf(0),
      allocated,
      ids,
    })
  }
  const common = { disk: padded, layout, runs, onBytes, signal }
  if (isSeekable(sink)) {
    const output = seekableOutput(sink)
    const stored = await writeBlocksAnywhere({ ...common, output })
    await output.extendTo(layout.placeOf(stored), { signal })
    await output.write({ position: 0, bytes: header(stored) }, { signal })
    return
  }
  const planned = type === 'fixed' ? blocksIn(padded.size) : blocksIn(runs.total)
  const output = sequentialOutput(sink, 0)
  await output.write({ position: 0, bytes: header(planned) }, { signal })
  await writeBlocksInOrder({ ...common, output })
  await output.extendTo(layout.placeOf(planned), { signal })
}

function layoutOf(size: number, type: 'dynamic' | 'fixed'): BlockLayout {
  const blocks = blocksIn(size)
  const mapBytes = roundUp(blocks * blockEntryBytes, vdiSectorSize)
  const dataOffset = roundUp(mapOffset + mapBytes, vdiBlockSize)
  if (blocks === 0 || dataOffset > maximumDataOffset) {
    throw new DiskError('DISK_OPTION_INVALID', `A VDI image cannot hold a disk of ${formatSize(size)}.`, {
      hint: blocks === 0 ? 'VirtualBox has no empty disks.' : 'Write qcow2 or raw.',
    })
  }
  return {
    blockSize: vdiBlockSize,
    table: { offset: mapOffset, bytes: mapBytes, bigEndian: false },
    preallocated: type === 'fixed',
    placeOf: (earlier) => dataOffset + earlier * vdiBlockSize,
    entryOf: (earlier) => earlier,
    lead: Buffer.alloc(0),
  }
}

/** Of a run of whole blocks, of which only the disk's last may be short. */
function blocksIn(bytes: number): number {
  return Math.ceil(bytes / vdiBlockSize)
}

import { type AbortOptions, throwIfCancelled } from '../../core/abort.ts'
import { KiB, roundUp } from '../../core/bytes.ts'
import type { ByteSink } from '../../transfer/byte-sink.ts'
import { collectDataRuns } from '../data-runs.ts'
import type { Disk } from '../disk.ts'
import { DiskError } from '../errors.ts'
import { outputTraits } from '../output-traits.ts'
import { encodeDescriptor } from './encode-descriptor.ts'
import { writeMonolithicSparse } from './monolithic-sparse-writer.ts'
import { writeStreamOptimized } from './stream-optimized-writer.ts'
import { sectorSize } from './vmdk-layout.ts'

export interface WriteVmdkOptions extends AbortOptions {
  /** `streamOptimized` (by default) or `monolithicSparse`. */
  subformat?: string
  /** Effort of the compression of a streamOptimized disk, 1 to 9. Default 5: within 3 % of the size qemu-img gives. */
  level?: number
  /** Name the file will have, without folders; `disk.vmdk` when absent or not fit for a descriptor. */
  fileName?: string
  /** Bytes of guest data done and in all; what the disk calls zero does not count. */
  onProgress?: (done: number, total: number) => void
}

const defaultLevel = 5
const alignment = 64 * KiB

/**
 * Writes the disk as a VMDK. The same disk and name always give the same file, but that zeros which the disk calls data are
 * stored in a monolithicSparse pipe and not in a file. Does not finish the sink. Memory is that of the writer of the
 * subformat, and 16 bytes per run of data.
 * @throws DiskError `DISK_OPTION_INVALID` for an unknown subformat, a level that there is not, a disk without a sector, more
 *   than 2 TiB of data in the file
 */
export async function writeVmdk(disk: Disk, sink: ByteSink, options: WriteVmdkOptions = {}): Promise<void> {
  const { level, fileName, signal, onProgress } = options
  throwIfCancelled(signal)
  const createType = checkedSubformat(options.subformat)
  const isStream = createType === 'streamOptimized'
  if (level !== undefined) checkLevel(level, isStream)
  if (disk.size === 0) throw new DiskError('DISK_OPTION_INVALID', 'A VMDK has at least one sector.')
  const size = roundUp(disk.size, sectorSize)
  const runs = await collectDataRuns(disk, { alignment, signal })
  const descriptor = encodeDescriptor({ createType, size, fileName, runs })
  let done = 0
  const onBytes = (bytes: number) => {
    done += bytes
    onProgress?.(done, runs.total)
  }
  onProgress?.(0, runs.total)
  const parts = { size, descriptor, runs, onBytes, signal }
  if (isStream) await writeStreamOptimized(disk, sink, { ...parts, level: level ?? defaultLevel })
  else await writeMonolithicSparse(disk, sink, parts)
}

const { subformats } = outputTraits.vmdk

function checkedSubformat(name: string = subformats[0]): (typeof subformats)[number] {
  const found = subformats.find((candidate) => candidate === name)
  if (found) return found
  throw new DiskError('DISK_OPTION_INVALID', `There is no VMDK of the kind ${JSON.stringify(name)} here.`, {
    hint: `Choose one of: ${subformats.join(', ')}.`,
  })
}

function checkLevel(level: number, isStream: boolean): void {
  if (!isStream) {
    throw new DiskError(
      'DISK_OPTION_INVALID',
      'A monolithicSparse VMDK is not compressed, so it has no level.',
    )
  }
  if (Number.isInteger(level) && level >= 1 && level <= 9) return
  throw new DiskError('DISK_OPTION_INVALID', `There is no level ${level} of zlib.`, {
    hint: 'Choose a whole number from 1 to 9.',
  })
}

import type { AbortOptions } from '../core/abort.ts'
import { type ByteRanges, byteRanges } from '../disk/byte-ranges.ts'
import type { Disk } from '../disk/disk.ts'
import { maskDisk } from '../disk/masked-disk.ts'
import { withWindows } from '../disk/overlay-disk.ts'
import type { PartitionTable } from '../disk/partition/partition-table.ts'
import type { ByteRange } from '../transfer/byte-source.ts'
import { findBootArea } from './boot-area.ts'
import type { GuestVolume } from './guest.ts'
import { swapDisk } from './swap-area.ts'

export interface ScrubOptions extends AbortOptions {
  disk: Disk
  partitionTable: PartitionTable
  volumes: readonly GuestVolume[]
}

/** The disk of `Guest.scrubbed`. Its bytes are read when they are asked for. */
export async function scrubDisk({ disk, partitionTable, volumes, signal }: ScrubOptions): Promise<Disk> {
  const windows: { offset: number; disk: Disk }[] = []
  // What lies inside of others comes with them.
  for (const volume of volumes.filter(({ inner }) => !inner)) {
    if (volume.container) {
      windows.push({ offset: volume.offset, disk: await volume.container.scrubbed({ signal }) })
    } else if (volume.filesystem) {
      windows.push({ offset: volume.offset, disk: await volume.filesystem.scrubbed({ signal }) })
    } else if (volume.probe?.type === 'swap') {
      windows.push({ offset: volume.offset, disk: swapDisk(volume.swap, volume.length) })
    }
  }
  const bootArea = await findBootArea(disk, partitionTable, { signal })
  const used = [...volumes, ...bootArea, ...partitionTable.structures]
  return withWindows(maskDisk(disk, gapsBetween(used, disk.size)), windows)
}

/** What of [0, size) none of the ranges covers. */
function gapsBetween(ranges: readonly ByteRange[], size: number): ByteRanges {
  const sorted = [...ranges].sort((one, other) => one.offset - other.offset)
  const gaps: ByteRange[] = []
  let end = 0
  for (const range of sorted) {
    if (range.offset > end) gaps.push({ offset: end, length: range.offset - end })
    end = Math.max(end, range.offset + range.length)
  }
  if (end < size) gaps.push({ offset: end, length: size - end })
  return byteRanges(gaps)
}

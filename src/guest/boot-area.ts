import type { AbortOptions } from '../core/abort.ts'
import type { Disk } from '../disk/disk.ts'
import { mbrTableOffset } from '../disk/partition/encode-mbr.ts'
import type { PartitionTable } from '../disk/partition/partition-table.ts'
import type { ByteRange } from '../transfer/byte-source.ts'
import { isZero } from '../transfer/zeros.ts'
import { coreRangesOf, coreSectorOf } from './bootable/install-grub.ts'

const sector = 512

/**
 * What starts the machine before its first partition, beside the partition tables: the boot sector and what it loads. Where that is
 * not known, it is the whole space. Nothing on a disk without partitions.
 */
export async function findBootArea(
  disk: Disk,
  { partitions }: PartitionTable,
  { signal }: AbortOptions = {},
): Promise<ByteRange[]> {
  if (partitions.length === 0) return []
  const length = Math.min(...partitions.map(({ offset }) => offset))
  const everything = [{ offset: 0, length }]
  if (length < sector) return everything
  const bootSector = Buffer.alloc(sector)
  await disk.read(bootSector, 0, { signal })
  const alone = [{ offset: 0, length: sector }]
  if (isZero(bootSector, 0, mbrTableOffset)) return alone
  const coreSector = coreSectorOf(bootSector)
  if (coreSector === null) return everything
  // In a partition, which is kept as a whole.
  if (coreSector * sector >= length) return alone
  const first = Buffer.alloc(sector)
  await disk.read(first, coreSector * sector, { signal })
  const core = coreRangesOf(first, coreSector)
  const isInside = core?.every((range) => range.offset + range.length <= length)
  return core && isInside ? [...alone, ...core] : everything
}

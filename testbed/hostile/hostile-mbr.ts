import { accepted, type HostileImage, refused } from './hostile-image.ts'
import { type MbrPart, sketchMbr, writeBootRecord } from './partition-sketch.ts'

const linux: MbrPart = { type: 0x83, first: 64, sectors: 512 }
const extended: MbrPart = { type: 5, first: 1024, sectors: 1000 }

/** An extended partition with boot records at sectors given, each with what it holds. */
function chain(records: readonly (readonly [sector: number, ...parts: MbrPart[]])[]): () => Buffer {
  return () => {
    const disk = sketchMbr([linux, extended])
    for (const [sector, ...parts] of records) writeBootRecord(disk, sector, parts)
    return disk
  }
}

function logical(first: number, sectors: number): MbrPart {
  return { type: 0x83, first, sectors }
}

function link(toSector: number): MbrPart {
  return { type: 5, first: toSector - extended.first, sectors: 100 }
}

/** Lies in MBRs and extended boot records. */
export const hostileMbrs: readonly HostileImage[] = [
  accepted(
    'an MBR with logical partitions',
    chain([
      [1024, logical(10, 90), link(1200)],
      [1200, logical(10, 90)],
    ]),
  ),
  ...[1, 0x7f, 0x81, 0xff].map((flag) =>
    refused(`MBR: boot flag ${flag}`, 'PARTITION_BOOT_FLAG_INVALID', () => sketchMbr([{ ...linux, flag }])),
  ),
  refused('MBR: boot flag in an unused entry', 'PARTITION_BOOT_FLAG_INVALID', () =>
    sketchMbr([linux, { type: 0, first: 0, sectors: 0, flag: 7 }]),
  ),
  refused('MBR: no partition', 'PARTITION_TABLE_EMPTY', () => sketchMbr([])),
  accepted('MBR: a partition to the last sector', () => sketchMbr([{ type: 0x83, first: 1, sectors: 2047 }])),
  refused('MBR: a partition one sector too long', 'PARTITION_OUTSIDE_DISK', () =>
    sketchMbr([{ type: 0x83, first: 1, sectors: 2048 }]),
  ),
  refused('MBR: a partition far outside', 'PARTITION_OUTSIDE_DISK', () =>
    sketchMbr([{ type: 0x83, first: 0xffff_ffff, sectors: 0xffff_ffff }]),
  ),
  refused('MBR: a partition without a size', 'PARTITION_ENTRY_INVALID', () =>
    sketchMbr([{ ...linux, sectors: 0 }]),
  ),
  refused('MBR: a partition on the MBR', 'PARTITION_ENTRY_INVALID', () =>
    sketchMbr([{ ...linux, first: 0 }]),
  ),
  refused('MBR: partitions that overlap by a sector', 'PARTITION_OVERLAP', () =>
    sketchMbr([linux, { type: 0x83, first: 575, sectors: 10 }]),
  ),
  refused('MBR: one partition twice', 'PARTITION_OVERLAP', () => sketchMbr([linux, linux])),
  refused('MBR: a primary partition inside the extended one', 'PARTITION_OVERLAP', () => {
    const disk = sketchMbr([{ type: 0x83, first: 1100, sectors: 10 }, extended])
    writeBootRecord(disk, 1024, [])
    return disk
  }),
  refused(
    'MBR: loop of one extended boot record',
    'PARTITION_CHAIN_INVALID',
    chain([[1024, logical(10, 90), link(1024)]]),
  ),
  refused(
    'MBR: loop of two extended boot records',
    'PARTITION_CHAIN_INVALID',
    chain([
      [1024, logical(10, 90), link(1200)],
      [1200, logical(10, 90), link(1024)],
    ]),
  ),
  refused(
    'MBR: an extended boot record without signature',
    'PARTITION_CHAIN_INVALID',
    chain([[1024, logical(10, 90), link(1200)]]),
  ),
  refused(
    'MBR: an extended boot record outside the extended partition',
    'PARTITION_CHAIN_INVALID',
    chain([
      [1024, logical(10, 90), link(2030)],
      [2030, logical(1, 1)],
    ]),
  ),
  refused(
    'MBR: an extended boot record far outside the disk',
    'PARTITION_CHAIN_INVALID',
    chain([[1024, logical(10, 90), link(0xffff_ffff)]]),
  ),
  refused(
    'MBR: a logical partition that leaves the extended one',
    'PARTITION_CHAIN_INVALID',
    chain([[1024, logical(10, 1000)]]),
  ),
  refused(
    'MBR: a logical partition on the next boot record',
    'PARTITION_OVERLAP',
    chain([
      [1024, logical(10, 500), link(1200)],
      [1200, logical(400, 10)],
    ]),
  ),
  refused(
    'MBR: 129 logical partitions',
    'PARTITION_TOO_MANY',
    chain(
      Array.from({ length: 129 }, (_, index) => {
        const sector = 1024 + index * 2
        return [sector, logical(1, 1), ...(index < 128 ? [link(sector + 2)] : [])] as const
      }),
    ),
  ),
]

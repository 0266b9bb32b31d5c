import { accepted, type HostileImage, refused } from './hostile-image.ts'
import { type MbrPart, sketchGpt } from './partition-sketch.ts'

const linux: MbrPart = { type: 0x83, first: 64, sectors: 512 }

function gptHeaderField(write: (header: Buffer) => void): () => Buffer {
  return () => sketchGpt({ header: (header, copy) => copy === 'primary' && write(header) })
}

/** Lies in GPTs and their protective MBRs. */
export const hostileGpts: readonly HostileImage[] = [
  refused('GPT: hybrid MBR', 'PARTITION_HYBRID_MBR', () =>
    sketchGpt({ protective: [{ type: 0xee, first: 1, sectors: 63, chs: [0, 2, 0] }, linux] }),
  ),
  refused('GPT: two protective entries', 'PARTITION_HYBRID_MBR', () => {
    const entry: MbrPart = { type: 0xee, first: 1, sectors: 2047, chs: [0, 2, 0] }
    return sketchGpt({ protective: [entry, entry] })
  }),
  refused('GPT: protective entry at another sector', 'PARTITION_PROTECTIVE_ENTRY_INVALID', () =>
    sketchGpt({ protective: [{ type: 0xee, first: 2, sectors: 2046, chs: [0, 2, 0] }] }),
  ),
  refused('GPT: protective entry at another CHS', 'PARTITION_PROTECTIVE_ENTRY_INVALID', () =>
    sketchGpt({ protective: [{ type: 0xee, first: 1, sectors: 2047, chs: [0, 1, 0] }] }),
  ),
  accepted(
    'GPT: protective entry shorter than the disk',
    () => sketchGpt({ protective: [{ type: 0xee, first: 1, sectors: 1000, chs: [0, 2, 0] }] }),
    { code: 'PARTITION_PROTECTIVE_SIZE' },
  ),
  accepted('GPT: protective entry of the largest size', () =>
    sketchGpt({ protective: [{ type: 0xee, first: 1, sectors: 0xffff_ffff, chs: [0, 2, 0] }] }),
  ),
  refused(
    'GPT: no protective MBR',
    'PARTITION_GPT_UNPROTECTED',
    spoiltGptOf((disk) => disk.fill(0, 0, 512)),
  ),
  accepted('GPT header beside an MBR with partitions', () => sketchGpt({ protective: [linux] }), {
    code: 'PARTITION_GPT_UNPROTECTED',
  }),
  refused(
    'GPT: promised and not there',
    'PARTITION_GPT_HEADER_INVALID',
    spoiltGptOf((disk) => disk.fill(0, 512, 1024)),
  ),
  refused(
    'GPT: a header with one bit wrong',
    'PARTITION_GPT_CHECKSUM',
    spoiltGptOf((disk) => disk.writeUInt8(1, 512 + 60)),
  ),
  refused(
    'GPT: entries with one bit wrong',
    'PARTITION_GPT_CHECKSUM',
    spoiltGptOf((disk) => disk.writeUInt8(1, 1024 + 100)),
  ),
  refused(
    'GPT: a backup with one bit wrong',
    'PARTITION_GPT_CHECKSUM',
    spoiltGptOf((disk) => disk.writeUInt8(1, disk.length - 512 + 60)),
  ),
  refused(
    'GPT: no backup',
    'PARTITION_GPT_HEADER_INVALID',
    spoiltGptOf((disk) => disk.fill(0, disk.length - 512)),
  ),
  refused('GPT: a backup of another disk', 'PARTITION_GPT_COPIES_DIFFER', () =>
    sketchGpt({ header: (header, copy) => copy === 'backup' && header.fill(0x55, 56, 72) }),
  ),
  refused('GPT: a backup that names another primary', 'PARTITION_GPT_COPIES_DIFFER', () =>
    sketchGpt({ header: (header, copy) => copy === 'backup' && header.writeBigUInt64LE(5n, 32) }),
  ),
  accepted('GPT: of a disk that was enlarged', () => Buffer.concat([sketchGpt(), Buffer.alloc(65_536)]), {
    code: 'PARTITION_GPT_BACKUP_MISPLACED',
  }),
  refused('GPT: of a disk that was cut off', 'PARTITION_OUTSIDE_DISK', () => sketchGpt().subarray(0, -512)),
  refused(
    'GPT: backup far outside',
    'PARTITION_OUTSIDE_DISK',
    gptHeaderField((header) => header.writeBigUInt64LE(1n << 60n, 32)),
  ),
  refused(
    'GPT: backup at the primary',
    'PARTITION_OUTSIDE_DISK',
    gptHeaderField((header) => header.writeBigUInt64LE(1n, 32)),
  ),
  ...[0, 91, 513, 0xffff_ffff].map((length) =>
    refused(
      `GPT: header of ${length} bytes`,
      'PARTITION_GPT_HEADER_INVALID',
      gptHeaderField((header) => header.writeUInt32LE(length, 12)),
    ),
  ),
  ...[0, 1025, 0xffff_ffff].map((count) =>
    refused(
      `GPT: ${count} entries`,
      'PARTITION_GPT_HEADER_INVALID',
      gptHeaderField((header) => header.writeUInt32LE(count, 80)),
    ),
  ),
  accepted('GPT: 1024 entries', () => sketchGpt({ entryCount: 1024, parts: [{ first: 512, last: 1023 }] })),
  ...[0, 64, 127, 8192, 0xffff_ffff].map((bytes) =>
    refused(
      `GPT: entries of ${bytes} bytes`,
      'PARTITION_GPT_HEADER_INVALID',
      gptHeaderField((header) => header.writeUInt32LE(bytes, 84)),
    ),
  ),
  refused(
    'GPT: entries outside the disk',
    'PARTITION_GPT_HEADER_INVALID',
    gptHeaderField((header) => header.writeBigUInt64LE(1n << 50n, 72)),
  ),
  refused(
    'GPT: entries on the header',
    'PARTITION_GPT_HEADER_INVALID',
    gptHeaderField((header) => header.writeBigUInt64LE(1n, 72)),
  ),
  refused(
    'GPT: header that names another place',
    'PARTITION_GPT_HEADER_INVALID',
    gptHeaderField((header) => header.writeBigUInt64LE(3n, 24)),
  ),
  refused(
    'GPT: usable area outside the disk',
    'PARTITION_GPT_HEADER_INVALID',
    gptHeaderField((header) => header.writeBigUInt64LE(1n << 63n, 48)),
  ),
  refused(
    'GPT: usable area of a negative size',
    'PARTITION_GPT_HEADER_INVALID',
    gptHeaderField((header) => header.writeBigUInt64LE(5n, 48)),
  ),
  refused(
    'GPT: usable area over the header',
    'PARTITION_GPT_HEADER_INVALID',
    gptHeaderField((header) => header.writeBigUInt64LE(0n, 40)),
  ),
  refused('GPT: a partition outside the disk', 'PARTITION_OUTSIDE_DISK', () =>
    sketchGpt({ parts: [{ first: 64, last: 2048 }] }),
  ),
  refused('GPT: a partition far outside', 'PARTITION_OUTSIDE_DISK', () =>
    sketchGpt({ parts: [{ first: 2 ** 50, last: 2 ** 51 }] }),
  ),
  refused('GPT: a partition of a negative size', 'PARTITION_ENTRY_INVALID', () =>
    sketchGpt({ parts: [{ first: 100, last: 98 }] }),
  ),
  refused('GPT: a partition on the entries', 'PARTITION_OVERLAP', () =>
    sketchGpt({ parts: [{ first: 20, last: 100 }] }),
  ),
  refused('GPT: a partition on the backup', 'PARTITION_OVERLAP', () =>
    sketchGpt({ parts: [{ first: 64, last: 2047 }] }),
  ),
  refused('GPT: partitions that overlap by a sector', 'PARTITION_OVERLAP', () =>
    sketchGpt({
      parts: [
        { first: 64, last: 100 },
        { first: 100, last: 200 },
      ],
    }),
  ),
  refused('GPT: a large partition around a small one', 'PARTITION_OVERLAP', () =>
    sketchGpt({
      parts: [
        { first: 100, last: 110 },
        { first: 64, last: 1000 },
        { first: 500, last: 510 },
      ],
    }),
  ),
]

function spoiltGptOf(change: (disk: Buffer) => void): () => Buffer {
  return () => spoiltGpt(change)
}

function spoiltGpt(change: (disk: Buffer) => void): Buffer {
  const disk = sketchGpt()
  change(disk)
  return disk
}

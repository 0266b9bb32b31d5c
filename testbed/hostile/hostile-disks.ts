import { gzipSync } from 'node:zlib'
import * as foreign from './foreign-images.ts'
import { accepted, type HostileImage, refused } from './hostile-image.ts'
import { spoilt } from './hostile-qcow2-headers.ts'
import { type MbrPart, sketchGpt, sketchMbr, writeBootRecord } from './partition-sketch.ts'
import { sketchQcow2 } from './qcow2-sketch.ts'

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

function gptHeaderField(write: (header: Buffer) => void): () => Buffer {
  return () => sketchGpt({ header: (header, copy) => copy === 'primary' && write(header) })
}

/** A disk as the content of a qcow2 image with clusters large enough for its first sectors. */
function inQcow2(disk: Buffer): () => Buffer {
  return () => {
    const data = Array.from({ length: Math.ceil(disk.length / 65_536) }, (_, index) => {
      const cluster = Buffer.alloc(65_536)
      disk.copy(cluster, 0, index * 65_536, (index + 1) * 65_536)
      return cluster
    })
    return sketchQcow2({ clusterBits: 16, data, size: data.length * 65_536 }).bytes
  }
}

const foreignFormats: readonly (readonly [string, () => Buffer])[] = [
  ['qcow version 1', () => foreign.signed('QFI\xfb\0\0\0\x01')],
  ['QED', () => foreign.signed('QED\0')],
  ['VMDK, sparse', foreign.vmdkSparse],
  ['VMDK, of ESX', () => foreign.signed('COWD')],
  ['VHD, dynamic', () => foreign.signed('conectix')],
  ['VHD, fixed', () => foreign.vhdFixed()],
  ['VHD, fixed, with a footer of 511 bytes', () => foreign.vhdFixed().subarray(0, -1)],
  ['VHDX', () => foreign.signed('vhdxfile')],
  ['VDI', () => foreign.signed('\x7f\x10\xda\xbe', 64)],
  ['Parallels', () => foreign.signed('WithoutFreeSpace')],
  ['Parallels, extended', () => foreign.signed('WithouFreSpacExt')],
  ['DMG', () => Buffer.concat([Buffer.alloc(4096), foreign.signed('koly').subarray(0, 512)])],
  ['cloop', () => foreign.signed('#!/bin/sh\n#V2.0 Format\n')],
  ['Bochs', () => foreign.signed('Bochs Virtual HD Image')],
  ['LUKS', foreign.luksContainer],
  ['LUKS holding a qcow2 image', () => Buffer.concat([foreign.luksContainer(), sketchQcow2().bytes])],
  ['ISO 9660', foreign.isoImage],
  ['gzip of a qcow2 image', () => gzipSync(sketchQcow2().bytes)],
  ['xz', () => foreign.signed('\xfd7zXZ\0')],
  ['zstd', () => foreign.signed('\x28\xb5\x2f\xfd')],
  ['bzip2', () => foreign.signed('BZh91AY&SY')],
  ['tar', () => foreign.signed('ustar', 257)],
]

/** Raw disks, partition tables, other formats, and files that are several things at once. */
export const hostileDisks: readonly HostileImage[] = [
  accepted('zeros', () => Buffer.alloc(65_536)),
  accepted('0xFF', () => Buffer.alloc(65_536, 0xff)),
  accepted('an empty file', () => Buffer.alloc(0)),
  accepted('a file of one byte', () => Buffer.alloc(1, 'Q')),
  accepted('an MBR', () => sketchMbr([linux, { type: 0x82, first: 576, sectors: 100, flag: 0x80 }])),
  accepted(
    'an MBR with logical partitions',
    chain([
      [1024, logical(10, 90), link(1200)],
      [1200, logical(10, 90)],
    ]),
  ),
  accepted('a GPT', () => sketchGpt()),
  accepted('a GPT with sectors of 4096 bytes', () =>
    sketchGpt({ sectorSize: 4096, sectors: 256, parts: [{ first: 64, last: 127 }] }),
  ),
  accepted('a FAT file system without partitions', () => {
    const disk = Buffer.alloc(65_536, 0xaa)
    disk.set([2], 16)
    disk.set([0xf8], 21)
    disk.writeUInt16LE(0xaa55, 510)
    return disk
  }),

  ...foreignFormats.map(([name, bytes]) => refused(`${name}, undeclared`, 'IMAGE_FORMAT_UNSUPPORTED', bytes)),
  ...foreignFormats.map(([name, bytes]) =>
    refused(`${name}, declared qcow2`, 'IMAGE_FORMAT_MISMATCH', bytes, { declared: 'qcow2' }),
  ),
  accepted('LUKS, declared raw', foreign.luksContainer, { declared: 'raw', code: 'IMAGE_NESTED_FORMAT' }),
  accepted('ISO 9660, declared raw', foreign.isoImage, { declared: 'raw', code: 'IMAGE_NESTED_FORMAT' }),
  refused(
    'CVE-2010-3851: a qcow2 header in a raw disk',
    'IMAGE_FORMAT_MISMATCH',
    () => {
      const disk = Buffer.alloc(65_536)
      sketchQcow2().bytes.copy(disk, 0, 0, 512)
      return disk
    },
    { declared: 'raw' },
  ),
  refused('CVE-2024-40767: qcow2 declared raw', 'IMAGE_FORMAT_MISMATCH', () => sketchQcow2().bytes, {
    declared: 'raw',
  }),
  refused(
    'CVE-2026-24708: a qcow2 header with a backing file in a raw disk',
    'IMAGE_FORMAT_MISMATCH',
    spoilt(({ bytes }) => {
      bytes.writeBigUInt64BE(512n, 8)
      bytes.writeUInt32BE(11, 16)
      bytes.write('/etc/shadow', 512)
    }),
    { declared: 'raw' },
  ),
  refused('CVE-2022-47951: a VMDK descriptor that names a file of the host', 'IMAGE_FORMAT_UNSUPPORTED', () =>
    foreign.vmdkDescriptor('FLAT "/etc/shadow" 0'),
  ),
  refused(
    'CVE-2022-47951: a VMDK descriptor declared raw',
    'IMAGE_FORMAT_MISMATCH',
    () => foreign.vmdkDescriptor('FLAT "/etc/shadow" 0'),
    { declared: 'raw' },
  ),
  refused(
    'CVE-2024-40767: a VMDK descriptor without its first comment, declared raw',
    'IMAGE_FORMAT_MISMATCH',
    () => foreign.vmdkDescriptor('FLAT "/etc/shadow" 0', { comment: false }),
    { declared: 'raw' },
  ),
  refused('a raw disk declared qcow2', 'IMAGE_FORMAT_MISMATCH', () => sketchMbr([linux]), {
    declared: 'qcow2',
  }),
  refused('a qcow2 image declared vmdk', 'IMAGE_FORMAT_MISMATCH', () => sketchQcow2().bytes, {
    declared: 'vmdk',
  }),
  refused('a raw disk declared as a format nobody knows', 'IMAGE_FORMAT_MISMATCH', () => sketchMbr([linux]), {
    declared: 'host_device',
  }),

  refused(
    'polyglot: qcow2 with a boot record',
    'IMAGE_MULTIPLE_FORMATS',
    spoilt(({ bytes }) => bytes.writeUInt16LE(0xaa55, 510)),
  ),
  refused(
    'polyglot: qcow2 with a GPT',
    'IMAGE_MULTIPLE_FORMATS',
    spoilt(({ bytes }) => bytes.write('EFI PART', 512)),
  ),
  refused('polyglot: qcow2 with the footer of a VHD', 'IMAGE_MULTIPLE_FORMATS', () =>
    Buffer.concat([sketchQcow2().bytes, foreign.vhdFooter()]),
  ),
  refused('polyglot: qcow2 that is an ISO', 'IMAGE_MULTIPLE_FORMATS', () => {
    const image = Buffer.concat([sketchQcow2().bytes, Buffer.alloc(32_768)])
    image.write('CD001', 0x8001)
    return image
  }),
  refused('polyglot: VMDK with a tar header', 'IMAGE_MULTIPLE_FORMATS', () => {
    const image = foreign.vmdkSparse()
    image.write('ustar', 257)
    return image
  }),
  refused('polyglot: LUKS with a boot record', 'IMAGE_MULTIPLE_FORMATS', () => {
    const image = foreign.luksContainer()
    image.writeUInt16LE(0xaa55, 510)
    return image
  }),
  refused('an ISO that boots from disks', 'IMAGE_FORMAT_UNSUPPORTED', () => {
    const image = foreign.isoImage()
    writeBootRecord(image, 0, [{ type: 0x17, first: 0, sectors: 128, flag: 0x80 }])
    return image
  }),
  refused('a qcow2 image in a qcow2 image', 'IMAGE_NESTED_FORMAT', inQcow2(sketchQcow2().bytes)),
  refused(
    'a VMDK descriptor in a qcow2 image',
    'IMAGE_NESTED_FORMAT',
    inQcow2(foreign.vmdkDescriptor('FLAT "/etc/shadow" 0')),
  ),
  accepted('a GPT disk in a qcow2 image', inQcow2(sketchGpt())),
  refused(
    'a GPT disk with a wrong checksum in a qcow2 image',
    'PARTITION_GPT_CHECKSUM',
    inQcow2(spoiltGpt((disk) => disk.writeUInt8(1, 512 + 60))),
  ),
  accepted(
    'a qcow2 image in a partition',
    () => {
      const disk = sketchMbr([linux])
      sketchQcow2().bytes.copy(disk, linux.first * 512)
      return disk
    },
    { code: 'IMAGE_NESTED_FORMAT' },
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

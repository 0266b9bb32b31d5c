import * as foreign from './foreign-images.ts'
import { accepted, type HostileImage, refused } from './hostile-image.ts'
import { spoilt } from './hostile-qcow2-headers.ts'
import { type MbrPart, sketchGpt, sketchMbr, writeBootRecord } from './partition-sketch.ts'
import { sketchQcow2 } from './qcow2-sketch.ts'

const linux: MbrPart = { type: 0x83, first: 64, sectors: 512 }

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
  ['VMDK, of ESX', () => foreign.signed('COWD')],
  ['Parallels', () => foreign.signed('WithoutFreeSpace')],
  ['Parallels, extended', () => foreign.signed('WithouFreSpacExt')],
  ['DMG', () => Buffer.concat([Buffer.alloc(4096), foreign.signed('koly').subarray(0, 512)])],
  ['cloop', () => foreign.signed('#!/bin/sh\n#V2.0 Format\n')],
  ['Bochs', () => foreign.signed('Bochs Virtual HD Image')],
  ['LUKS', foreign.luksContainer],
  ['LUKS holding a qcow2 image', () => Buffer.concat([foreign.luksContainer(), sketchQcow2().bytes])],
  ['ISO 9660', foreign.isoImage],
  ['bzip2', () => foreign.signed('BZh91AY&SY')],
]

/** Other formats, files that are several things at once, and disks of one kind declared as another. */
export const hostileFormats: readonly HostileImage[] = [
  accepted('zeros', () => Buffer.alloc(65_536)),
  accepted('0xFF', () => Buffer.alloc(65_536, 0xff)),
  accepted('an empty file', () => Buffer.alloc(0)),
  accepted('a file of one byte', () => Buffer.alloc(1, 'Q')),
  accepted('an MBR', () => sketchMbr([linux, { type: 0x82, first: 576, sectors: 100, flag: 0x80 }])),
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
  refused('CVE-2022-47951: a VMDK descriptor that names a file of the host', 'IMAGE_UNSAFE_NAME', () =>
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
]

function spoiltGpt(change: (disk: Buffer) => void): Buffer {
  const disk = sketchGpt()
  change(disk)
  return disk
}

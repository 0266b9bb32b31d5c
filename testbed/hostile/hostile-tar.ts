import { gzipSync } from 'node:zlib'
import { accepted, type HostileImage, refused } from './hostile-image.ts'
import { resealArchive, type SketchMember, sketchArchive } from './ova-sketch.ts'
import { sketchQcow2 } from './qcow2-sketch.ts'
import {
  changedArchive,
  longName,
  paxHeader,
  paxRecord,
  rawDisk,
  sketchGcp,
  sketchSparse,
} from './tar-sketch.ts'

const disk: SketchMember = { name: 'disk.raw', bytes: rawDisk }
const empty = Buffer.alloc(0)

function archive(...members: readonly SketchMember[]): () => Buffer {
  return () => sketchArchive(members).bytes
}

const valid: readonly HostileImage[] = [
  accepted('an archive of disk.raw', () => sketchGcp()),
  accepted('an archive of ./disk.raw', archive({ ...disk, name: './disk.raw' })),
  accepted('an archive of a folder and disk.raw', archive({ name: './', bytes: empty, type: '5' }, disk), {
    code: 'IMAGE_ARCHIVE_MEMBER',
  }),
  accepted('an archive of disk.raw by its long name', archive(longName('disk.raw'), { ...disk, name: 'x' })),
  accepted(
    'an archive of disk.raw by a pax header',
    archive(paxHeader(paxRecord('path', 'disk.raw') + paxRecord('mtime', '1.5')), { ...disk, name: 'x' }),
  ),
  accepted(
    'an archive of disk.raw whose size is in a pax header',
    archive(paxHeader(paxRecord('size', '4096')), { ...disk, size: 0 }),
  ),
  accepted(
    'an archive with a comment for all members',
    archive(paxHeader(paxRecord('comment', 'made by git'), 'g'), disk),
  ),
  accepted('an archive whose size is in base 256', () =>
    changedArchive([disk], (bytes) => {
      bytes.fill(0, 124, 136)
      bytes[124] = 0x80
      bytes.writeUInt16BE(4096, 134)
    }),
  ),
  accepted('an archive without its end', () => sketchGcp().subarray(0, -1024), { code: 'IMAGE_TRUNCATED' }),
  accepted('an archive with half of its end', () => sketchGcp().subarray(0, -512), {
    code: 'IMAGE_TRUNCATED',
  }),
  accepted('a sparse disk.raw', () => sketchSparse()),
  accepted('a sparse disk.raw of many parts', () => sketchSparse({ parts: manyParts(60) })),
  accepted('a sparse disk.raw without data', () => sketchSparse({ parts: [[8192, 0]] })),
]

const names: readonly HostileImage[] = [
  ...[
    '../disk.raw',
    '/disk.raw',
    'a/../../disk.raw',
    'a//disk.raw',
    'C:disk.raw',
    '..\\disk.raw',
    'disk\n.raw',
    '..',
  ].map((name) =>
    refused(
      `an archive of a member called ${JSON.stringify(name)}`,
      'IMAGE_UNSAFE_NAME',
      archive({ ...disk, name }),
    ),
  ),
  refused('an archive of a member without a name', 'IMAGE_UNSAFE_NAME', archive({ ...disk, name: '' })),
  refused(
    'an archive whose member is not called in UTF-8',
    'IMAGE_UNSAFE_NAME',
    archive({ ...disk, name: 'disk\xff' }),
  ),
  refused(
    'an archive that leads out by a long name',
    'IMAGE_UNSAFE_NAME',
    archive(longName('../../../etc/cron.d/x'), disk),
  ),
  refused(
    'an archive that leads out by a pax header',
    'IMAGE_UNSAFE_NAME',
    archive(paxHeader(paxRecord('path', '/etc/cron.d/x')), disk),
  ),
  refused('an archive that leads out by a prefix', 'IMAGE_UNSAFE_NAME', () =>
    changedArchive([disk], (bytes) => bytes.write('../../etc', 345)),
  ),
  refused(
    'an archive of a name of 256 letters',
    'IMAGE_UNSAFE_NAME',
    archive(longName('d'.repeat(256)), disk),
  ),
  refused('an archive that has disk.raw twice', 'IMAGE_ARCHIVE_MEMBER', archive(disk, disk)),
  refused(
    'an archive that has disk.raw twice, once as ./DISK.RAW',
    'IMAGE_ARCHIVE_MEMBER',
    archive(disk, { ...disk, name: './DISK.RAW' }),
  ),
]

const members: readonly HostileImage[] = [
  ...Object.entries({
    'a hard link': '1',
    'a symbolic link': '2',
    'a character device': '3',
    'a block device': '4',
    'a pipe': '6',
    'a volume label': 'V',
    'part of a file': 'M',
    'a long link name': 'K',
    'something unknown': 'Z',
  }).map(([what, type]) =>
    refused(
      `an archive with ${what}`,
      'IMAGE_ARCHIVE_MEMBER',
      archive({ name: 'x', bytes: empty, type }, disk),
    ),
  ),
  refused(
    'an archive with a link called disk.raw',
    'IMAGE_ARCHIVE_MEMBER',
    archive({ name: 'disk.raw', bytes: empty, type: '2' }),
  ),
  refused(
    'an archive of a file called disk.raw/',
    'IMAGE_ARCHIVE_MEMBER',
    archive({ ...disk, name: 'disk.raw/' }),
  ),
  refused(
    'an archive with a folder that has content',
    'IMAGE_ARCHIVE_MEMBER',
    archive({ name: 'x/', bytes: rawDisk, type: '5' }, disk),
  ),
  refused('an archive of 65 members', 'IMAGE_ARCHIVE_LIMIT', archive(...manyMembers(65))),
  refused(
    'an archive of 64 members, none of which is a disk',
    'IMAGE_ARCHIVE_CONTENT',
    archive(...manyMembers(64)),
  ),
  refused(
    'an archive of nothing but headers about others',
    'IMAGE_ARCHIVE_LIMIT',
    archive(...Array.from({ length: 300 }, () => paxHeader(paxRecord('comment', 'x')))),
  ),
  refused('an archive of disk.raw and something else', 'IMAGE_ARCHIVE_CONTENT', () =>
    sketchGcp({ name: 'README', bytes: empty }),
  ),
  refused(
    'an archive of a disk by another name',
    'IMAGE_ARCHIVE_CONTENT',
    archive({ ...disk, name: 'disk.img' }),
  ),
  refused(
    'an archive whose disk.raw is a qcow2 image',
    'IMAGE_FORMAT_MISMATCH',
    archive({ ...disk, bytes: sketchQcow2().bytes }),
  ),
  refused(
    'an archive whose disk.raw is compressed',
    'IMAGE_NESTED_FORMAT',
    archive({ ...disk, bytes: gzipSync(rawDisk) }),
  ),
  refused(
    'an archive whose disk.raw is an archive',
    'IMAGE_NESTED_FORMAT',
    archive({ ...disk, bytes: sketchGcp() }),
  ),
]

const headers: readonly HostileImage[] = [
  refused('nothing of an archive but its signature', 'IMAGE_HEADER_INVALID', () => {
    const bytes = Buffer.alloc(1024)
    bytes.write('ustar', 257)
    return bytes
  }),
  refused('an archive with a wrong checksum', 'IMAGE_HEADER_INVALID', () => {
    const bytes = sketchGcp()
    bytes[0] = 0x44
    return bytes
  }),
  refused('an archive whose second header is of no known kind', 'IMAGE_HEADER_INVALID', () =>
    changedArchive([disk, { name: 'x', bytes: empty }], (bytes) => {
      // Sealed by hand, since nothing tells any more that it is one.
      const header = bytes.subarray(512 + rawDisk.length, 1024 + rawDisk.length)
      header.fill(0, 257, 265)
      header.fill(' ', 148, 156)
      const sum = header.reduce((total, byte) => total + byte, 0)
      header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
    }),
  ),
  ...Object.entries({
    'letters as its size': Buffer.from('4096 bytes\0\0'),
    'a negative size': Buffer.alloc(12, 0xff),
    'a size of 2^53': Buffer.from([0x80, 0, 0, 0, 0, 0x20, 0, 0, 0, 0, 0, 0]),
    'a size of 2^88': Buffer.from([0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
  }).map(([what, field]) =>
    refused(`an archive with ${what}`, 'IMAGE_HEADER_INVALID', () =>
      changedArchive([disk], (bytes) => field.copy(bytes, 124)),
    ),
  ),
  refused('an archive that ends in its disk', 'IMAGE_TRUNCATED', () => sketchGcp().subarray(0, 1024)),
  refused('an archive that ends in a header', 'IMAGE_TRUNCATED', () =>
    sketchGcp({ name: 'x', bytes: empty }).subarray(0, 512 + 4096 + 300),
  ),
  refused(
    'an archive of a member of 8 GiB that is not there',
    'IMAGE_TRUNCATED',
    archive({ ...disk, size: 2 ** 33 - 1 }),
  ),
  refused('an archive with more behind its end', 'IMAGE_ARCHIVE_MEMBER', () =>
    Buffer.concat([sketchGcp(), sketchGcp()]),
  ),
  refused(
    'an archive with a pax header that is no list of records',
    'IMAGE_HEADER_INVALID',
    archive(paxHeader('12 path=disk.raw\n'), disk),
  ),
  refused(
    'an archive with a pax record that leaves its header',
    'IMAGE_HEADER_INVALID',
    archive(paxHeader('9999 path=x\n'), disk),
  ),
  refused(
    'an archive with a pax record of no bytes',
    'IMAGE_HEADER_INVALID',
    archive(paxHeader('0 =\n'), disk),
  ),
  refused(
    'an archive with a pax size of 2^53',
    'IMAGE_HEADER_INVALID',
    archive(paxHeader(paxRecord('size', '9007199254740992')), disk),
  ),
  refused(
    'an archive with a negative pax size',
    'IMAGE_HEADER_INVALID',
    archive(paxHeader(paxRecord('size', '-1')), disk),
  ),
  refused(
    'an archive that gives all members one name',
    'IMAGE_HEADER_INVALID',
    archive(paxHeader(paxRecord('path', 'disk.raw'), 'g'), { ...disk, name: 'x' }),
  ),
  refused(
    'an archive with a sparse member of pax',
    'IMAGE_UNKNOWN_FEATURE',
    archive(paxHeader(paxRecord('GNU.sparse.major', '1')), disk),
  ),
  refused(
    'an archive with a pax header of 65 KiB',
    'IMAGE_ARCHIVE_LIMIT',
    archive(paxHeader('x'.repeat(66_560)), disk),
  ),
  refused('an archive that ends in a pax header', 'IMAGE_TRUNCATED', () =>
    sketchArchive([paxHeader(paxRecord('path', 'disk.raw'))]).bytes.subarray(0, 515),
  ),
]

const sparse: readonly HostileImage[] = [
  refused('a sparse member whose parts are out of order', 'IMAGE_ENTRY_INVALID', () =>
    sketchSparse({
      parts: [
        [2048, 512],
        [512, 512],
      ],
    }),
  ),
  refused('a sparse member whose parts overlap', 'IMAGE_ENTRY_INVALID', () =>
    sketchSparse({
      parts: [
        [512, 1024],
        [1024, 512],
      ],
    }),
  ),
  refused('a sparse member with a part behind its end', 'IMAGE_ENTRY_INVALID', () =>
    sketchSparse({ parts: [[8000, 512]] }),
  ),
  refused('a sparse member with more stored than its parts', 'IMAGE_ENTRY_INVALID', () =>
    sketchSparse({ stored: Buffer.alloc(4096) }),
  ),
  refused('a sparse member with less stored than its parts', 'IMAGE_ENTRY_INVALID', () =>
    sketchSparse({ stored: Buffer.alloc(512) }),
  ),
  refused('a sparse member whose map goes on where its data are', 'IMAGE_ENTRY_INVALID', () =>
    sketchSparse({ extended: [1] }),
  ),
  refused('a sparse member whose map has gaps', 'IMAGE_ENTRY_INVALID', () =>
    sketchSparse({ parts: manyParts(60), pairsPerBlock: 20 }),
  ),
  refused('a sparse member whose map is cut off', 'IMAGE_TRUNCATED', () =>
    sketchSparse({ parts: manyParts(60) }).subarray(0, 512 + 512 + 100),
  ),
  refused('a sparse member of more parts than are read', 'IMAGE_TABLES_LIMIT', () =>
    sketchSparse({ parts: manyParts(262_200), realSize: 2 ** 32 }),
  ),
  refused('a sparse member of 17 TiB', 'IMAGE_SIZE_LIMIT', () =>
    changedSparse((bytes) => Buffer.from([0x80, 0, 0, 0, 0, 0, 0x11, 0, 0, 0, 0, 0]).copy(bytes, 483)),
  ),
  refused('a sparse member of a negative size', 'IMAGE_ENTRY_INVALID', () =>
    changedSparse((bytes) => bytes.fill(0xff, 483, 495)),
  ),
]

/** Archives with one disk in them, and what is made to look like them. */
export const hostileTars: readonly HostileImage[] = [...valid, ...names, ...members, ...headers, ...sparse]

function changedSparse(change: (bytes: Buffer) => void): Buffer {
  const bytes = sketchSparse()
  change(bytes)
  resealArchive(bytes)
  return bytes
}

/** Of eight bytes each, with as many between them. */
function manyParts(count: number): [number, number][] {
  return Array.from({ length: count }, (_, index) => [index * 16, 8])
}

function manyMembers(count: number): SketchMember[] {
  return Array.from({ length: count }, (_, index) => ({ name: `m${index}`, bytes: empty }))
}

import { constants, gzipSync, zstdCompressSync } from 'node:zlib'
import { rawZstd, repeatedZstd, sketchGzip, sketchZstd, skippableFrame } from './compressed-sketch.ts'
import { accepted, type HostileImage, refused } from './hostile-image.ts'
import { sketchQcow2 } from './qcow2-sketch.ts'
import { rawDisk, sketchGcp, sketchSparse } from './tar-sketch.ts'
import { lzma2, sketchXz } from './xz-sketch.ts'

const mebibyte = 2 ** 20
const disk = { content: rawDisk }

/** With one bit of a byte changed, counted from the end when negative. */
function flipped(bytes: Buffer, at: number): Buffer {
  const copy = Buffer.from(bytes)
  const place = at < 0 ? copy.length + at : at
  copy[place] = (copy[place] ?? 0) ^ 1
  return copy
}

const gzip: readonly HostileImage[] = [
  accepted('a gzipped disk', () => gzipSync(rawDisk)),
  accepted('a gzipped disk in two members', () => Buffer.concat([gzipSync(rawDisk), gzipSync(rawDisk)])),
  accepted('a gzipped disk with zeros behind it', () =>
    Buffer.concat([gzipSync(rawDisk), Buffer.alloc(5000)]),
  ),
  accepted('a gzipped disk with every field of a header', () =>
    sketchGzip(rawDisk, { flags: 0b11110, fields: Buffer.from('\x03\0abcdisk.raw\0a comment\0', 'latin1') }),
  ),
  accepted('a gzipped disk that has 55 AA where an MBR has it', () => {
    const content = Buffer.alloc(4096, 'x')
    content.writeUInt16LE(0xaa55, 510 - 15)
    return sketchGzip(content, { level: 0 })
  }),
  accepted('a gzipped qcow2 image', () => gzipSync(sketchQcow2().bytes)),
  accepted('a gzipped archive', () => gzipSync(sketchGcp())),
  accepted('a gzipped archive, sparse', () => gzipSync(sketchSparse()), { declared: 'gcp' }),
  accepted('300 MiB of zeros in 300 KiB of gzip', () => gzipSync(Buffer.alloc(300 * mebibyte), { level: 1 })),
  refused(
    'a gzipped qcow2 image declared raw.gz',
    'IMAGE_FORMAT_MISMATCH',
    () => gzipSync(sketchQcow2().bytes),
    {
      declared: 'raw.gz',
    },
  ),
  refused('a gzipped disk declared raw', 'IMAGE_FORMAT_MISMATCH', () => gzipSync(rawDisk), {
    declared: 'raw',
  }),
  refused('a gzipped disk declared raw.zst', 'IMAGE_FORMAT_MISMATCH', () => gzipSync(rawDisk), {
    declared: 'raw.zst',
  }),
  refused('a gzipped disk declared gcp', 'IMAGE_FORMAT_MISMATCH', () => gzipSync(rawDisk), {
    declared: 'gcp',
  }),
  refused('a bare disk declared raw.gz', 'IMAGE_FORMAT_MISMATCH', () => rawDisk, { declared: 'raw.gz' }),
  refused('a gzipped archive declared raw.gz', 'IMAGE_FORMAT_MISMATCH', () => gzipSync(sketchGcp()), {
    declared: 'raw.gz',
  }),
  refused('a disk gzipped twice', 'IMAGE_NESTED_FORMAT', () => gzipSync(gzipSync(rawDisk))),
  refused('a gzipped disk of zstd', 'IMAGE_NESTED_FORMAT', () => gzipSync(rawZstd(rawDisk))),
  refused('a gzipped archive of an archive', 'IMAGE_ARCHIVE_CONTENT', () =>
    gzipSync(sketchGcp({ name: 'a.tar', bytes: sketchGcp() })),
  ),
  refused('a gzipped disk with something behind it', 'IMAGE_STREAM_DAMAGED', () =>
    Buffer.concat([gzipSync(rawDisk), Buffer.from('more')]),
  ),
  refused('a gzipped disk with a member behind zeros', 'IMAGE_STREAM_DAMAGED', () =>
    Buffer.concat([gzipSync(rawDisk), Buffer.alloc(512), gzipSync(rawDisk)]),
  ),
  refused('a gzipped disk with a wrong checksum', 'IMAGE_STREAM_DAMAGED', () =>
    flipped(gzipSync(rawDisk), -8),
  ),
  refused('a gzipped disk with a wrong length', 'IMAGE_STREAM_DAMAGED', () => flipped(gzipSync(rawDisk), -4)),
  refused('a gzipped disk with a wrong checksum in its first member', 'IMAGE_STREAM_DAMAGED', () =>
    Buffer.concat([flipped(gzipSync(rawDisk), -8), gzipSync(rawDisk)]),
  ),
  refused('a gzipped disk with a reserved flag', 'IMAGE_STREAM_DAMAGED', () =>
    sketchGzip(rawDisk, { flags: 0x80 }),
  ),
  ...[3, 9, 14, -9, -1].map((at) =>
    refused(`a gzipped disk cut at byte ${at}`, 'IMAGE_TRUNCATED', () => gzipSync(rawDisk).subarray(0, at)),
  ),
  refused('a gzipped disk whose second member is cut', 'IMAGE_TRUNCATED', () =>
    Buffer.concat([gzipSync(rawDisk), gzipSync(rawDisk).subarray(0, 6)]),
  ),
  refused('300 MiB of one letter in 300 KiB of gzip', 'IMAGE_EXPANSION_LIMIT', () =>
    gzipSync(Buffer.alloc(300 * mebibyte, 'x'), { level: 9 }),
  ),
]

const zstdChecked = () => zstdCompressSync(rawDisk, { params: { [constants.ZSTD_c_checksumFlag]: 1 } })

const zstd: readonly HostileImage[] = [
  accepted('a disk in zstd', zstdChecked),
  accepted('a disk in zstd, in raw blocks', () => rawZstd(rawDisk)),
  accepted('a disk in many frames of zstd, others among them', () =>
    Buffer.concat([
      ...[skippableFrame(Buffer.alloc(0)), rawZstd(rawDisk), skippableFrame(rawZstd(rawDisk))],
      ...[zstdChecked(), sketchZstd({ blocks: [{ kind: 'raw', bytes: Buffer.alloc(0) }] }), zstdChecked()],
    ]),
  ),
  accepted('a qcow2 image in zstd', () => rawZstd(sketchQcow2().bytes)),
  accepted('512 MiB of zeros in 16 KiB of zstd', () => repeatedZstd(0, 512 * mebibyte)),
  accepted('a disk in zstd with a window of 128 MiB', () =>
    sketchZstd({ blocks: [{ kind: 'raw', bytes: rawDisk }], fields: Buffer.from([17 << 3]) }),
  ),
  refused('a disk in zstd with a window of 144 MiB', 'IMAGE_UNKNOWN_FEATURE', () =>
    sketchZstd({ blocks: [{ kind: 'raw', bytes: rawDisk }], fields: Buffer.from([(17 << 3) | 1]) }),
  ),
  refused('a disk in zstd in one segment of 2^63 bytes', 'IMAGE_UNKNOWN_FEATURE', () =>
    sketchZstd({
      blocks: [{ kind: 'raw', bytes: rawDisk }],
      descriptor: 0b1110_0000,
      fields: Buffer.from([0, 0, 0, 0, 0, 0, 0, 0x80]),
    }),
  ),
  refused('a disk in zstd that needs a dictionary', 'IMAGE_UNKNOWN_FEATURE', () =>
    sketchZstd({
      blocks: [{ kind: 'raw', bytes: rawDisk }],
      descriptor: 1,
      fields: Buffer.from([7 << 3, 1]),
    }),
  ),
  refused('a disk in zstd with a reserved bit', 'IMAGE_STREAM_DAMAGED', () =>
    sketchZstd({ blocks: [{ kind: 'raw', bytes: rawDisk }], descriptor: 8 }),
  ),
  refused('a disk in zstd with a reserved block', 'IMAGE_STREAM_DAMAGED', () =>
    sketchZstd({ blocks: [{ kind: 'reserved', bytes: rawDisk }] }),
  ),
  refused('a disk in zstd whose frame says another size', 'IMAGE_STREAM_DAMAGED', () =>
    sketchZstd({
      blocks: [{ kind: 'raw', bytes: rawDisk }],
      descriptor: 0b1000_0000,
      fields: Buffer.from([7 << 3, 0, 0x20, 0, 0]),
    }),
  ),
  refused('a disk in zstd with a wrong checksum', 'IMAGE_STREAM_DAMAGED', () => flipped(zstdChecked(), -1)),
  refused('a disk in zstd with something behind it', 'IMAGE_STREAM_DAMAGED', () =>
    Buffer.concat([zstdChecked(), Buffer.from('more behind')]),
  ),
  refused('a disk in zstd with zeros behind it', 'IMAGE_STREAM_DAMAGED', () =>
    Buffer.concat([zstdChecked(), Buffer.alloc(512)]),
  ),
  ...[4, 5, 6, 9, 100, -1].map((at) =>
    refused(`a disk in zstd cut at byte ${at}`, 'IMAGE_TRUNCATED', () => rawZstd(rawDisk).subarray(0, at)),
  ),
  refused('a disk in zstd whose checksum is cut', 'IMAGE_TRUNCATED', () => zstdChecked().subarray(0, -2)),
  refused('a disk in zstd whose second frame is cut', 'IMAGE_TRUNCATED', () =>
    Buffer.concat([zstdChecked(), zstdChecked().subarray(0, 3)]),
  ),
  refused('a disk in zstd without a last block', 'IMAGE_TRUNCATED', () =>
    sketchZstd({ blocks: [{ kind: 'raw', bytes: rawDisk }], isEnded: false }),
  ),
  refused('zstd without a frame of data', 'IMAGE_TRUNCATED', () => skippableFrame(rawDisk)),
  refused('300 MiB of one letter in 10 KiB of zstd', 'IMAGE_EXPANSION_LIMIT', () =>
    repeatedZstd(0x78, 300 * mebibyte),
  ),
]

const xz: readonly HostileImage[] = [
  accepted('a disk in xz', () => sketchXz({ blocks: [disk] })),
  accepted('a disk in xz without checks', () => sketchXz({ blocks: [disk], check: 0 })),
  accepted('a disk in several blocks and streams of xz', () =>
    Buffer.concat([
      ...[
        sketchXz({ blocks: [disk, disk] }),
        Buffer.alloc(8),
        sketchXz(),
        sketchXz({ blocks: [disk], check: 0 }),
      ],
      Buffer.alloc(65_540),
    ]),
  ),
  accepted('a disk in xz with a dictionary of 64 MiB', () =>
    sketchXz({ blocks: [{ ...disk, filters: lzma2(28) }] }),
  ),
  accepted('a qcow2 image in xz', () => sketchXz({ blocks: [{ content: sketchQcow2().bytes }] })),
  refused('a disk in xz with a dictionary of 96 MiB', 'IMAGE_UNKNOWN_FEATURE', () =>
    sketchXz({ blocks: [{ ...disk, filters: lzma2(29) }] }),
  ),
  refused('a disk in xz with a dictionary of 2^41 bytes', 'IMAGE_UNKNOWN_FEATURE', () =>
    sketchXz({ blocks: [{ ...disk, filters: lzma2(60) }] }),
  ),
  refused('a disk in xz with a filter for programs', 'IMAGE_UNKNOWN_FEATURE', () =>
    sketchXz({ blocks: [{ ...disk, filters: Buffer.from([4, 0]) }] }),
  ),
  refused('a disk in xz with an unknown kind of check', 'IMAGE_UNKNOWN_FEATURE', () =>
    sketchXz({ blocks: [disk], check: 2 }),
  ),
  refused('a disk in xz with checks of SHA-256', 'IMAGE_UNKNOWN_FEATURE', () =>
    sketchXz({ blocks: [disk], check: 10 }),
  ),
  refused('a disk in xz with a wrong check', 'IMAGE_STREAM_DAMAGED', () =>
    flipped(sketchXz({ blocks: [disk] }), 500),
  ),
  refused('a disk in xz that ends otherwise than it begins', 'IMAGE_STREAM_DAMAGED', () =>
    sketchXz({ blocks: [disk], footerCheck: 0 }),
  ),
  refused('a disk in xz whose block is longer than its index says', 'IMAGE_STREAM_DAMAGED', () =>
    sketchXz({ blocks: [{ ...disk, plainSize: 4000 }] }),
  ),
  refused('a disk in xz whose block is shorter than its index says', 'IMAGE_STREAM_DAMAGED', () =>
    sketchXz({ blocks: [{ ...disk, plainSize: 2 ** 40 }] }),
  ),
  refused('a disk in xz whose block takes less than its index says', 'IMAGE_STREAM_DAMAGED', () =>
    sketchXz({ blocks: [disk, { ...disk, unpaddedSize: 100 }] }),
  ),
  refused('a disk in xz whose index says more than there is', 'IMAGE_STREAM_DAMAGED', () =>
    sketchXz({ blocks: [{ ...disk, unpaddedSize: 1_000_000 }] }),
  ),
  refused('a disk in xz whose index counts one block too many', 'IMAGE_STREAM_DAMAGED', () =>
    sketchXz({ blocks: [disk], count: 2 }),
  ),
  refused('a disk in xz whose index counts no block', 'IMAGE_STREAM_DAMAGED', () =>
    sketchXz({ blocks: [disk], count: 0 }),
  ),
  refused('a disk in xz whose index counts 2^50 blocks', 'IMAGE_TABLES_LIMIT', () =>
    sketchXz({ blocks: [disk], count: 2 ** 50 }),
  ),
  refused('a disk in xz whose index counts in too many bytes', 'IMAGE_STREAM_DAMAGED', () =>
    sketchXz({ blocks: [disk], count: Buffer.alloc(12, 0x81) }),
  ),
  refused('blocks of xz with more than 2^53 bytes', 'IMAGE_STREAM_DAMAGED', () =>
    sketchXz({ blocks: Array.from({ length: 3 }, () => ({ ...disk, plainSize: 2 ** 53 - 1 })) }),
  ),
  refused('a disk in xz with a damaged index', 'IMAGE_STREAM_DAMAGED', () =>
    flipped(sketchXz({ blocks: [disk] }), -16),
  ),
  refused('a disk in xz with a damaged footer', 'IMAGE_TRUNCATED', () =>
    flipped(sketchXz({ blocks: [disk] }), -5),
  ),
  refused('a disk in xz padded by three bytes', 'IMAGE_STREAM_DAMAGED', () =>
    Buffer.concat([sketchXz({ blocks: [disk] }), Buffer.alloc(3)]),
  ),
  refused('a disk in xz with something behind it', 'IMAGE_TRUNCATED', () =>
    Buffer.concat([sketchXz({ blocks: [disk] }), Buffer.from('more')]),
  ),
  ...[8, 12, 20, 2000, -12, -1].map((at) =>
    refused(`a disk in xz cut at byte ${at}`, 'IMAGE_TRUNCATED', () =>
      sketchXz({ blocks: [disk] }).subarray(0, at),
    ),
  ),
]

/** Compressed disks: what is valid, what is cut or damaged, what is wrapped too deep, and bombs. */
export const hostileCompressed: readonly HostileImage[] = [...gzip, ...zstd, ...xz]

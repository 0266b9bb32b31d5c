import { open } from 'node:fs/promises'
import { GiB, KiB, MiB, TiB } from '../../src/core/bytes.ts'
import { accepted, type HostileImage, refused } from './hostile-image.ts'
import { sketchGpt, sketchMbr } from './partition-sketch.ts'
import { sketchQcow2 } from './qcow2-sketch.ts'
import {
  resealVhd,
  setFooterField,
  setTableEntry,
  setVhdHeaderField,
  sketchDynamicVhd,
  sketchFixedVhd,
  smallBlock,
  type VhdSketch,
  type VhdSketchOptions,
} from './vhd-sketch.ts'

type Change = (sketch: VhdSketch) => void

/** A valid dynamic image, changed in one way. */
function dynamic(change: Change = () => undefined, options: VhdSketchOptions = {}): () => Buffer {
  return () => {
    const sketch = sketchDynamicVhd(options)
    change(sketch)
    return sketch.bytes
  }
}

/** A valid fixed image, changed in one way. */
function fixed(change: Change = () => undefined, disk?: Buffer): () => Buffer {
  return () => {
    const sketch = sketchFixedVhd(disk)
    change(sketch)
    return sketch.bytes
  }
}

const kinds = [
  ['fixed', fixed],
  ['dynamic', dynamic],
] as const

function both(title: string, code: Parameters<typeof refused>[1], change: Change): HostileImage[] {
  return kinds.map(([kind, spoilt]) => refused(`${title}, ${kind}`, code, spoilt(change)))
}

function cut(image: () => Buffer, length: (whole: number) => number): () => Buffer {
  return () => {
    const bytes = image()
    return bytes.subarray(0, length(bytes.length))
  }
}

const twoBlocks = { size: 2 * smallBlock, stored: [true, true] } as const

function setCreator({ bytes, footers }: VhdSketch, creator: string): void {
  for (const start of footers) bytes.write(creator, start + 28, 'latin1')
  resealVhd(bytes)
}

/** A geometry of `cylinders` tracks of 4 sectors. */
function setGeometry(sketch: VhdSketch, cylinders: number): void {
  setFooterField(sketch, 'cylinders', cylinders)
  setFooterField(sketch, 'heads', 1)
  setFooterField(sketch, 'sectors_per_track', 4)
}

/** A raw disk in a dynamic image, in a block of its own with this bitmap. */
function inDynamic(disk: Buffer, bitmap = 0xff): () => Buffer {
  return dynamic(({ bytes, table }) => disk.copy(bytes, table + 1024), {
    size: smallBlock,
    stored: [true],
    bitmap,
  })
}

/** A disk in which, by its geometry, QEMU sees a smaller one that ends like a VHD. */
function endingLikeVhd(): Buffer {
  const disk = Buffer.alloc(16 * KiB)
  sketchFixedVhd(Buffer.alloc(0)).bytes.copy(disk, 8 * KiB - 512)
  return disk
}

/** Lies of VHDs, and their harmless neighbours. Checksums are right unless they are the lie. */
export const hostileVhds: readonly HostileImage[] = [
  accepted('a valid fixed VHD', fixed()),
  accepted('a valid dynamic VHD', dynamic()),
  accepted('a dynamic VHD of two full blocks', dynamic(undefined, twoBlocks)),
  accepted('a dynamic VHD without a block', dynamic(undefined, { stored: [false, false, false] })),
  accepted('a dynamic VHD with more table entries than blocks', dynamic(undefined, { spareEntries: 200 })),
  accepted('a dynamic VHD of no size', dynamic(undefined, { size: 0 })),
  accepted('a dynamic VHD with blocks of 256 MiB', dynamic(undefined, { blockSize: 256 * MiB, size: 4096 })),
  ...kinds.map(([kind, image]) =>
    accepted(
      `a ${kind} VHD with a footer of 511 bytes`,
      cut(image(), (whole) => whole - 1),
    ),
  ),
  accepted('an MBR in a fixed VHD', fixed(undefined, sketchMbr([{ type: 0x83, first: 64, sectors: 512 }]))),
  accepted('a GPT in a fixed VHD', fixed(undefined, sketchGpt())),
  accepted('an MBR in a dynamic VHD', inDynamic(sketchMbr([{ type: 0x83, first: 64, sectors: 512 }], 1024))),
  accepted(
    'a GPT in a dynamic VHD',
    inDynamic(sketchGpt({ sectors: 1024, parts: [{ first: 64, last: 99 }] })),
  ),
  accepted(
    'a fixed VHD with 32 bits of data offset, as the specification says',
    fixed((sketch) => setFooterField(sketch, 'data_offset', 0xffff_ffff)),
  ),
  accepted(
    'a geometry that says the size',
    fixed((sketch) => {
      setCreator(sketch, 'vpc ')
      setGeometry(sketch, 2)
    }),
  ),
  accepted(
    'the largest geometry',
    fixed((sketch) => {
      setCreator(sketch, 'xxxx')
      setFooterField(sketch, 'cylinders', 65_535)
      setFooterField(sketch, 'heads', 16)
      setFooterField(sketch, 'sectors_per_track', 255)
    }),
  ),
  ...['vpc ', 'qemu', 'vbox', '\0\0\0\0', 'tap '].map((creator) =>
    accepted(
      `a geometry that says less than the size, by ${JSON.stringify(creator)}`,
      fixed((sketch) => {
        setCreator(sketch, creator)
        setGeometry(sketch, 1)
      }),
      { code: 'IMAGE_SIZE_AMBIGUOUS' },
    ),
  ),
  accepted(
    'a geometry that says nothing',
    fixed((sketch) => {
      setCreator(sketch, 'vpc ')
      setGeometry(sketch, 0)
    }),
    { code: 'IMAGE_SIZE_AMBIGUOUS' },
  ),
  ...['qem2', 'd2v ', 'CTXS', 'tap\0', 'wa\0\0'].map((creator) =>
    accepted(
      `a geometry that says more than the size, by ${JSON.stringify(creator)}, which counts for nothing`,
      fixed((sketch) => {
        setCreator(sketch, creator)
        setGeometry(sketch, 100)
      }),
    ),
  ),
  refused(
    'a geometry that says more than the size',
    'IMAGE_SIZE_AMBIGUOUS',
    fixed((sketch) => {
      setCreator(sketch, 'vpc ')
      setGeometry(sketch, 3)
    }),
  ),
  refused(
    'a disk that ends like a VHD where the geometry says that it ends',
    'IMAGE_NESTED_FORMAT',
    fixed((sketch) => {
      setCreator(sketch, 'vpc ')
      setGeometry(sketch, 4)
    }, endingLikeVhd()),
  ),
  accepted('the same disk where the geometry counts for nothing', fixed(undefined, endingLikeVhd())),
  accepted(
    'a dynamic VHD whose bitmaps say that nothing was written',
    inDynamic(Buffer.alloc(smallBlock), 0),
  ),
  refused(
    'a qcow2 image in sectors that a bitmap calls never written, which QEMU reads',
    'IMAGE_NESTED_FORMAT',
    inDynamic(sketchQcow2().bytes, 0),
  ),

  ...kinds.flatMap(([kind, image]) => [
    refused(`a ${kind} VHD declared raw`, 'IMAGE_FORMAT_MISMATCH', image(), { declared: 'raw' }),
    refused(`a ${kind} VHD declared vhdx`, 'IMAGE_FORMAT_MISMATCH', image(), { declared: 'vhdx' }),
  ]),
  refused(
    'polyglot: a dynamic VHD with a boot record',
    'IMAGE_MULTIPLE_FORMATS',
    dynamic(({ bytes }) => {
      bytes.writeUInt16LE(0xaa55, 510)
      resealVhd(bytes)
    }),
  ),
  refused('polyglot: a fixed VHD that begins like a qcow2 image', 'IMAGE_MULTIPLE_FORMATS', () => {
    return sketchFixedVhd(sketchQcow2().bytes).bytes
  }),
  refused(
    'polyglot: a fixed VHD that begins like a dynamic one, which QEMU would read',
    'IMAGE_NESTED_FORMAT',
    fixed(undefined, sketchDynamicVhd().bytes),
  ),
  refused('a VHD in a dynamic VHD', 'IMAGE_NESTED_FORMAT', inDynamic(sketchDynamicVhd().bytes)),
  refused('a qcow2 image in a dynamic VHD', 'IMAGE_NESTED_FORMAT', inDynamic(sketchQcow2().bytes)),

  ...kinds.flatMap(([kind, image]) => [
    refused(
      `a differencing VHD, else ${kind}`,
      'IMAGE_BACKING_FILE',
      image((sketch) => setFooterField(sketch, 'disk_type', 4)),
    ),
    refused(
      `a differencing VHD, else ${kind}, other files allowed`,
      'IMAGE_BACKING_FILE',
      image((sketch) => setFooterField(sketch, 'disk_type', 4)),
      { allowOtherFiles: true },
    ),
  ]),
  ...[0, 1, 5, 6, 0xffff_ffff].flatMap((type) =>
    both(`a VHD of type ${type}`, 'IMAGE_UNKNOWN_FEATURE', (sketch) => {
      setFooterField(sketch, 'disk_type', type)
    }),
  ),
  ...[0, 0x0000_ffff, 0x0002_0000, 0xffff_ffff].flatMap((version) =>
    both(`VHD version 0x${version.toString(16)}`, 'IMAGE_UNKNOWN_FEATURE', (sketch) => {
      setFooterField(sketch, 'file_format_version', version)
    }),
  ),
  ...both('a wrong checksum of the footer', 'IMAGE_CHECKSUM_WRONG', (sketch) => {
    setFooterField(sketch, 'checksum', 0)
  }),
  ...both('a changed bit of the footer', 'IMAGE_CHECKSUM_WRONG', ({ bytes, footers }) => {
    const at = (footers.at(-1) ?? 0) + 100
    bytes[at] = 1
  }),
  refused(
    'a fixed VHD declared dynamic',
    'IMAGE_HEADER_INVALID',
    fixed((sketch) => setFooterField(sketch, 'disk_type', 3)),
  ),
  ...[1, 511, 513].flatMap((size) =>
    both(`a VHD of ${size} bytes`, 'IMAGE_HEADER_INVALID', (sketch) => {
      setFooterField(sketch, 'current_size', size)
    }),
  ),
  ...[2n ** 53n, 2n ** 64n - 1n, 2n ** 64n - 512n].flatMap((size) =>
    both(`a VHD of ${size} bytes`, 'IMAGE_HEADER_INVALID', (sketch) => {
      setFooterField(sketch, 'current_size', size)
    }),
  ),
  refused(
    'a fixed VHD of 16 TiB and a sector, in a few bytes',
    'IMAGE_SIZE_LIMIT',
    fixed((sketch) => setFooterField(sketch, 'current_size', 16 * TiB + 512)),
  ),
  refused(
    'a fixed VHD that is shorter than its disk',
    'IMAGE_TRUNCATED',
    fixed((sketch) => setFooterField(sketch, 'current_size', 4 * KiB + 512)),
  ),
  refused(
    'a fixed VHD that is longer than its disk',
    'IMAGE_HEADER_INVALID',
    fixed((sketch) => setFooterField(sketch, 'current_size', 4 * KiB - 512)),
  ),

  refused(
    'a copy of the footer that says another size',
    'IMAGE_COPIES_DIFFER',
    dynamic((sketch) => setFooterField({ ...sketch, footers: [0] }, 'current_size', smallBlock)),
  ),
  refused(
    'a copy of the footer that says another geometry',
    'IMAGE_COPIES_DIFFER',
    dynamic((sketch) => setFooterField({ ...sketch, footers: [0] }, 'heads', 5)),
  ),
  refused(
    'a copy of the footer that says another header',
    'IMAGE_COPIES_DIFFER',
    dynamic((sketch) => setFooterField({ ...sketch, footers: [0] }, 'data_offset', 1024)),
  ),
  refused(
    'a copy of the footer that calls the image fixed',
    'IMAGE_COPIES_DIFFER',
    dynamic((sketch) => setFooterField({ ...sketch, footers: [0] }, 'disk_type', 2)),
  ),
  refused(
    'a copy of the footer that calls the image differencing',
    'IMAGE_COPIES_DIFFER',
    dynamic((sketch) => setFooterField({ ...sketch, footers: [0] }, 'disk_type', 4)),
  ),
  refused(
    'a copy of the footer with a wrong checksum',
    'IMAGE_CHECKSUM_WRONG',
    dynamic((sketch) => setFooterField({ ...sketch, footers: [0] }, 'checksum', 1)),
  ),
  refused(
    'a dynamic VHD without the copy of its footer',
    'IMAGE_HEADER_INVALID',
    dynamic(({ bytes }) => bytes.fill(0, 0, 512)),
  ),

  ...[0n, 256n, 511n, 513n].map((offset) =>
    refused(
      `the header of a VHD at byte ${offset}`,
      'IMAGE_HEADER_INVALID',
      dynamic((sketch) => setFooterField(sketch, 'data_offset', offset)),
    ),
  ),
  ...[2n ** 20n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 512n].map((offset) =>
    refused(
      `the header of a VHD at byte ${offset}, outside the file`,
      'IMAGE_OFFSET_OUT_OF_FILE',
      dynamic((sketch) => setFooterField(sketch, 'data_offset', offset)),
    ),
  ),
  refused(
    'the header of a VHD in its table',
    'IMAGE_HEADER_INVALID',
    dynamic((sketch) => setFooterField(sketch, 'data_offset', 1536)),
  ),
  refused(
    'a header of a VHD without its signature',
    'IMAGE_HEADER_INVALID',
    dynamic(({ bytes, header }) => bytes.write('cxsparsf', header, 'latin1')),
  ),
  refused(
    'a wrong checksum of the header of a VHD',
    'IMAGE_CHECKSUM_WRONG',
    dynamic((sketch) => setVhdHeaderField(sketch, 'checksum', 0)),
  ),
  refused(
    'a changed bit of the header of a VHD',
    'IMAGE_CHECKSUM_WRONG',
    dynamic(({ bytes, header }) => bytes.fill(1, header + 1023, header + 1024)),
  ),
  ...[0, 0x0002_0000, 0xffff_ffff].map((version) =>
    refused(
      `a header of a VHD of version 0x${version.toString(16)}`,
      'IMAGE_UNKNOWN_FEATURE',
      dynamic((sketch) => setVhdHeaderField(sketch, 'header_version', version)),
    ),
  ),
  ...[0, 1, 512, 256 * KiB, 512 * KiB - 1, 512 * KiB + 512, 3 * MiB, 512 * MiB, 2 ** 31, 0xffff_ffff].map(
    (blockSize) =>
      refused(
        `a VHD with blocks of ${blockSize} bytes`,
        'IMAGE_HEADER_INVALID',
        dynamic((sketch) => setVhdHeaderField(sketch, 'block_size', blockSize)),
      ),
  ),
  ...[0, 2].map((entries) =>
    refused(
      `a VHD with ${entries} table entries for 3 blocks`,
      'IMAGE_HEADER_INVALID',
      dynamic((sketch) => setVhdHeaderField(sketch, 'max_table_entries', entries)),
    ),
  ),
  refused(
    'a VHD with more table entries than any disk needs',
    'IMAGE_TABLES_LIMIT',
    dynamic((sketch) => setVhdHeaderField(sketch, 'max_table_entries', 8 * MiB + 1)),
  ),
  refused(
    'a VHD with as many table entries as allowed, and no room for them',
    'IMAGE_OFFSET_OUT_OF_FILE',
    dynamic((sketch) => setVhdHeaderField(sketch, 'max_table_entries', 8 * MiB)),
  ),
  refused(
    'a dynamic VHD of 2040 GiB and a sector',
    'IMAGE_SIZE_LIMIT',
    dynamic((sketch) => setFooterField(sketch, 'current_size', 2040 * GiB + 512)),
  ),
  refused(
    'a dynamic VHD of 2040 GiB with a table for less',
    'IMAGE_HEADER_INVALID',
    dynamic((sketch) => setFooterField(sketch, 'current_size', 2040 * GiB)),
  ),
  ...[1n, 1537n].map((offset) =>
    refused(
      `the table of a VHD at byte ${offset}`,
      'IMAGE_HEADER_INVALID',
      dynamic((sketch) => setVhdHeaderField(sketch, 'table_offset', offset)),
    ),
  ),
  ...[0n, 512n, 1024n].map((offset) =>
    refused(
      `the table of a VHD at byte ${offset}, on a header`,
      'IMAGE_OVERLAP',
      dynamic((sketch) => setVhdHeaderField(sketch, 'table_offset', offset)),
    ),
  ),
  ...[2n ** 20n, 2n ** 53n, 2n ** 64n - 512n].map((offset) =>
    refused(
      `the table of a VHD at byte ${offset}, outside the file`,
      'IMAGE_OFFSET_OUT_OF_FILE',
      dynamic((sketch) => setVhdHeaderField(sketch, 'table_offset', offset)),
    ),
  ),

  refused(
    'a table entry of a VHD that points to its footer',
    'IMAGE_OFFSET_OUT_OF_FILE',
    dynamic((sketch) => setTableEntry(sketch, 2, (sketch.footers[1] ?? 0) / 512)),
  ),
  ...[0x0010_0000, 0x7fff_ffff, 0xffff_fffe].map((entry) =>
    refused(
      `a table entry of a VHD that points to sector ${entry}`,
      'IMAGE_OFFSET_OUT_OF_FILE',
      dynamic((sketch) => setTableEntry(sketch, 2, entry)),
    ),
  ),
  refused(
    'a block of a VHD that reaches into the footer',
    'IMAGE_TRUNCATED',
    dynamic((sketch) => setTableEntry(sketch, 2, 5)),
  ),
  refused(
    'a full block of a VHD in the place of a short one',
    'IMAGE_TRUNCATED',
    dynamic((sketch) => setTableEntry(sketch, 0, 4)),
  ),
  ...[0, 1, 2, 3].map((entry) =>
    refused(
      `a block of a VHD at sector ${entry}, on the headers`,
      'IMAGE_OVERLAP',
      dynamic((sketch) => setTableEntry(sketch, 1, entry), twoBlocks),
    ),
  ),
  refused(
    'a block of a VHD used twice',
    'IMAGE_OVERLAP',
    dynamic((sketch) => setTableEntry(sketch, 1, 4), twoBlocks),
  ),
  refused(
    'a block of a VHD used again for many',
    'IMAGE_OVERLAP',
    dynamic(
      (sketch) => {
        for (let index = 0; index < 100; index += 1) setTableEntry(sketch, index, 4)
      },
      { size: 101 * smallBlock, stored: [true, ...Array.from({ length: 99 }, () => false), true] },
    ),
  ),
  refused(
    'blocks of a VHD that share a sector',
    'IMAGE_OVERLAP',
    dynamic((sketch) => setTableEntry(sketch, 1, 4 + 1024), twoBlocks),
  ),
  refused(
    'a block of a VHD used once more beyond the end of the disk',
    'IMAGE_OVERLAP',
    dynamic((sketch) => setTableEntry(sketch, 5, 4), { spareEntries: 10 }),
  ),

  ...[8, 511, 513, 1024, 1536, 1548, 2048].map((length) =>
    refused(
      `a dynamic VHD that ends at byte ${length}`,
      'IMAGE_TRUNCATED',
      cut(dynamic(), () => length),
    ),
  ),
  refused(
    'a dynamic VHD that ends behind the copy of its footer',
    'IMAGE_OFFSET_OUT_OF_FILE',
    cut(dynamic(), () => 512),
  ),
  refused(
    'a dynamic VHD without its footer',
    'IMAGE_TRUNCATED',
    cut(dynamic(), (whole) => whole - 512),
  ),
  refused('a dynamic VHD with something behind its footer', 'IMAGE_TRUNCATED', () => {
    return Buffer.concat([sketchDynamicVhd().bytes, Buffer.alloc(512)])
  }),
  refused('a fixed VHD without its first sector', 'IMAGE_TRUNCATED', () =>
    sketchFixedVhd().bytes.subarray(512),
  ),
  refused('a footer of a VHD and nothing else', 'IMAGE_TRUNCATED', () =>
    sketchFixedVhd().bytes.subarray(-512),
  ),
  {
    name: 'a dynamic VHD of 2040 GiB with a table that says that all of it is in the same place',
    expected: { accepted: false, code: 'IMAGE_OVERLAP' },
    async build(path) {
      const sketch = sketchDynamicVhd({ size: smallBlock, stored: [false] })
      const end = 64 * MiB
      setFooterField(sketch, 'current_size', 2040 * GiB)
      setVhdHeaderField(sketch, 'max_table_entries', 4_177_920)
      await using file = await open(path, 'wx')
      await file.write(sketch.bytes.subarray(0, 1536))
      await file.write(sketch.bytes.subarray(-512), 0, 512, end)
    },
  },
]

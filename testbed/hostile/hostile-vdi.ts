import { open } from 'node:fs/promises'
import { MiB, TiB } from '../../src/core/bytes.ts'
import { accepted, type HostileImage, refused } from './hostile-image.ts'
import { sketchGpt } from './partition-sketch.ts'
import { sketchQcow2 } from './qcow2-sketch.ts'
import {
  discarded,
  free,
  setMapEntry,
  setVdiField,
  sketchVdi,
  type VdiSketch,
  type VdiSketchOptions,
} from './vdi-sketch.ts'

/** A valid image, changed in one way. */
function spoilt(change: (sketch: VdiSketch) => void, options: VdiSketchOptions = {}): () => Buffer {
  return () => {
    const sketch = sketchVdi(options)
    change(sketch)
    return sketch.bytes
  }
}

/** A valid image, cut off. */
function cut(length: (whole: number) => number): () => Buffer {
  return () => {
    const { bytes } = sketchVdi()
    return bytes.subarray(0, length(bytes.length))
  }
}

/** An image whose disk begins with these bytes. */
function holding(disk: Buffer): () => Buffer {
  const data = Buffer.alloc(MiB)
  disk.copy(data)
  return () => sketchVdi({ size: MiB, map: [0], data }).bytes
}

const twoBlocks = { size: 2 * MiB, map: [1, 0] } as const

/** Lies of VDI images, and their harmless neighbours. */
export const hostileVdis: readonly HostileImage[] = [
  accepted('a valid VDI image', () => sketchVdi().bytes),
  accepted('a VDI image of two blocks in the wrong order', () => sketchVdi(twoBlocks).bytes),
  accepted('a fixed VDI image', () => sketchVdi({ type: 2, size: MiB, map: [0] }).bytes),
  accepted('a fixed VDI image with blocks that are not there', () => sketchVdi({ type: 2 }).bytes),
  accepted('a VDI image with discarded blocks', () => sketchVdi({ map: [discarded, free, 0] }).bytes),
  accepted('a VDI image without a block', () => sketchVdi({ size: MiB, map: [free] }).bytes),
  accepted('a VDI image of no size', () => sketchVdi({ size: 0, map: [] }).bytes),
  accepted('a VDI image of 100 bytes, as VBoxManage convertfromraw leaves it', () => {
    return sketchVdi({ size: 100, map: [0], data: Buffer.alloc(512, 'A') }).bytes
  }),
  accepted('a VDI image with the map and the data where VirtualBox puts them', () => {
    return sketchVdi({ mapOffset: MiB, dataOffset: 2 * MiB }).bytes
  }),
  accepted(
    'a VDI image with more map entries than blocks',
    () => sketchVdi({ map: [free, free, 0, free] }).bytes,
  ),
  accepted('a GPT disk in a VDI image', holding(sketchGpt())),
  accepted(
    'a VDI image that counts a block too many',
    spoilt((sketch) => setVdiField(sketch, 'cBlocksAllocated', 2)),
    { code: 'IMAGE_MARKED_DIRTY' },
  ),

  refused('a VDI image declared raw', 'IMAGE_FORMAT_MISMATCH', () => sketchVdi().bytes, { declared: 'raw' }),
  refused('a VDI image declared vhd', 'IMAGE_FORMAT_MISMATCH', () => sketchVdi().bytes, { declared: 'vhd' }),
  refused(
    'polyglot: VDI with a boot record',
    'IMAGE_MULTIPLE_FORMATS',
    spoilt(({ bytes }) => bytes.writeUInt16LE(0xaa55, 510)),
  ),
  refused('polyglot: VDI with the footer of a VHD', 'IMAGE_MULTIPLE_FORMATS', () => {
    const footer = Buffer.alloc(512)
    footer.write('conectix', 0, 'latin1')
    return Buffer.concat([sketchVdi().bytes, footer])
  }),
  refused('a qcow2 image in a VDI image', 'IMAGE_NESTED_FORMAT', holding(sketchQcow2().bytes)),

  ...[0, 0x00010000, 0x00010002, 0x00020001, 0xffffffff].map((version) =>
    refused(
      `VDI version 0x${version.toString(16)}`,
      'IMAGE_UNKNOWN_FEATURE',
      spoilt((sketch) => setVdiField(sketch, 'version', version)),
    ),
  ),
  ...[0, 5, 0xffffffff].map((type) =>
    refused(`a VDI image of type ${type}`, 'IMAGE_UNKNOWN_FEATURE', () => sketchVdi({ type }).bytes),
  ),
  refused('an undo VDI image', 'IMAGE_BACKING_FILE', () => sketchVdi({ type: 3 }).bytes),
  refused('a differencing VDI image', 'IMAGE_BACKING_FILE', () => sketchVdi({ type: 4 }).bytes),
  ...(['uuidLinkage', 'uuidParentModify'] as const).flatMap((name) => [
    refused(
      `a dynamic VDI image with ${name}`,
      'IMAGE_BACKING_FILE',
      spoilt((sketch) => setVdiField(sketch, name, 1)),
    ),
    refused(
      `a differencing VDI image with ${name}, other files allowed`,
      'IMAGE_BACKING_FILE',
      spoilt((sketch) => setVdiField(sketch, name, 1), { type: 4 }),
      { allowOtherFiles: true },
    ),
  ]),
  ...(
    [
      ['cbHeader', [0, 0x17f, 0x201, 0xffffffff]],
      ['cbSector', [0, 256, 4096]],
      ['cbBlock', [0, 512, MiB - 1, MiB / 2, 2 * MiB, 0xffffffff]],
      ['cbBlockExtra', [1, 512, 0xffffffff]],
      ['offBlocks', [0, 0x40, 0x1ff, 0x201, 0x3ff]],
      ['offData', [0x3ff, 0x401, 0xffffffff]],
      ['cbDisk', [2n ** 53n, 2n ** 64n - 1n, 3 * MiB + 1, 16 * TiB + 1]],
      ['cBlocks', [0, 2, 0x40000000, 0xffffffff]],
      ['cBlocksAllocated', [4, 0xffffffff]],
    ] as const
  ).flatMap(([name, values]) =>
    values.map((value) =>
      refused(
        `${name} of a VDI image is ${value}`,
        'IMAGE_HEADER_INVALID',
        spoilt((sketch) => setVdiField(sketch, name, value)),
      ),
    ),
  ),
  refused(
    'data of a VDI image on its map',
    'IMAGE_OVERLAP',
    spoilt((sketch) => setVdiField(sketch, 'offData', 0x200)),
  ),
  refused(
    'data of a VDI image on its header',
    'IMAGE_OVERLAP',
    spoilt((sketch) => setVdiField(sketch, 'offData', 0)),
  ),
  refused(
    'the map of a VDI image runs into its data',
    'IMAGE_OVERLAP',
    spoilt((sketch) => setVdiField(sketch, 'cBlocks', 0x201 / 4 + 1)),
  ),
  refused(
    'the map of a VDI image outside the file',
    'IMAGE_OFFSET_OUT_OF_FILE',
    spoilt((sketch) => {
      setVdiField(sketch, 'offBlocks', 0x10000)
      setVdiField(sketch, 'offData', 0x20000)
    }),
  ),
  refused(
    'the data of a VDI image outside the file',
    'IMAGE_OFFSET_OUT_OF_FILE',
    spoilt((sketch) => setVdiField(sketch, 'offData', 0x100000)),
  ),
  ...[1, 2, 0x7fffffff, 0xfffffffd].map((entry) =>
    refused(
      `a map entry of a VDI image that points to block ${entry} of one`,
      'IMAGE_OFFSET_OUT_OF_FILE',
      spoilt((sketch) => setMapEntry(sketch, 2, entry)),
    ),
  ),
  refused(
    'a full block of a VDI image in the place of a short one',
    'IMAGE_TRUNCATED',
    spoilt((sketch) => setMapEntry(sketch, 0, 0)),
  ),
  refused(
    'a block of a VDI image used twice',
    'IMAGE_OVERLAP',
    spoilt((sketch) => setMapEntry(sketch, 1, 1), twoBlocks),
  ),
  refused('a block of a VDI image used once more beyond the end of the disk', 'IMAGE_OVERLAP', () => {
    return sketchVdi({ map: [free, free, 0, 0] }).bytes
  }),

  ...[0x44, 0x48, 0x154, 0x1c7].map((length) =>
    refused(
      `a VDI image that ends at byte ${length} of its header`,
      'IMAGE_TRUNCATED',
      cut(() => length),
    ),
  ),
  ...[0x200, 0x20b].map((length) =>
    refused(
      `a VDI image that ends at byte ${length}, in its map`,
      'IMAGE_OFFSET_OUT_OF_FILE',
      cut(() => length),
    ),
  ),
  ...[0x20c, 0x400].map((length) =>
    refused(
      `a VDI image that ends at byte ${length}, before its data`,
      'IMAGE_OFFSET_OUT_OF_FILE',
      cut(() => length),
    ),
  ),
  refused(
    'a VDI image without its last byte',
    'IMAGE_TRUNCATED',
    cut((whole) => whole - 1),
  ),
  refused(
    'a VDI image without its last sector',
    'IMAGE_TRUNCATED',
    cut((whole) => whole - 512),
  ),
  sparse('a VDI image of 16 TiB and a block', 'IMAGE_SIZE_LIMIT', {
    size: 16 * TiB + MiB,
    blocks: 16 * MiB + 1,
    mapBytes: 64 * MiB + 4,
  }),
  sparse('a VDI image with a map for more than 16 TiB and a disk of 1 MiB', 'IMAGE_TABLES_LIMIT', {
    size: MiB,
    blocks: 16 * MiB + 1,
    mapBytes: 64 * MiB + 4,
  }),
]

/** An image with a large map that costs nothing on disk. */
function sparse(
  name: string,
  code: 'IMAGE_SIZE_LIMIT' | 'IMAGE_TABLES_LIMIT',
  { size, blocks, mapBytes }: { size: number; blocks: number; mapBytes: number },
): HostileImage {
  return {
    name,
    expected: { accepted: false, code },
    async build(path) {
      const sketch = sketchVdi()
      const dataOffset = Math.ceil((0x200 + mapBytes) / MiB) * MiB
      setVdiField(sketch, 'cbDisk', size)
      setVdiField(sketch, 'cBlocks', blocks)
      setVdiField(sketch, 'offData', dataOffset)
      await using file = await open(path, 'wx')
      await file.write(sketch.bytes.subarray(0, 0x200))
      await file.truncate(dataOffset + MiB)
    },
  }
}

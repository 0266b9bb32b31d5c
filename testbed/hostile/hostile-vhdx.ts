import { KiB, MiB, TiB } from '../../src/core/bytes.ts'
import { encodeGuid } from '../../src/disk/guid.ts'
import {
  blockStates,
  type MetadataItemName,
  metadataItems,
  metadataTable,
  parentLocatorId,
  regionTable,
} from '../../src/disk/vhdx/vhdx-layout.ts'
import { accepted, type HostileImage, refused } from './hostile-image.ts'
import { sketchGpt } from './partition-sketch.ts'
import { sketchQcow2 } from './qcow2-sketch.ts'
import {
  changeRegionTables,
  places,
  present,
  regionPlace,
  setBatEntry,
  setHeaderField,
  sketchVhdx,
  type VhdxSketch,
  type VhdxSketchOptions,
} from './vhdx-sketch.ts'

type Change = (sketch: VhdxSketch) => void

/** A valid image, changed in one way. */
export function spoiltVhdx(change: Change = () => undefined, options: VhdxSketchOptions = {}): () => Buffer {
  return () => {
    const sketch = sketchVhdx(options)
    change(sketch)
    return sketch.bytes
  }
}

function cut(length: number): () => Buffer {
  return () => sketchVhdx().bytes.subarray(0, length)
}

const [firstHeader, secondHeader] = places.headers
const [firstTable, secondTable] = places.regionTables
const unknownGuid = 'a7a1b9a0-5c40-4d4b-8f2e-27d6d6f7e001'
const tebibyte = BigInt(TiB)

const headers: readonly HostileImage[] = [
  accepted('a valid VHDX', spoiltVhdx(), { declared: 'vhdx' }),
  accepted('a valid fixed VHDX', spoiltVhdx(undefined, { fixed: true })),
  accepted('a valid VHDX with sectors of 4096 bytes', spoiltVhdx(undefined, { sectorSize: 4096 })),
  refused('a VHDX declared vhd', 'IMAGE_FORMAT_MISMATCH', spoiltVhdx(), { declared: 'vhd' }),
  refused('CVE-2024-40767: a VHDX declared raw', 'IMAGE_FORMAT_MISMATCH', spoiltVhdx(), { declared: 'raw' }),
  refused('the signature of VHDX and nothing else', 'IMAGE_TRUNCATED', () => {
    const disk = Buffer.alloc(64 * KiB)
    disk.write('vhdxfile', 0, 'latin1')
    return disk
  }),
  refused(
    'polyglot: VHDX with a boot record',
    'IMAGE_MULTIPLE_FORMATS',
    spoiltVhdx(({ bytes }) => bytes.writeUInt16LE(0xaa55, 510)),
  ),
  refused('VHDX, cut off in the headers', 'IMAGE_TRUNCATED', cut(MiB - 1)),
  refused('VHDX, cut off in the log', 'IMAGE_OFFSET_OUT_OF_FILE', cut(2 * MiB - 1)),
  refused('VHDX, cut off in the BAT', 'IMAGE_OFFSET_OUT_OF_FILE', cut(3 * MiB - 1)),
  refused('VHDX, cut off in the metadata', 'IMAGE_OFFSET_OUT_OF_FILE', cut(4 * MiB - 1)),
  refused('VHDX, cut off in the data', 'IMAGE_OFFSET_OUT_OF_FILE', cut(5 * MiB + 4 * KiB - 1)),

  accepted(
    'VHDX with a damaged first header',
    spoiltVhdx(({ bytes }) => bytes.writeUInt8(1, firstHeader + 100)),
  ),
  accepted(
    'VHDX with a damaged second header',
    spoiltVhdx(({ bytes }) => bytes.writeUInt8(1, secondHeader + 100)),
  ),
  refused(
    'VHDX with two damaged headers',
    'IMAGE_CHECKSUM_WRONG',
    spoiltVhdx(({ bytes }) => {
      for (const at of places.headers) bytes.writeUInt8(1, at + 100)
    }),
  ),
  refused(
    'VHDX without headers',
    'IMAGE_CHECKSUM_WRONG',
    spoiltVhdx(({ bytes }) => bytes.fill(0, firstHeader, firstTable)),
  ),
  accepted(
    'VHDX with twice the same header',
    spoiltVhdx(({ bytes }) => bytes.copy(bytes, firstHeader, secondHeader, secondHeader + 4 * KiB)),
  ),
  refused(
    'VHDX with two headers that both claim to be the latest',
    'IMAGE_COPIES_DIFFER',
    spoiltVhdx((sketch) => {
      sketch.bytes.writeUInt8(1, firstHeader + 20)
      setHeaderField(sketch, 'sequenceNumber', 5n)
    }),
  ),
  refused(
    'VHDX version 0',
    'IMAGE_UNKNOWN_FEATURE',
    spoiltVhdx((sketch) => setHeaderField(sketch, 'version', 0n)),
  ),
  refused(
    'VHDX version 2',
    'IMAGE_UNKNOWN_FEATURE',
    spoiltVhdx((sketch) => setHeaderField(sketch, 'version', 2n)),
  ),
  accepted(
    'VHDX with an empty log of an unknown version',
    spoiltVhdx((sketch) => setHeaderField(sketch, 'logVersion', 1n)),
  ),
  accepted(
    'VHDX without a log',
    spoiltVhdx((sketch) => setHeaderField(sketch, 'logLength', 0n)),
  ),
  refused(
    'VHDX with a log of half a MiB',
    'IMAGE_HEADER_INVALID',
    spoiltVhdx((sketch) => setHeaderField(sketch, 'logLength', BigInt(MiB / 2))),
  ),
  refused(
    'VHDX with a log that begins within a MiB',
    'IMAGE_HEADER_INVALID',
    spoiltVhdx((sketch) => setHeaderField(sketch, 'logOffset', BigInt(MiB + 4096))),
  ),
  refused(
    'VHDX with its log on the headers',
    'IMAGE_HEADER_INVALID',
    spoiltVhdx((sketch) => setHeaderField(sketch, 'logOffset', 0n)),
  ),
  refused(
    'VHDX with its log outside the file',
    'IMAGE_OFFSET_OUT_OF_FILE',
    spoiltVhdx((sketch) => setHeaderField(sketch, 'logOffset', 6n * BigInt(MiB))),
  ),
  refused(
    'VHDX with its log at 2^63',
    'IMAGE_OFFSET_OUT_OF_FILE',
    spoiltVhdx((sketch) => setHeaderField(sketch, 'logOffset', 2n ** 63n)),
  ),
  refused(
    'VHDX with its log on the BAT',
    'IMAGE_OVERLAP',
    spoiltVhdx((sketch) => setHeaderField(sketch, 'logLength', BigInt(2 * MiB))),
  ),
]

/** Both region tables, changed alike; `at` is where the entry of a region begins. */
function region(name: 'bat' | 'metadata', change: (bytes: Buffer, at: number) => void): () => Buffer {
  return spoiltVhdx((sketch) => {
    const within = sketch.regions[name] - firstTable
    changeRegionTables(sketch, (table) => change(sketch.bytes, table + within))
  })
}

function anotherRegion(required: boolean, guid = unknownGuid): () => Buffer {
  return spoiltVhdx(
    (sketch) => {
      changeRegionTables(sketch, (table) => {
        sketch.bytes.writeUInt32LE(3, table + 8)
        const at = table + 80
        encodeGuid(guid).copy(sketch.bytes, at)
        sketch.bytes.writeBigUInt64LE(BigInt(4 * MiB), at + 16)
        sketch.bytes.writeUInt32LE(MiB, at + 24)
        sketch.bytes.writeUInt32LE(required ? 1 : 0, at + 28)
      })
    },
    { gap: 1 },
  )
}

const regions: readonly HostileImage[] = [
  accepted(
    'VHDX with a damaged region table',
    spoiltVhdx(({ bytes }) => bytes.writeUInt8(1, firstTable + 60)),
    { code: 'IMAGE_CHECKSUM_WRONG' },
  ),
  accepted(
    'VHDX with a damaged copy of the region table',
    spoiltVhdx(({ bytes }) => bytes.writeUInt8(1, secondTable + 60)),
    { code: 'IMAGE_CHECKSUM_WRONG' },
  ),
  refused(
    'VHDX with two damaged region tables',
    'IMAGE_CHECKSUM_WRONG',
    spoiltVhdx(({ bytes }) => {
      for (const at of places.regionTables) bytes.writeUInt8(1, at + 60)
    }),
  ),
  refused(
    'VHDX with two region tables that differ',
    'IMAGE_COPIES_DIFFER',
    spoiltVhdx((sketch) => {
      sketch.bytes.writeUInt32LE(0, firstTable + 16 + 28)
      changeRegionTables(sketch, () => undefined)
    }),
  ),
  accepted(
    'VHDX with two region tables that differ behind their entries',
    spoiltVhdx((sketch) => {
      sketch.bytes.write('anything', firstTable + 200)
      changeRegionTables(sketch, () => undefined)
    }),
  ),
  ...[0, 1, 2048, 2 ** 32 - 1].map((count) =>
    refused(
      `VHDX with ${count} regions`,
      'IMAGE_HEADER_INVALID',
      spoiltVhdx((sketch) =>
        changeRegionTables(sketch, (table) => sketch.bytes.writeUInt32LE(count, table + 8)),
      ),
    ),
  ),
  refused(
    'VHDX with 2047 regions, most of them empty',
    'IMAGE_ENTRY_INVALID',
    spoiltVhdx((sketch) =>
      changeRegionTables(sketch, (table) =>
        sketch.bytes.writeUInt32LE(regionTable.maximumEntries, table + 8),
      ),
    ),
  ),
  accepted('VHDX with an unknown region that need not be known', anotherRegion(false)),
  refused('VHDX with an unknown region that must be known', 'IMAGE_UNKNOWN_FEATURE', anotherRegion(true)),
  refused(
    'VHDX with two BATs',
    'IMAGE_ENTRY_INVALID',
    anotherRegion(true, '2dc27766-f623-4200-9d64-115e9bfd4a08'),
  ),
  refused(
    'VHDX whose BAT has another id',
    'IMAGE_UNKNOWN_FEATURE',
    region('bat', (bytes, at) => encodeGuid(unknownGuid).copy(bytes, at)),
  ),
  refused(
    'VHDX with a BAT that begins within a MiB',
    'IMAGE_ENTRY_INVALID',
    region('bat', (bytes, at) => bytes.writeBigUInt64LE(BigInt(2 * MiB + 4096), at + 16)),
  ),
  refused(
    'VHDX with its BAT on the headers',
    'IMAGE_ENTRY_INVALID',
    region('bat', (bytes, at) => bytes.writeBigUInt64LE(0n, at + 16)),
  ),
  refused(
    'VHDX with its BAT on the log',
    'IMAGE_OVERLAP',
    region('bat', (bytes, at) => bytes.writeBigUInt64LE(BigInt(MiB), at + 16)),
  ),
  refused(
    'VHDX with its BAT on the metadata',
    'IMAGE_OVERLAP',
    region('bat', (bytes, at) => bytes.writeBigUInt64LE(BigInt(3 * MiB), at + 16)),
  ),
  refused(
    'VHDX with its BAT behind the end of the file',
    'IMAGE_OFFSET_OUT_OF_FILE',
    region('bat', (bytes, at) => bytes.writeBigUInt64LE(BigInt(6 * MiB), at + 16)),
  ),
  refused(
    'VHDX with its metadata at 2^63',
    'IMAGE_OFFSET_OUT_OF_FILE',
    region('metadata', (bytes, at) => bytes.writeBigUInt64LE(2n ** 63n, at + 16)),
  ),
  refused(
    'VHDX with a BAT of 4 GiB',
    'IMAGE_OFFSET_OUT_OF_FILE',
    region('bat', (bytes, at) => bytes.writeUInt32LE(4095 * MiB, at + 24)),
  ),
  ...[0, 4096, MiB - 4096].map((length) =>
    refused(
      `VHDX with a BAT of ${length} bytes`,
      'IMAGE_ENTRY_INVALID',
      region('bat', (bytes, at) => bytes.writeUInt32LE(length, at + 24)),
    ),
  ),
]

/** One field of an item's entry in the metadata table. */
function entry(name: MetadataItemName, field: 16 | 20 | 24, value: number): () => Buffer {
  return spoiltVhdx(({ bytes, itemEntries }) => bytes.writeUInt32LE(value, itemEntries[name] + field))
}

function item(name: MetadataItemName, value: number | bigint, options: VhdxSketchOptions = {}): () => Buffer {
  return spoiltVhdx(({ bytes, items }) => {
    if (typeof value === 'bigint') bytes.writeBigUInt64LE(value, items[name])
    else bytes.writeUInt32LE(value, items[name])
  }, options)
}

function anotherItem(id: string, flags: number): () => Buffer {
  return spoiltVhdx((sketch) => {
    const { bytes } = sketch
    const metadata = regionPlace(sketch, 'metadata')
    const at = metadata + metadataTable.firstEntry + 5 * metadataTable.entryBytes
    bytes.writeUInt16LE(6, metadata + 10)
    encodeGuid(id).copy(bytes, at)
    bytes.writeUInt32LE(128 * KiB, at + 16)
    bytes.writeUInt32LE(64, at + 20)
    bytes.writeUInt32LE(flags, at + 24)
  })
}

/** As many blocks as the BAT of 1 MiB has entries for, with those of the sector bitmaps among them. */
const fullBat = 131_072 - Math.floor(131_072 / 4097)

const itemNames: readonly MetadataItemName[] = [
  'fileParameters',
  'virtualDiskSize',
  'virtualDiskId',
  'logicalSectorSize',
  'physicalSectorSize',
]

const metadata: readonly HostileImage[] = [
  refused(
    'VHDX without the signature of its metadata',
    'IMAGE_HEADER_INVALID',
    spoiltVhdx((sketch) => sketch.bytes.write('METADATA', regionPlace(sketch, 'metadata'))),
  ),
  ...[0, 4, 2048, 65_535].map((count) =>
    refused(
      `VHDX with ${count} items of metadata`,
      'IMAGE_HEADER_INVALID',
      spoiltVhdx((sketch) => sketch.bytes.writeUInt16LE(count, regionPlace(sketch, 'metadata') + 10)),
    ),
  ),
  ...itemNames.flatMap((name) => [
    refused(
      `VHDX whose ${name} has another id`,
      'IMAGE_UNKNOWN_FEATURE',
      spoiltVhdx(({ bytes, itemEntries }) => encodeGuid(unknownGuid).copy(bytes, itemEntries[name])),
    ),
    refused(
      `VHDX whose ${name} is one byte too long`,
      'IMAGE_HEADER_INVALID',
      spoiltVhdx(({ bytes, itemEntries }) => {
        bytes.writeUInt32LE(512 * KiB, itemEntries[name] + 16)
        bytes.writeUInt32LE(metadataItems[name].bytes + 1, itemEntries[name] + 20)
      }),
    ),
    refused(`VHDX whose ${name} is empty`, 'IMAGE_HEADER_INVALID', entry(name, 20, 0)),
    refused(`VHDX whose ${name} is the user's`, 'IMAGE_UNKNOWN_FEATURE', entry(name, 24, 5)),
    refused(`VHDX whose ${name} lies on the table`, 'IMAGE_OVERLAP', entry(name, 16, 64 * KiB - 4)),
  ]),
  refused('VHDX with an item in the place of another', 'IMAGE_OVERLAP', entry('virtualDiskId', 16, 64 * KiB)),
  refused(
    'VHDX with an item outside its region',
    'IMAGE_OFFSET_OUT_OF_FILE',
    entry('virtualDiskId', 16, MiB - 15),
  ),
  accepted(
    'VHDX with an item at the end of its region',
    spoiltVhdx((sketch) => {
      const { bytes, items, itemEntries } = sketch
      bytes.copy(
        bytes,
        regionPlace(sketch, 'metadata') + MiB - 16,
        items.virtualDiskId,
        items.virtualDiskId + 16,
      )
      bytes.writeUInt32LE(MiB - 16, itemEntries.virtualDiskId + 16)
    }),
  ),
  refused('VHDX with an item of more than 1 MiB', 'IMAGE_ENTRY_INVALID', entry('virtualDiskId', 20, MiB + 1)),
  refused(
    'VHDX with the same item twice',
    'IMAGE_ENTRY_INVALID',
    anotherItem(metadataItems.virtualDiskSize.id, 6),
  ),
  accepted('VHDX with an unknown item that need not be known', anotherItem(unknownGuid, 0)),
  accepted('VHDX with an item of the user', anotherItem(metadataItems.virtualDiskSize.id, 1)),
  refused(
    'VHDX with an unknown item that must be known',
    'IMAGE_UNKNOWN_FEATURE',
    anotherItem(unknownGuid, 4),
  ),
  refused('VHDX with the locator of a parent', 'IMAGE_BACKING_FILE', anotherItem(parentLocatorId, 4)),
  refused(
    'VHDX that takes data from a parent',
    'IMAGE_BACKING_FILE',
    spoiltVhdx(({ bytes, items }) => bytes.writeUInt32LE(2, items.fileParameters + 4)),
  ),
  refused(
    'VHDX that takes data from a parent, other files allowed',
    'IMAGE_BACKING_FILE',
    spoiltVhdx(({ bytes, items }) => bytes.writeUInt32LE(3, items.fileParameters + 4)),
    { allowOtherFiles: true },
  ),
  ...Array.from({ length: 30 }, (_, bit) =>
    refused(
      `VHDX with the file parameter of bit ${bit + 2}`,
      'IMAGE_UNKNOWN_FEATURE',
      spoiltVhdx(({ bytes, items }) => bytes.writeUInt32LE(2 ** (bit + 2), items.fileParameters + 4)),
    ),
  ),

  refused('CVE-2014-0148: VHDX with blocks of 0 bytes', 'IMAGE_HEADER_INVALID', item('fileParameters', 0)),
  ...[1, MiB / 2, MiB - 1, MiB + 1, 3 * MiB, 512 * MiB, 2 ** 32 - 1].map((size) =>
    refused(`VHDX with blocks of ${size} bytes`, 'IMAGE_HEADER_INVALID', item('fileParameters', size)),
  ),
  accepted('VHDX with blocks of 256 MiB', spoiltVhdx(undefined, { size: 64 * KiB, blockSize: 256 * MiB })),
  refused(
    'CVE-2014-0148: VHDX with sectors of 0 bytes',
    'IMAGE_HEADER_INVALID',
    item('logicalSectorSize', 0),
  ),
  ...[1, 511, 520, 1024, 8192].flatMap((size) => [
    refused(`VHDX with sectors of ${size} bytes`, 'IMAGE_HEADER_INVALID', item('logicalSectorSize', size)),
    refused(
      `VHDX with physical sectors of ${size} bytes`,
      'IMAGE_HEADER_INVALID',
      item('physicalSectorSize', size),
    ),
  ]),
  accepted('VHDX of an empty disk', item('virtualDiskSize', 0n)),
  refused('VHDX of half a sector', 'IMAGE_HEADER_INVALID', item('virtualDiskSize', 256n)),
  refused(
    'VHDX of half a sector of 4096 bytes',
    'IMAGE_HEADER_INVALID',
    item('virtualDiskSize', 2048n, { sectorSize: 4096 }),
  ),
  refused('VHDX of 64 TiB', 'IMAGE_SIZE_LIMIT', item('virtualDiskSize', 64n * tebibyte)),
  refused(
    'VHDX of 64 TiB and a sector',
    'IMAGE_HEADER_INVALID',
    item('virtualDiskSize', 64n * tebibyte + 512n),
  ),
  refused('VHDX of 2^64 - 512 bytes', 'IMAGE_HEADER_INVALID', item('virtualDiskSize', 2n ** 64n - 512n)),
  accepted('VHDX of 16 TiB', spoiltVhdx(undefined, { size: 16 * TiB, blockSize: 256 * MiB, blocks: [null] })),
  refused(
    'VHDX of 16 TiB and a sector',
    'IMAGE_SIZE_LIMIT',
    spoiltVhdx(undefined, { size: 16 * TiB + 512, blockSize: 256 * MiB, blocks: [null] }),
  ),
  accepted('VHDX with a full BAT', spoiltVhdx(undefined, { size: fullBat * MiB, blocks: [null] })),
  refused(
    'VHDX with a BAT that is one entry too short',
    'IMAGE_HEADER_INVALID',
    spoiltVhdx(undefined, { size: fullBat * MiB + 512, blocks: [null] }),
  ),
]

/** The entry of the first block, of a disk of two. */
function firstEntry(state: bigint, place = 0, options: VhdxSketchOptions = {}): () => Buffer {
  return spoiltVhdx((sketch) => setBatEntry(sketch, 0, state, place), options)
}

function inVhdx(disk: Buffer): () => Buffer {
  return spoiltVhdx(undefined, { size: disk.length, blocks: [disk] })
}

const bat: readonly HostileImage[] = [
  ...Object.entries(blockStates)
    .filter(([, state]) => state < blockStates.fullyPresent)
    .map(([name, state]) => accepted(`VHDX with a block that is ${name}`, firstEntry(BigInt(state)))),
  accepted('VHDX with a place for a block that is zero', firstEntry(BigInt(blockStates.zero), 4 * MiB)),
  refused('VHDX with a block of the state 4', 'IMAGE_ENTRY_INVALID', firstEntry(4n, 4 * MiB)),
  refused(
    'VHDX with a block that is partially present',
    'IMAGE_ENTRY_INVALID',
    firstEntry(BigInt(blockStates.partiallyPresent), 4 * MiB),
  ),
  ...Array.from({ length: 17 }, (_, index) =>
    refused(
      `VHDX with bit ${index + 3} of a BAT entry`,
      'IMAGE_ENTRY_INVALID',
      firstEntry(present | (1n << BigInt(index + 3)), 4 * MiB),
    ),
  ),
  refused('VHDX with a block on the headers', 'IMAGE_OVERLAP', firstEntry(present, 0)),
  refused('VHDX with a block on the log', 'IMAGE_OVERLAP', firstEntry(present, MiB)),
  refused('VHDX with a block on the BAT', 'IMAGE_OVERLAP', firstEntry(present, 2 * MiB)),
  refused('VHDX with a block on the metadata', 'IMAGE_OVERLAP', firstEntry(present, 3 * MiB)),
  refused('VHDX with a block on another', 'IMAGE_OVERLAP', firstEntry(present, 5 * MiB, { size: 2 * MiB })),
  refused(
    'VHDX with a block that begins in another',
    'IMAGE_OVERLAP',
    firstEntry(present, 5 * MiB, { size: 4 * MiB, blockSize: 2 * MiB }),
  ),
  refused(
    'VHDX with a block behind the end of the file',
    'IMAGE_OFFSET_OUT_OF_FILE',
    firstEntry(present, 6 * MiB),
  ),
  refused(
    'VHDX with a block that ends behind the end of the file',
    'IMAGE_OFFSET_OUT_OF_FILE',
    firstEntry(present, 5 * MiB),
  ),
  refused(
    'VHDX with a block at the last MiB of all',
    'IMAGE_OFFSET_OUT_OF_FILE',
    spoiltVhdx((sketch) => {
      sketch.bytes.writeBigUInt64LE(((2n ** 44n - 1n) << 20n) | present, regionPlace(sketch, 'bat'))
    }),
  ),
  accepted(
    'VHDX with the place of a block where a sector bitmap has its entry, as of QEMU before 8.1',
    spoiltVhdx((sketch) => setBatEntry(sketch, 4096, present, 4 * MiB), {
      size: 4097 * MiB,
      blocks: [Buffer.alloc(MiB, 'A')],
    }),
  ),
  accepted('a GPT disk in a VHDX', inVhdx(sketchGpt())),
  refused('a qcow2 image in a VHDX', 'IMAGE_NESTED_FORMAT', inVhdx(sketchQcow2().bytes)),
]

/** Lies in headers, region tables, metadata and BAT. Those of the log have a list of their own. */
export const hostileVhdx: readonly HostileImage[] = [...headers, ...regions, ...metadata, ...bat]

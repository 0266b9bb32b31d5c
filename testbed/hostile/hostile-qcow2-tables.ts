import { deflateRawSync } from 'node:zlib'
import { MiB } from '../../src/core/bytes.ts'
import { accepted, type HostileImage, refused } from './hostile-image.ts'
import { spoilt } from './hostile-qcow2-headers.ts'
import { validWithBitmap, validWithSnapshot } from './qcow2-extras.ts'
import {
  compressedEntry,
  getEntry,
  type Qcow2Sketch,
  setEntry,
  setField,
  setRefcount,
  sketchQcow2,
} from './qcow2-sketch.ts'

const copied = 1n << 63n

function orEntry(place: 'l1' | 'l2' | 'refcountTable', bit: number): () => Buffer {
  return spoilt((sketch) => {
    const offset = sketch.places[place]
    setEntry(sketch, offset, getEntry(sketch, offset) | (1n << BigInt(bit)))
  })
}

function bits(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index)
}

/** The second L2 entry points to `place` of the file. */
function secondCluster(place: (sketch: Qcow2Sketch) => number | bigint): () => Buffer {
  return spoilt((sketch) => setEntry(sketch, sketch.places.l2 + 8, copied | BigInt(place(sketch))))
}

function withSnapshot(change?: (sketch: Qcow2Sketch, entry: number, l1: number) => void): () => Buffer {
  return () => {
    const sketch = validWithSnapshot()
    const l1 = sketch.bytes.length - sketch.clusterSize
    change?.(sketch, l1 - sketch.clusterSize, l1)
    return sketch.bytes
  }
}

function withBitmap(change?: (sketch: Qcow2Sketch, directory: number, table: number) => void): () => Buffer {
  return () => {
    const sketch = validWithBitmap()
    const table = sketch.bytes.length - sketch.clusterSize
    change?.(sketch, table - sketch.clusterSize, table)
    return sketch.bytes
  }
}

/** Cuts a valid image off after `length` bytes of the whole, a negative number from its end. */
function cut(length: (sketch: Qcow2Sketch) => number): () => Buffer {
  return () => {
    const sketch = sketchQcow2()
    return sketch.bytes.subarray(0, length(sketch))
  }
}

function bomb(inflated: number): () => Buffer {
  return () => {
    const sketch = sketchQcow2({ compressed: true, spareClusters: 16 })
    const stream = deflateRawSync(Buffer.alloc(inflated, 'A'), { windowBits: 12 })
    const sectors = Math.ceil(stream.length / 512)
    stream.copy(sketch.bytes, sketch.places.data)
    setEntry(sketch, sketch.places.l2, compressedEntry(12, sketch.places.data, sectors - 1))
    setEntry(sketch, sketch.places.l2 + 8, 0n)
    const clusters = Math.ceil((sectors * 512) / sketch.clusterSize)
    for (let cluster = 0; cluster < clusters; cluster += 1) {
      setRefcount(sketch, sketch.places.data / sketch.clusterSize + cluster, 1)
    }
    return sketch.bytes
  }
}

/** Lies in L1, L2, refcounts, snapshots and bitmaps. */
export const hostileQcow2Tables: readonly HostileImage[] = [
  accepted('a valid image', () => sketchQcow2().bytes, { qemuImgCheck: 'clean' }),
  accepted('a valid image with compressed clusters', () => sketchQcow2({ compressed: true }).bytes, {
    qemuImgCheck: 'clean',
  }),
  accepted('a valid image with a snapshot', withSnapshot(), { qemuImgCheck: 'clean' }),
  accepted('a valid image with a bitmap', withBitmap(), { qemuImgCheck: 'clean' }),

  ...[...bits(0, 11), ...bits(56, 62)].map((bit) =>
    refused(`L1 entry with bit ${bit}`, 'IMAGE_ENTRY_INVALID', orEntry('l1', bit), {
      qemuImgCheck: 'errors',
    }),
  ),
  ...[...bits(1, 11), ...bits(56, 61)].map((bit) =>
    refused(`L2 entry with bit ${bit}`, 'IMAGE_ENTRY_INVALID', orEntry('l2', bit), {
      qemuImgCheck: 'errors',
    }),
  ),
  ...bits(0, 11).map((bit) =>
    refused(`refcount table entry with bit ${bit}`, 'IMAGE_ENTRY_INVALID', orEntry('refcountTable', bit)),
  ),
  refused(
    'L2 entry with the zero flag in version 2',
    'IMAGE_ENTRY_INVALID',
    spoilt((sketch) => setEntry(sketch, sketch.places.l2, getEntry(sketch, sketch.places.l2) | 1n), {
      version: 2,
    }),
  ),
  accepted('L2 entry with the zero flag and a cluster', orEntry('l2', 0), { qemuImgCheck: 'clean' }),
  refused(
    'extended L2 entry with a subcluster both allocated and zero',
    'IMAGE_ENTRY_INVALID',
    spoilt((sketch) => setEntry(sketch, sketch.places.l2 + 8, 0x0000_0001_ffff_ffffn), {
      extendedL2: true,
      clusterBits: 14,
    }),
  ),
  refused(
    'extended L2 entry with allocated subclusters nowhere',
    'IMAGE_ENTRY_INVALID',
    spoilt((sketch) => setEntry(sketch, sketch.places.l2, 0n), { extendedL2: true, clusterBits: 14 }),
  ),
  refused(
    'compressed entry with the copied flag',
    'IMAGE_ENTRY_INVALID',
    spoilt((sketch) => setEntry(sketch, sketch.places.l2, getEntry(sketch, sketch.places.l2) | copied), {
      compressed: true,
    }),
    { qemuImgCheck: 'errors' },
  ),

  refused(
    'L1 entry that points nowhere',
    'IMAGE_ENTRY_INVALID',
    spoilt((sketch) => setEntry(sketch, sketch.places.l1, copied)),
    { qemuImgCheck: 'errors' },
  ),
  refused(
    'L1 entry beyond the end of the file',
    'IMAGE_OFFSET_OUT_OF_FILE',
    spoilt((sketch) => setEntry(sketch, sketch.places.l1, copied | (1n << 40n))),
    { qemuImgCheck: 'errors' },
  ),
  refused(
    'L2 entry beyond the end of the file',
    'IMAGE_OFFSET_OUT_OF_FILE',
    secondCluster(() => 1n << 40n),
    {
      qemuImgCheck: 'errors',
    },
  ),
  refused(
    'L2 entry just behind the end of the file',
    'IMAGE_OFFSET_OUT_OF_FILE',
    secondCluster((sketch) => sketch.bytes.length),
    { qemuImgCheck: 'errors' },
  ),
  refused(
    'L2 entry with the highest offset',
    'IMAGE_OFFSET_OUT_OF_FILE',
    secondCluster(() => 0x00ff_ffff_ffff_f000n),
    {
      qemuImgCheck: 'errors',
    },
  ),
  refused(
    'refcount block beyond the end of the file',
    'IMAGE_OFFSET_OUT_OF_FILE',
    spoilt((sketch) => setEntry(sketch, sketch.places.refcountTable, 1n << 40n)),
    { qemuImgCheck: 'errors' },
  ),
  refused(
    'compressed data beyond the end of the file',
    'IMAGE_OFFSET_OUT_OF_FILE',
    spoilt((sketch) => setEntry(sketch, sketch.places.l2, compressedEntry(12, 1 << 30, 0)), {
      compressed: true,
    }),
    { qemuImgCheck: 'errors' },
  ),
  refused(
    'compressed data that run over the end of the file',
    'IMAGE_OFFSET_OUT_OF_FILE',
    spoilt(
      (sketch) => setEntry(sketch, sketch.places.l2, compressedEntry(12, sketch.bytes.length - 512, 1)),
      { compressed: true },
    ),
  ),

  refused(
    'loop: L1 entry to the L1 table',
    'IMAGE_OVERLAP',
    spoilt((sketch) => {
      setEntry(sketch, sketch.places.l1, copied | BigInt(sketch.places.l1))
    }),
    { qemuImgCheck: 'errors' },
  ),
  refused(
    'loop: L2 entry to the L1 table',
    'IMAGE_OVERLAP',
    secondCluster((sketch) => sketch.places.l1),
    {
      qemuImgCheck: 'errors',
    },
  ),
  refused(
    'loop: L2 entry to its own table',
    'IMAGE_OVERLAP',
    secondCluster((sketch) => sketch.places.l2),
    {
      qemuImgCheck: 'errors',
    },
  ),
  refused(
    'L2 entry to the refcount table',
    'IMAGE_OVERLAP',
    secondCluster((sketch) => sketch.places.refcountTable),
    {
      qemuImgCheck: 'errors',
    },
  ),
  refused(
    'L2 entry to a refcount block',
    'IMAGE_OVERLAP',
    secondCluster((sketch) => sketch.places.refcountBlock),
    {
      qemuImgCheck: 'errors',
    },
  ),
  refused(
    'one cluster of the file twice in the disk',
    'IMAGE_OVERLAP',
    secondCluster((sketch) => sketch.places.data),
    {
      qemuImgCheck: 'errors',
    },
  ),
  refused(
    'one cluster of the file twice in the disk, counted so',
    'IMAGE_OVERLAP',
    spoilt((sketch) => {
      const { places, clusterSize } = sketch
      setEntry(sketch, places.l2, BigInt(places.data))
      setEntry(sketch, places.l2 + 8, BigInt(places.data))
      setRefcount(sketch, places.data / clusterSize, 2)
      setRefcount(sketch, places.data / clusterSize + 1, 0)
    }),
  ),
  refused(
    'one L2 table twice in L1',
    'IMAGE_OVERLAP',
    spoilt((sketch) => {
      setField(sketch, 'l1_size', 2)
      setEntry(sketch, sketch.places.l1 + 8, copied | BigInt(sketch.places.l2))
    }),
    { qemuImgCheck: 'errors' },
  ),
  refused('refcount block on the header', 'IMAGE_ENTRY_INVALID', orEntry('refcountTable', 0)),
  refused(
    'refcount block on the L1 table',
    'IMAGE_OVERLAP',
    spoilt((sketch) => {
      setEntry(sketch, sketch.places.refcountTable + 8, BigInt(sketch.places.l1))
    }),
    { qemuImgCheck: 'errors' },
  ),
  refused(
    'refcount table on the L1 table',
    'IMAGE_OVERLAP',
    spoilt((sketch) => {
      setField(sketch, 'refcount_table_offset', sketch.places.l1)
    }),
  ),
  refused(
    'compressed data in the header',
    'IMAGE_OVERLAP',
    spoilt(
      (sketch) => {
        setEntry(sketch, sketch.places.l2, compressedEntry(12, 200, 0))
      },
      { compressed: true },
    ),
    { qemuImgCheck: 'errors' },
  ),
  refused(
    'compressed data in a cluster of plain data',
    'IMAGE_OVERLAP',
    spoilt((sketch) => {
      setEntry(sketch, sketch.places.l2 + 8, compressedEntry(12, sketch.places.data + 600, 0))
    }),
  ),

  refused(
    'a cluster in use with refcount 0',
    'IMAGE_REFCOUNT_WRONG',
    spoilt((sketch) => {
      setRefcount(sketch, sketch.places.data / sketch.clusterSize, 0)
    }),
    { qemuImgCheck: 'errors' },
  ),
  refused(
    'the header with refcount 0',
    'IMAGE_REFCOUNT_WRONG',
    spoilt((sketch) => setRefcount(sketch, 0, 0)),
    {
      qemuImgCheck: 'errors',
    },
  ),
  refused(
    'no refcount block',
    'IMAGE_REFCOUNT_WRONG',
    spoilt((sketch) => {
      setEntry(sketch, sketch.places.refcountTable, 0n)
    }),
    { qemuImgCheck: 'errors' },
  ),
  refused(
    'a copied flag on a cluster with refcount 2',
    'IMAGE_REFCOUNT_WRONG',
    spoilt((sketch) => {
      setRefcount(sketch, sketch.places.data / sketch.clusterSize, 2)
    }),
    { qemuImgCheck: 'errors' },
  ),
  refused(
    'a cluster with refcount 1 without the copied flag',
    'IMAGE_REFCOUNT_WRONG',
    spoilt((sketch) => {
      setEntry(sketch, sketch.places.l2, BigInt(sketch.places.data))
    }),
    { qemuImgCheck: 'errors' },
  ),
  refused(
    'an L2 table with refcount 1 without the copied flag',
    'IMAGE_REFCOUNT_WRONG',
    spoilt((sketch) => {
      setEntry(sketch, sketch.places.l1, BigInt(sketch.places.l2))
    }),
    { qemuImgCheck: 'errors' },
  ),
  accepted(
    'a cluster that is counted and not used',
    spoilt(
      (sketch) => {
        setRefcount(sketch, sketch.bytes.length / sketch.clusterSize - 1, 1)
      },
      { spareClusters: 1 },
    ),
    { code: 'IMAGE_REFCOUNT_LEAK', qemuImgCheck: 'leaks' },
  ),

  refused(
    'CVE-2014-0145: a snapshot table beyond the end of the file',
    'IMAGE_OFFSET_OUT_OF_FILE',
    withSnapshot((sketch) => {
      setField(sketch, 'snapshots_offset', 2 ** 40)
    }),
  ),
  refused(
    'CVE-2014-0146: more snapshots than the file holds',
    'IMAGE_OFFSET_OUT_OF_FILE',
    withSnapshot((sketch) => {
      setField(sketch, 'nb_snapshots', 65_536)
    }),
  ),
  refused(
    'CVE-2014-0146: 65537 snapshots',
    'IMAGE_TABLES_LIMIT',
    withSnapshot((sketch) => {
      setField(sketch, 'nb_snapshots', 65_537)
    }),
  ),
  refused(
    'CVE-2014-0146: 2^32 snapshots',
    'IMAGE_TABLES_LIMIT',
    withSnapshot((sketch) => {
      setField(sketch, 'nb_snapshots', 0xffff_ffff)
    }),
  ),
  refused(
    'CVE-2014-0143: a snapshot with an L1 table of 2^32 entries',
    'IMAGE_ENTRY_INVALID',
    withSnapshot((sketch, entry) => {
      sketch.bytes.writeUInt32BE(0xffff_ffff, entry + 8)
    }),
  ),
  refused(
    'a snapshot with an L1 table outside the file',
    'IMAGE_ENTRY_INVALID',
    withSnapshot((sketch, entry) => {
      sketch.bytes.writeBigUInt64BE(1n << 40n, entry)
    }),
  ),
  refused(
    'a snapshot with an L1 table that is not at a cluster',
    'IMAGE_ENTRY_INVALID',
    withSnapshot((sketch, entry, l1) => {
      sketch.bytes.writeBigUInt64BE(BigInt(l1 + 8), entry)
    }),
  ),
  refused(
    'a snapshot with 1032 bytes of extra data',
    'IMAGE_ENTRY_INVALID',
    withSnapshot((sketch, entry) => {
      sketch.bytes.writeUInt32BE(1032, entry + 36)
    }),
  ),
  refused(
    'loop: a snapshot with the active L1 table',
    'IMAGE_OVERLAP',
    withSnapshot((sketch, entry) => {
      sketch.bytes.writeBigUInt64BE(BigInt(sketch.places.l1), entry)
    }),
  ),
  refused(
    'loop: a snapshot table on the active L1 table',
    'IMAGE_OVERLAP',
    withSnapshot((sketch, entry) => {
      sketch.bytes.copy(sketch.bytes, sketch.places.l1, entry, entry + 64)
      setField(sketch, 'snapshots_offset', sketch.places.l1)
      setEntry(sketch, sketch.places.l1, BigInt(sketch.places.l2))
    }),
  ),
  refused(
    'loop: an L1 table of a snapshot that points to itself',
    'IMAGE_OVERLAP',
    withSnapshot((sketch, _entry, l1) => {
      setEntry(sketch, l1, BigInt(l1))
    }),
    { qemuImgCheck: 'errors' },
  ),
  refused(
    'an L1 table of a snapshot that points to data of the active layer',
    'IMAGE_OVERLAP',
    withSnapshot((sketch, _entry, l1) => {
      setEntry(sketch, l1, BigInt(sketch.places.data))
    }),
    { qemuImgCheck: 'errors' },
  ),
  refused(
    'a snapshot that the refcounts do not know of',
    'IMAGE_REFCOUNT_WRONG',
    withSnapshot((sketch) => {
      setRefcount(sketch, sketch.places.data / sketch.clusterSize, 1)
    }),
    { qemuImgCheck: 'errors' },
  ),

  refused(
    'a reserved field of the bitmaps',
    'IMAGE_ENTRY_INVALID',
    withBitmap((sketch) => sketch.bytes.writeUInt32BE(1, 124)),
  ),
  refused(
    'a bitmap directory outside the file',
    'IMAGE_ENTRY_INVALID',
    withBitmap((sketch) => {
      sketch.bytes.writeBigUInt64BE(1n << 40n, 136)
    }),
  ),
  refused(
    'more bitmaps than the directory holds',
    'IMAGE_ENTRY_INVALID',
    withBitmap((sketch) => {
      sketch.bytes.writeUInt32BE(2, 120)
    }),
  ),
  refused(
    '2^32 bitmaps',
    'IMAGE_ENTRY_INVALID',
    withBitmap((sketch) => sketch.bytes.writeUInt32BE(0xffff_ffff, 120)),
  ),
  refused(
    'a bitmap table of 2^32 entries',
    'IMAGE_ENTRY_INVALID',
    withBitmap((sketch, directory) => {
      sketch.bytes.writeUInt32BE(0xffff_ffff, directory + 8)
    }),
  ),
  refused(
    'a bitmap on the L1 table',
    'IMAGE_OVERLAP',
    withBitmap((sketch, _directory, table) => {
      setEntry(sketch, table, BigInt(sketch.places.l1))
    }),
    { qemuImgCheck: 'errors' },
  ),
  refused(
    'a bitmap table entry with reserved bits',
    'IMAGE_ENTRY_INVALID',
    withBitmap((sketch, _directory, table) => {
      setEntry(sketch, table, 2n)
    }),
  ),
  accepted(
    'a broken bitmap that is marked as out of date',
    withBitmap((sketch, _directory, table) => {
      setField(sketch, 'autoclear_features', 0)
      setEntry(sketch, table, 2n)
    }),
    { code: 'IMAGE_REFCOUNT_LEAK', qemuImgCheck: 'leaks' },
  ),

  ...[4, 7].map((length) =>
    refused(
      `cut off after ${length} bytes`,
      'IMAGE_FORMAT_MISMATCH',
      cut(() => length),
      { declared: 'qcow2' },
    ),
  ),
  ...[8, 71, 72, 103].map((length) =>
    refused(
      `cut off after ${length} bytes, in the header`,
      'IMAGE_TRUNCATED',
      cut(() => length),
    ),
  ),
  ...[104, 112, 4095, 4096].map((length) =>
    refused(
      `cut off after ${length} bytes, before the tables`,
      'IMAGE_OFFSET_OUT_OF_FILE',
      cut(() => length),
    ),
  ),
  ...(
    [
      ['refcountTable', 'refcountBlock'],
      ['refcountBlock', 'l1'],
      ['l1', 'l2'],
      ['l2', 'data'],
    ] as const
  ).flatMap(([part, next]) =>
    [0, 4, 4095].map((offset) =>
      part === 'l1' && offset === 4095
        ? refused(
            `cut off before the ${next}`,
            'IMAGE_OFFSET_OUT_OF_FILE',
            cut((sketch) => sketch.places[next] - 1),
          )
        : refused(
            `cut off ${offset} bytes into the ${part}`,
            'IMAGE_OFFSET_OUT_OF_FILE',
            cut((sketch) => sketch.places[part] + offset),
          ),
    ),
  ),
  refused(
    'cut off before the data',
    'IMAGE_OFFSET_OUT_OF_FILE',
    cut((sketch) => sketch.places.data),
  ),
  refused(
    'cut off inside the first data cluster',
    'IMAGE_TRUNCATED',
    cut((sketch) => sketch.places.data + 1),
  ),
  refused(
    'cut off by a byte',
    'IMAGE_TRUNCATED',
    cut((sketch) => sketch.bytes.length - 1),
  ),
  refused(
    'cut off by a cluster',
    'IMAGE_OFFSET_OUT_OF_FILE',
    cut((sketch) => sketch.bytes.length - 4096),
  ),

  refused('bomb: a compressed cluster that inflates to two', 'IMAGE_CLUSTER_DAMAGED', bomb(8192)),
  refused('bomb: a compressed cluster that inflates to 16 MiB', 'IMAGE_CLUSTER_DAMAGED', bomb(16 * MiB)),
  refused('a compressed cluster that inflates to half', 'IMAGE_CLUSTER_DAMAGED', bomb(2048)),
  refused(
    'CVE-2013-4463: bomb of 512 MiB in one compressed cluster',
    'IMAGE_EXPANSION_LIMIT',
    () => {
      const sketch = sketchQcow2({ clusterBits: 16, compressed: true, size: 512 * MiB })
      const entry = getEntry(sketch, sketch.places.l2)
      for (let index = 0; index < 8192; index += 1) setEntry(sketch, sketch.places.l2 + index * 8, entry)
      setRefcount(sketch, sketch.places.data / sketch.clusterSize, 8192)
      return sketch.bytes
    },
    { qemuImgCheck: 'clean' },
  ),
]

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

/** Lies in L1, L2 and refcounts. */
export const hostileQcow2Tables: readonly HostileImage[] = [
  accepted('a valid image', () => sketchQcow2().bytes, { qemuImgCheck: 'clean' }),
  accepted('a valid image with compressed clusters', () => sketchQcow2({ compressed: true }).bytes, {
    qemuImgCheck: 'clean',
  }),
  accepted('a valid image with a snapshot', () => validWithSnapshot().bytes, { qemuImgCheck: 'clean' }),
  accepted('a valid image with a bitmap', () => validWithBitmap().bytes, { qemuImgCheck: 'clean' }),

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
]

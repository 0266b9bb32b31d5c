import { accepted, type HostileImage, refused } from './hostile-image.ts'
import { validWithBitmap, validWithSnapshot } from './qcow2-extras.ts'
import { type Qcow2Sketch, setEntry, setField, setRefcount } from './qcow2-sketch.ts'

function withSnapshot(change: (sketch: Qcow2Sketch, entry: number, l1: number) => void): () => Buffer {
  return () => {
    const sketch = validWithSnapshot()
    const l1 = sketch.bytes.length - sketch.clusterSize
    change(sketch, l1 - sketch.clusterSize, l1)
    return sketch.bytes
  }
}

function withBitmap(change: (sketch: Qcow2Sketch, directory: number, table: number) => void): () => Buffer {
  return () => {
    const sketch = validWithBitmap()
    const table = sketch.bytes.length - sketch.clusterSize
    change(sketch, table - sketch.clusterSize, table)
    return sketch.bytes
  }
}

/** Lies in the tables of internal snapshots and bitmaps. */
export const hostileQcow2Extras: readonly HostileImage[] = [
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
]

import { headerExtensions } from '../../src/disk/qcow2/qcow2-layout.ts'
import { type Qcow2Sketch, setEntry, setField, setRefcount, sketchQcow2 } from './qcow2-sketch.ts'

/**
 * A valid image with an internal snapshot that shares the L2 table and both clusters with the active layer. The last
 * but one cluster is the snapshot table, the last the snapshot's L1 table.
 */
export function validWithSnapshot(): Qcow2Sketch {
  const sketch = sketchQcow2({ spareClusters: 2 })
  const { clusterSize, places, bytes } = sketch
  const entry = bytes.length - 2 * clusterSize
  const l1 = entry + clusterSize
  setField(sketch, 'nb_snapshots', 1)
  setField(sketch, 'snapshots_offset', entry)
  bytes.writeBigUInt64BE(BigInt(l1), entry)
  bytes.writeUInt32BE(1, entry + 8)
  bytes.writeUInt16BE(1, entry + 12)
  bytes.writeUInt16BE(1, entry + 14)
  bytes.writeUInt32BE(16, entry + 36)
  bytes.writeBigUInt64BE(BigInt(2 * clusterSize), entry + 48)
  bytes.write('1a', entry + 56, 'latin1')
  setEntry(sketch, l1, BigInt(places.l2))
  setEntry(sketch, places.l1, BigInt(places.l2))
  setEntry(sketch, places.l2, BigInt(places.data))
  setEntry(sketch, places.l2 + 8, BigInt(places.data + clusterSize))
  for (const place of [places.l2, places.data, places.data + clusterSize]) {
    setRefcount(sketch, place / clusterSize, 2)
  }
  for (const place of [entry, l1]) setRefcount(sketch, place / clusterSize, 1)
  return sketch
}

/** A valid image with a bitmap. The last but one cluster is the directory, the last the table of one entry. */
export function validWithBitmap(): Qcow2Sketch {
  const sketch = sketchQcow2({ spareClusters: 2 })
  const { clusterSize, bytes } = sketch
  const directory = bytes.length - 2 * clusterSize
  const table = directory + clusterSize
  setField(sketch, 'autoclear_features', 1)
  bytes.writeUInt32BE(headerExtensions.bitmaps, 112)
  bytes.writeUInt32BE(24, 116)
  bytes.writeUInt32BE(1, 120)
  bytes.writeBigUInt64BE(32n, 128)
  bytes.writeBigUInt64BE(BigInt(directory), 136)
  bytes.writeBigUInt64BE(BigInt(table), directory)
  bytes.writeUInt32BE(1, directory + 8)
  bytes.writeUInt8(1, directory + 16)
  bytes.writeUInt8(16, directory + 17)
  bytes.writeUInt16BE(1, directory + 18)
  bytes.write('b', directory + 24)
  for (const place of [directory, table]) setRefcount(sketch, place / clusterSize, 1)
  return sketch
}

/** A valid image of two clusters, both of them in an external data file of this name. */
export function validWithDataFile(name: string): Qcow2Sketch {
  const sketch = sketchQcow2({ data: [] })
  const { bytes, places, clusterSize } = sketch
  setField(sketch, 'incompatible_features', 4)
  bytes.writeUInt32BE(headerExtensions.externalDataFile, 112)
  bytes.writeUInt32BE(name.length, 116)
  bytes.write(name, 120, 'latin1')
  setEntry(sketch, places.l2, copied)
  setEntry(sketch, places.l2 + 8, copied | BigInt(clusterSize))
  return sketch
}

/** Bit 63 of a table entry: refcount exactly one. */
const copied = 1n << 63n

import { deflateRawSync } from 'node:zlib'
import { type HeaderFieldName, headerFields, qcow2Magic } from '../../src/disk/qcow2/qcow2-layout.ts'

/**
 * A small valid qcow2 image in memory, made byte by byte from the specification and not by our own writer, to be
 * spoilt in one place. Cluster by cluster: header, refcount table, refcount block, L1, L2, then data.
 */
export interface Qcow2Sketch {
  bytes: Buffer
  readonly clusterSize: number
  /** Offsets in the file. */
  readonly places: {
    readonly refcountTable: number
    readonly refcountBlock: number
    readonly l1: number
    readonly l2: number
    readonly data: number
  }
}

export interface SketchOptions {
  version?: 2 | 3
  clusterBits?: number
  /** Virtual size in bytes; two clusters by default. */
  size?: number
  /** What the first clusters of the guest's disk hold; two clusters of letters by default. */
  data?: readonly Buffer[]
  /** Stores the data compressed, packed one after the other. */
  compressed?: boolean
  extendedL2?: boolean
  /** Clusters of the L1 table. */
  l1Clusters?: number
  /** Empty clusters at the end, for a test to use; not counted in the refcounts. */
  spareClusters?: number
}

const copied = 1n << 63n
const compressedFlag = 1n << 62n

export function sketchQcow2(options: SketchOptions = {}): Qcow2Sketch {
  const { version = 3, clusterBits = 12, extendedL2 = false, l1Clusters = 1, spareClusters = 0 } = options
  const clusterSize = 2 ** clusterBits
  const data = options.data ?? [Buffer.alloc(clusterSize, 'A'), Buffer.alloc(clusterSize, 'B')]
  const size = options.size ?? 2 * clusterSize
  const entryBytes = extendedL2 ? 16 : 8
  const coverage = (clusterSize / entryBytes) * clusterSize
  const place = (cluster: number) => cluster * clusterSize
  const places = {
    refcountTable: place(1),
    refcountBlock: place(2),
    l1: place(3),
    l2: place(3 + l1Clusters),
    data: place(4 + l1Clusters),
  }
  const packed = options.compressed ? data.map((cluster) => deflateRawSync(cluster, { windowBits: 12 })) : []
  const packedClusters = Math.ceil(packed.reduce((sum, part) => sum + part.length, 0) / clusterSize)
  const dataClusters = options.compressed ? packedClusters : data.length
  const used = 4 + l1Clusters + dataClusters
  const sketch = { bytes: Buffer.alloc((used + spareClusters) * clusterSize), clusterSize, places }

  setField(sketch, 'magic', qcow2Magic)
  setField(sketch, 'version', version)
  setField(sketch, 'cluster_bits', clusterBits)
  setField(sketch, 'size', size)
  setField(sketch, 'l1_size', Math.max(1, Math.ceil(size / coverage)))
  setField(sketch, 'l1_table_offset', places.l1)
  setField(sketch, 'refcount_table_offset', places.refcountTable)
  setField(sketch, 'refcount_table_clusters', 1)
  if (version === 3) {
    setField(sketch, 'incompatible_features', extendedL2 ? 16 : 0)
    setField(sketch, 'refcount_order', 4)
    setField(sketch, 'header_length', 112)
  }
  setEntry(sketch, places.refcountTable, BigInt(places.refcountBlock))
  for (let cluster = 0; cluster < used; cluster += 1) setRefcount(sketch, cluster, 1)
  setEntry(sketch, places.l1, copied | BigInt(places.l2))
  if (options.compressed) writePacked(sketch, packed, clusterBits)
  else {
    data.forEach((content, index) => {
      const host = places.data + index * clusterSize
      content.copy(sketch.bytes, host)
      setEntry(sketch, places.l2 + index * entryBytes, copied | BigInt(host))
      if (extendedL2) setEntry(sketch, places.l2 + index * entryBytes + 8, 0xffff_ffffn)
    })
  }
  return sketch
}

/** Writes a header field, whatever it does to the image. */
export function setField({ bytes }: Qcow2Sketch, name: HeaderFieldName, value: number | bigint): void {
  const { offset, size } = headerFields[name]
  if (size === 8) bytes.writeBigUInt64BE(BigInt(value), offset)
  else bytes.writeUIntBE(Number(value), offset, size)
}

/** Writes an entry of 8 bytes of any table. */
export function setEntry({ bytes }: Qcow2Sketch, offset: number, value: bigint): void {
  bytes.writeBigUInt64BE(value, offset)
}

export function getEntry({ bytes }: Qcow2Sketch, offset: number): bigint {
  return bytes.readBigUInt64BE(offset)
}

/** A refcount of 16 bits. */
export function setRefcount({ bytes, places }: Qcow2Sketch, cluster: number, count: number): void {
  bytes.writeUInt16BE(count, places.refcountBlock + cluster * 2)
}

/** An L2 entry for compressed data from `host`, that end in the sector `sectors` after the first. */
export function compressedEntry(clusterBits: number, host: number, sectors: number): bigint {
  const shift = BigInt(62 - (clusterBits - 8))
  return compressedFlag | (BigInt(sectors) << shift) | BigInt(host)
}

function writePacked(sketch: Qcow2Sketch, packed: readonly Buffer[], clusterBits: number): void {
  const { bytes, places, clusterSize } = sketch
  const counts = new Map<number, number>()
  let host = places.data
  packed.forEach((part, index) => {
    part.copy(bytes, host)
    const lastByte = host + part.length - 1
    const sectors = Math.floor(lastByte / 512) - Math.floor(host / 512)
    setEntry(sketch, places.l2 + index * 8, compressedEntry(clusterBits, host, sectors))
    const last = Math.floor(lastByte / clusterSize)
    for (let cluster = Math.floor(host / clusterSize); cluster <= last; cluster += 1) {
      counts.set(cluster, (counts.get(cluster) ?? 0) + 1)
    }
    host += part.length
  })
  for (const [cluster, count] of counts) setRefcount(sketch, cluster, count)
}

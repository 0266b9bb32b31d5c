import type { AbortOptions } from '../../core/abort.ts'
import type { ByteSink } from '../../transfer/byte-sink.ts'
import { encodeQcow2Header } from './encode-qcow2-header.ts'
import { defaultClusterSize, planRefcounts, qcow2Geometry, refcountBytes } from './qcow2-geometry.ts'
import { tableEntry } from './qcow2-layout.ts'

export interface Qcow2OverlayOptions extends AbortOptions {
  /** Virtual size in bytes; what lies beyond the end of the backing file reads as zeros. */
  size: number
  /** As it shall stand in the image: relative to the overlay's folder, or absolute. */
  backingFile: string
  /** `raw` or `qcow2`: always written, so that nobody ever probes the backing file. */
  backingFormat: 'raw' | 'qcow2'
}

/**
 * Writes an empty overlay, all of whose data is in the backing file: a new machine's disk. The caller finishes or
 * aborts the sink.
 * @throws DiskError `DISK_OPTION_INVALID` when the backing file's name does not fit into a header
 */
export async function writeQcow2Overlay(sink: ByteSink, options: Qcow2OverlayOptions): Promise<void> {
  const { size, backingFile, backingFormat, signal } = options
  const geometry = qcow2Geometry(size, defaultClusterSize)
  const { clusterSize, l1Clusters } = geometry
  // Order in the file: header, refcount table, refcount blocks, L1 table.
  const refcounts = planRefcounts(geometry, 1 + l1Clusters)
  const firstBlock = 1 + refcounts.tableClusters
  const firstL1Cluster = firstBlock + refcounts.blocks
  await sink.write(
    encodeQcow2Header(
      {
        fields: {
          cluster_bits: geometry.clusterBits,
          size,
          l1_size: geometry.l1Entries,
          l1_table_offset: firstL1Cluster * clusterSize,
          refcount_table_offset: clusterSize,
          refcount_table_clusters: refcounts.tableClusters,
        },
        backing: { file: backingFile, format: backingFormat },
      },
      clusterSize,
    ),
    { signal },
  )
  const table = Buffer.alloc(refcounts.tableClusters * clusterSize)
  const blocks = Buffer.alloc(refcounts.blocks * clusterSize)
  for (let block = 0; block < refcounts.blocks; block += 1) {
    table.writeBigUInt64BE(BigInt((firstBlock + block) * clusterSize), block * tableEntry.bytes)
  }
  for (let cluster = 0; cluster < refcounts.totalClusters; cluster += 1) {
    blocks.writeUInt16BE(1, cluster * refcountBytes)
  }
  await sink.write(table, { signal })
  await sink.write(blocks, { signal })
  await sink.write(Buffer.alloc(l1Clusters * clusterSize), { signal })
}

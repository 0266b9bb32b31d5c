import { formatSize } from '../../core/bytes.ts'
import { DiskError } from '../errors.ts'
import { maximumClusterBits, maximumL1Bytes, minimumClusterBits, tableEntry } from './qcow2-layout.ts'

/** The sizes that follow from a cluster size, for images as this project writes them. */
export interface Qcow2Geometry {
  readonly clusterBits: number
  readonly clusterSize: number
  readonly virtualSize: number
  readonly guestClusters: number
  readonly entriesPerL2: number
  readonly l1Entries: number
  readonly l1Clusters: number
  readonly refcountsPerBlock: number
}

export const defaultClusterSize = 64 * 1024
/** 16-bit refcounts, as QEMU writes. */
export const refcountBytes = 2

/**
 * @throws DiskError `DISK_OPTION_INVALID` when the cluster size is not a power of two from 512 bytes to 2 MiB, or
 * so small that the L1 table of this virtual size would be larger than readers accept
 */
export function qcow2Geometry(virtualSize: number, clusterSize: number): Qcow2Geometry {
  const clusterBits = Math.log2(clusterSize)
  if (
    !Number.isInteger(clusterBits) ||
    clusterBits < minimumClusterBits ||
    clusterBits > maximumClusterBits
  ) {
    throw new DiskError(
      'DISK_OPTION_INVALID',
      `A qcow2 image cannot have clusters of ${clusterSize} bytes.`,
      {
        hint: 'Choose a power of two from 512 to 2M, for example 64K.',
      },
    )
  }
  const guestClusters = Math.ceil(virtualSize / clusterSize)
  const entriesPerL2 = clusterSize / tableEntry.bytes
  const l1Entries = Math.ceil(guestClusters / entriesPerL2)
  if (l1Entries * tableEntry.bytes > maximumL1Bytes) {
    throw new DiskError(
      'DISK_OPTION_INVALID',
      `A disk of ${formatSize(virtualSize)} cannot have qcow2 clusters of only ${formatSize(clusterSize)}.`,
      { hint: 'Choose larger clusters.' },
    )
  }
  return {
    clusterBits,
    clusterSize,
    virtualSize,
    guestClusters,
    entriesPerL2,
    l1Entries,
    l1Clusters: Math.ceil((l1Entries * tableEntry.bytes) / clusterSize),
    refcountsPerBlock: clusterSize / refcountBytes,
  }
}

export interface RefcountArea {
  readonly tableClusters: number
  readonly blocks: number
  /** Clusters that are counted: the payload, and table and blocks themselves. */
  readonly totalClusters: number
}

/**
 * The refcount table and blocks that count `payloadClusters` and themselves: more blocks need more counts, which
 * may need more blocks, so it is a fixed point. `firstBlock` blocks stand already and belong to the payload.
 */
export function planRefcounts(
  { clusterSize, refcountsPerBlock }: Qcow2Geometry,
  payloadClusters: number,
  firstBlock = 0,
): RefcountArea {
  let tableClusters = 0
  let blocks = 0
  for (;;) {
    const totalClusters = payloadClusters + tableClusters + blocks
    const neededBlocks = Math.ceil(totalClusters / refcountsPerBlock)
    const neededTable = Math.max(1, Math.ceil((neededBlocks * tableEntry.bytes) / clusterSize))
    if (neededBlocks - firstBlock === blocks && neededTable === tableClusters) {
      return { tableClusters, blocks, totalClusters }
    }
    blocks = Math.max(blocks, neededBlocks - firstBlock)
    tableClusters = Math.max(tableClusters, neededTable)
  }
}

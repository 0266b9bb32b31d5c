import { MiB } from '../../core/bytes.ts'
import type { Placed } from '../file-output.ts'
import { planRefcounts, type Qcow2Geometry } from './qcow2-geometry.ts'
import { type HeaderFieldName, tableEntry } from './qcow2-layout.ts'
import { refcountLedger } from './refcount-ledger.ts'

/**
 * Decides where everything of a new image goes, as its clusters come in guest order. The file has, from the front:
 *
 * 1. the header's cluster;
 * 2. data clusters in guest order, each L2 table behind the data it describes, each refcount block behind the
 *    clusters it counts;
 * 3. the L1 table, the last refcount blocks, the refcount table.
 *
 * So only the header has to know what comes later. A file that takes any order gets it last; for a pipe the plan is
 * made twice, first without writing anything, which costs no memory that follows the disk: only the L1 table, one
 * L2 table, the refcount blocks in reach, and 8 bytes per refcount block are ever held.
 */
export interface Qcow2Plan {
  /** Where a whole cluster goes. */
  placePlain(guestCluster: number): number
  /** Where a compressed cluster goes, to the byte; `length` is less than a cluster. */
  placeCompressed(guestCluster: number, length: number): number
  /**
   * The tables that became final since the last call, ascending. They lie before the position that the latest call
   * gave, and behind all earlier ones unless these were compressed.
   */
  takeTables(): Placed[]
  /** Everything before it has been placed: nothing will be put there any more. */
  settled(): number
  /** Places the last tables; what the header has to say about them. */
  finish(): Partial<Record<HeaderFieldName, number>>
}

/**
 * Free room at the end of a cluster with compressed data is filled by later compressed clusters, as QEMU does it, but
 * only until so much other data follow: this bounds the window of a sequential output.
 */
export function reachBack(clusterSize: number): number {
  return Math.max(MiB, 2 * clusterSize)
}

export function qcow2Plan(geometry: Qcow2Geometry): Qcow2Plan {
  const { clusterBits, clusterSize, entriesPerL2 } = geometry
  const reach = reachBack(clusterSize)
  const refcounts = refcountLedger(geometry)
  const refcountBlockPositions: number[] = []
  const l1 = Buffer.alloc(geometry.l1Clusters * clusterSize)
  let tables: Placed[] = []
  let l2: { index: number; bytes: Buffer } | null = null
  let next = clusterSize
  /** Where compressed data may go on: `[tail, tailEnd)` is free; closed while equal. */
  let tail = 0
  let tailEnd = 0
  refcounts.add(0, clusterSize)

  function allocate(clusters: number): number {
    const position = next
    next += clusters * clusterSize
    if (clusters > 0) refcounts.add(position, clusters * clusterSize)
    if (tail < tailEnd && next - tailEnd > reach) tail = tailEnd
    return position
  }

  function addTable(bytes: Buffer): number {
    const position = allocate(bytes.length / clusterSize)
    if (bytes.length > 0) tables.push({ position, bytes })
    return position
  }

  function settled(): number {
    return tail < tailEnd ? tail - (tail % clusterSize) : next
  }

  function closeL2(): void {
    if (!l2) return
    writeEntry(l1, l2.index, { position: addTable(l2.bytes), flags: tableEntry.copiedHigh })
    l2 = null
  }

  /** The L2 table for a guest cluster; everything that must come before its data is placed here. */
  function prepare(guestCluster: number): Buffer {
    for (const { index, bytes } of refcounts.finishedBefore(settled())) {
      refcountBlockPositions[index] = addTable(bytes)
    }
    const index = Math.floor(guestCluster / entriesPerL2)
    if (l2?.index !== index) {
      closeL2()
      l2 = { index, bytes: Buffer.alloc(clusterSize) }
    }
    return l2.bytes
  }

  function roomFor(length: number): number {
    if (tail < tailEnd && tail + length <= tailEnd) return tail
    // At the end of the file the data may simply run on into the next cluster.
    const position = tail < tailEnd && tailEnd === next ? tail : next
    while (next < position + length) next += clusterSize
    tailEnd = next
    return position
  }

  return {
    settled,

    placePlain(guestCluster) {
      const entries = prepare(guestCluster)
      const position = allocate(1)
      writeEntry(entries, guestCluster % entriesPerL2, { position, flags: tableEntry.copiedHigh })
      return position
    },

    placeCompressed(guestCluster, length) {
      const entries = prepare(guestCluster)
      const position = roomFor(length)
      tail = position + length
      refcounts.add(position, length)
      const furtherSectors = Math.floor((tail - 1) / 512) - Math.floor(position / 512)
      const flags = tableEntry.compressedHigh + furtherSectors * 2 ** (62 - (clusterBits - 8) - 32)
      writeEntry(entries, guestCluster % entriesPerL2, { position, flags })
      return position
    },

    takeTables() {
      const taken = tables
      tables = []
      return taken
    },

    finish() {
      closeL2()
      const l1Position = addTable(l1)
      tail = tailEnd
      const standing = refcountBlockPositions.length
      const area = planRefcounts(geometry, next / clusterSize, standing)
      const firstBlock = allocate(area.blocks)
      const tablePosition = allocate(area.tableClusters)
      const table = Buffer.alloc(area.tableClusters * clusterSize)
      for (const { index, bytes } of refcounts.rest()) {
        const position = firstBlock + (index - standing) * clusterSize
        refcountBlockPositions[index] = position
        tables.push({ position, bytes })
      }
      refcountBlockPositions.forEach((position, index) => {
        writeEntry(table, index, { position, flags: 0 })
      })
      tables.push({ position: tablePosition, bytes: table })
      return {
        l1_size: geometry.l1Entries,
        l1_table_offset: l1Position,
        refcount_table_offset: tablePosition,
        refcount_table_clusters: area.tableClusters,
      }
    },
  }
}

/** `flags` are bits of the entry's high half. */
function writeEntry(
  table: Buffer,
  index: number,
  { position, flags }: { position: number; flags: number },
): void {
  table.writeUInt32BE(Math.floor(position / 2 ** 32) + flags, index * tableEntry.bytes)
  table.writeUInt32BE(position % 2 ** 32, index * tableEntry.bytes + 4)
}

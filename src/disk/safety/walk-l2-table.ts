import { hostOffset } from '../qcow2/host-offset.ts'
import { subclustersPerCluster, tableEntry } from '../qcow2/qcow2-layout.ts'
import { refuseUnlessDirty } from './check-refcounts.ts'
import { clusterUse } from './cluster-references.ts'
import { claim, type TableWalk } from './table-walk.ts'

export interface L2Place {
  /** Of the table in the file. */
  readonly offset: number
  /** Where its first cluster lies in the guest's disk; null for tables of snapshots, whose data nobody reads. */
  readonly guestStart: number | null
  readonly weight: number
}

/**
 * Checks every entry of an L2 table and enters the clusters it refers to ("L2 table entry", "Compressed Clusters
 * Descriptor", "Extended L2 Entries" of the specification).
 */
export function walkL2Table(walk: TableWalk, table: DataView, place: L2Place): void {
  const { clusterSize, extendedL2 } = walk.header
  const { guestStart, weight } = place
  const entryBytes = extendedL2 ? tableEntry.extendedBytes : tableEntry.bytes
  for (let at = 0; at < clusterSize; at += entryBytes) {
    const high = table.getUint32(at)
    const low = table.getUint32(at + 4)
    const zero = extendedL2 ? table.getUint32(at + 8) : 0
    const allocated = extendedL2 ? table.getUint32(at + 12) : 0
    if ((high | low | zero | allocated) === 0) continue
    const guestOffset = guestStart === null ? null : guestStart + (at / entryBytes) * clusterSize
    const entry: Entry = { offset: place.offset + at, high, low, zero, allocated, guestOffset, weight }
    if (high & tableEntry.compressedHigh) checkCompressed(walk, entry)
    else checkStandard(walk, entry)
  }
}

interface Entry {
  /** Where the entry stands in the file. */
  readonly offset: number
  readonly high: number
  readonly low: number
  /** The subcluster bitmaps of an extended entry. */
  readonly zero: number
  readonly allocated: number
  readonly guestOffset: number | null
  readonly weight: number
}

function checkStandard(walk: TableWalk, entry: Entry): void {
  const { header, fileSize, findings } = walk
  const { clusterSize, extendedL2, externalDataFile } = header
  const { high, low, zero, allocated, offset } = entry
  const hasZeroFlag = header.version >= 3 && !extendedL2
  const reservedLow = hasZeroFlag ? tableEntry.reservedLow : tableEntry.reservedLow | tableEntry.zeroLow
  const host = hostOffset(high, low)
  if (high & tableEntry.reservedHigh || low & reservedLow || host % clusterSize !== 0) {
    findings.refuse('qcow2.l2_tables', 'IMAGE_ENTRY_INVALID', offset, () => {
      return `The L2 entry at byte ${offset} is misaligned or sets reserved bits.`
    })
    return
  }
  const copied = (high & tableEntry.copiedHigh) !== 0
  const readsAsZeros = hasZeroFlag && (low & tableEntry.zeroLow) !== 0
  // Offset 0 is the header's, but in an external data file it is a place like any other.
  const isPlaced = host > 0 || (externalDataFile && copied && !readsAsZeros)
  if (zero & allocated || (!isPlaced && allocated !== 0)) {
    findings.refuse('qcow2.l2_tables', 'IMAGE_ENTRY_INVALID', offset, () => {
      return `The L2 entry at byte ${offset} has a contradictory subcluster bitmap.`
    })
    return
  }
  if (!isPlaced) return
  if (externalDataFile) {
    checkExternal(walk, entry, { host, copied })
    return
  }
  if (host >= fileSize) {
    findings.refuse('qcow2.l2_tables', 'IMAGE_OFFSET_OUT_OF_FILE', offset, () => {
      return `The L2 entry at byte ${offset} points to byte ${host} of a file of ${fileSize} bytes.`
    })
    return
  }
  if (host + storedLength(walk, entry) > fileSize) {
    findings.refuse('qcow2.l2_tables', 'IMAGE_TRUNCATED', offset, () => {
      return `The file ends inside the cluster at byte ${host}, to which the L2 entry at byte ${offset} points.`
    })
    return
  }
  claim(
    walk,
    { start: host, length: clusterSize, offset },
    { use: clusterUse.data, active: entry.guestOffset !== null, copied, weight: entry.weight },
  )
}

/**
 * "External data file bit": a cluster lies where the guest sees it, so none is used twice; the refcounts do not speak
 * of the data file, and every cluster in it counts as referred to once. Its length is the reader's to hold to.
 */
function checkExternal(
  walk: TableWalk,
  { offset, guestOffset }: Entry,
  { host, copied }: { host: number; copied: boolean },
): void {
  if (host !== guestOffset) {
    walk.findings.refuse('qcow2.l2_tables', 'IMAGE_ENTRY_INVALID', offset, () => {
      return `The L2 entry at byte ${offset} points to byte ${host} of the data file, and not where the guest sees it.`
    })
  } else if (!copied) {
    refuseUnlessDirty(walk, offset, () => {
      return `The L2 entry at byte ${offset} does not say that its cluster of the data file is used once.`
    })
  }
}

/**
 * Bytes of a cluster that the file must hold. QEMU leaves away the end of the last cluster in the file when it is
 * beyond the end of the disk or in subclusters that are not allocated.
 */
function storedLength({ header }: TableWalk, { guestOffset, low, allocated }: Entry): number {
  if (guestOffset === null) return 1
  const { clusterSize, extendedL2, size } = header
  const readsAsZeros = !extendedL2 && (low & tableEntry.zeroLow) !== 0
  if (readsAsZeros) return 1
  const lastSubcluster = 32 - Math.clz32(allocated)
  const stored = extendedL2 ? (clusterSize / subclustersPerCluster) * lastSubcluster : clusterSize
  return Math.max(1, Math.min(stored, size - guestOffset))
}

function checkCompressed(walk: TableWalk, entry: Entry): void {
  const { header, fileSize, findings, references, compressed } = walk
  const { clusterBits, clusterSize } = header
  const { high, low, zero, allocated, offset } = entry
  const sectorShift = 62 - (clusterBits - 8) - 32
  const host = (high & (2 ** sectorShift - 1)) * 2 ** 32 + low
  const sectors = ((high >>> sectorShift) & (2 ** (clusterBits - 8) - 1)) + 1
  if (high & tableEntry.copiedHigh || zero !== 0 || allocated !== 0) {
    findings.refuse('qcow2.l2_tables', 'IMAGE_ENTRY_INVALID', offset, () => {
      return `The L2 entry at byte ${offset} of a compressed cluster sets bits of a standard one.`
    })
    return
  }
  if (header.externalDataFile) {
    findings.refuse('qcow2.l2_tables', 'IMAGE_ENTRY_INVALID', offset, () => {
      return `The L2 entry at byte ${offset} is compressed, which an external data file excludes.`
    })
    return
  }
  const start = host - (host % 512)
  const length = sectors * 512
  // The last sector of a file may be cut short where the compressed data end.
  if (host >= fileSize || start + length >= fileSize + 512) {
    findings.refuse('qcow2.l2_tables', 'IMAGE_OFFSET_OUT_OF_FILE', offset, () => {
      return `The compressed cluster of the L2 entry at byte ${offset} leaves the file of ${fileSize} bytes.`
    })
    return
  }
  const active = entry.guestOffset !== null
  if (active) {
    compressed.guestClusters += 1
    if (references.use(Math.floor(start / clusterSize)) === 0) compressed.hostClusters += 1
  }
  const reference = { use: clusterUse.compressed, active, copied: false, weight: entry.weight }
  claim(walk, { start, length, offset }, reference)
}

import { headerFields, maximumL1Bytes, tableEntry } from '../qcow2/qcow2-layout.ts'
import { checkBudget, claimTable, type TableWalk } from './table-walk.ts'
import { walkSnapshotL1 } from './walk-l1-tables.ts'

/** The limits of QEMU. */
const maximumSnapshots = 65536
const maximumExtraBytes = 1024

/** "Snapshots", snapshot table entry: where the fields we need lie; texts follow the fixed part. */
const entryBytes = 40

interface Snapshot {
  readonly l1Offset: number
  readonly l1Entries: number
  /** Of the whole entry; the next one begins at a multiple of 8. */
  readonly length: number
  readonly extraBytes: number
}

/**
 * Checks the snapshot table and the L1 table of each snapshot. Their data are never read; that they lie where they
 * should is needed to know that nothing of the active layer is shared with something else (CVE-2014-0146).
 */
export async function walkSnapshots(walk: TableWalk): Promise<void> {
  const { header, findings, reader, fileSize } = walk
  if (header.snapshotCount === 0) return
  if (header.externalDataFile) {
    findings.refuse('qcow2.snapshots', 'IMAGE_ENTRY_INVALID', headerFields.nb_snapshots.offset, () => {
      return 'The image has internal snapshots, which an external data file excludes.'
    })
    return
  }
  if (header.snapshotCount > maximumSnapshots) {
    findings.refuse('qcow2.snapshots', 'IMAGE_TABLES_LIMIT', undefined, () => {
      return `The image has ${header.snapshotCount} internal snapshots.`
    })
    return
  }
  const snapshots: Snapshot[] = []
  let position = header.snapshotsOffset
  for (let index = 0; index < header.snapshotCount; index += 1) {
    const view = await reader.read(position, entryBytes)
    const snapshot = view && decodeSnapshot(view)
    if (!snapshot || position + snapshot.length > fileSize) {
      checkBudget(walk)
      findings.refuse('qcow2.snapshots', 'IMAGE_OFFSET_OUT_OF_FILE', position, () => {
        return `The table of internal snapshots leaves the file at entry ${index}.`
      })
      return
    }
    if (!isSound(walk, snapshot)) {
      const place = position
      findings.refuse('qcow2.snapshots', 'IMAGE_ENTRY_INVALID', place, () => {
        return `The internal snapshot at byte ${place} has an L1 table that is misaligned, too large or outside the file.`
      })
      return
    }
    snapshots.push(snapshot)
    position += Math.ceil(snapshot.length / 8) * 8
  }
  claimTable(walk, header.snapshotsOffset, position - header.snapshotsOffset)
  for (const { l1Offset, l1Entries } of snapshots) {
    if (l1Entries > 0 && !claimTable(walk, l1Offset, l1Entries * tableEntry.bytes)) return
  }
  for (const { l1Offset, l1Entries } of snapshots) {
    await walkSnapshotL1(walk, { offset: l1Offset, entries: l1Entries })
    if (!checkBudget(walk)) return
  }
}

function decodeSnapshot(view: DataView): Snapshot {
  const extraBytes = view.getUint32(36)
  const length = entryBytes + extraBytes + view.getUint16(12) + view.getUint16(14)
  return {
    l1Offset: Number(view.getBigUint64(0)),
    l1Entries: view.getUint32(8),
    length,
    extraBytes,
  }
}

function isSound({ header, fileSize }: TableWalk, { l1Offset, l1Entries, extraBytes }: Snapshot): boolean {
  const l1Bytes = l1Entries * tableEntry.bytes
  if (extraBytes > maximumExtraBytes || l1Bytes > maximumL1Bytes) return false
  return l1Bytes === 0 || (l1Offset % header.clusterSize === 0 && l1Offset + l1Bytes <= fileSize)
}

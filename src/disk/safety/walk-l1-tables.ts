import { hostOffset } from '../qcow2/host-offset.ts'
import { tableEntry } from '../qcow2/qcow2-layout.ts'
import { clusterUse, type Reference } from './cluster-references.ts'
import { checkBudget, claim, type TableCheckName, type TableWalk } from './table-walk.ts'
import { walkL2Table } from './walk-l2-table.ts'

/** "L1 table entry": bits 56 to 62 and 0 to 8. */
const reservedHigh = 0x7f00_0000
const reservedLow = 0x1ff

/** L1 tables are read in parts of this many bytes, since each L2 table is read in between. */
const partBytes = 8192

/** Checks the active L1 table and everything below it. */
export async function walkActiveL1(walk: TableWalk): Promise<void> {
  const { header, reader } = walk
  const entriesPerL2 = header.clusterSize / (header.extendedL2 ? tableEntry.extendedBytes : tableEntry.bytes)
  const coverage = entriesPerL2 * header.clusterSize
  const l1 = { offset: header.l1TableOffset, entries: header.l1Size }
  for await (const { index, offset } of l1Entries(walk, l1, { check: 'qcow2.l1_table', active: true })) {
    const table = await reader.read(offset, header.clusterSize)
    if (!table) break
    walkL2Table(walk, table, { offset, guestStart: index * coverage, weight: 1 })
    if (!checkBudget(walk)) return
  }
  checkBudget(walk)
}

/** Enters the L2 tables of a snapshot; `walkSnapshotL2Tables` looks into them later, once for all snapshots. */
export async function walkSnapshotL1(
  walk: TableWalk,
  l1: { offset: number; entries: number },
): Promise<void> {
  for await (const _ of l1Entries(walk, l1, { check: 'qcow2.snapshots', active: false })) {
    if (!checkBudget(walk)) return
  }
}

/**
 * Looks into every L2 table that snapshots refer to, once each, however many share it: what it refers to counts as
 * often as the table itself. So the time follows the size of the tables, not the number of snapshots.
 */
export async function walkSnapshotL2Tables(walk: TableWalk): Promise<void> {
  const { header, reader, references } = walk
  for (const cluster of references.clusters()) {
    if (references.use(cluster) !== clusterUse.l2Table) continue
    const weight = references.count(cluster) - (references.isActive(cluster) ? 1 : 0)
    if (weight === 0) continue
    const offset = cluster * header.clusterSize
    const table = await reader.read(offset, header.clusterSize)
    if (table) walkL2Table(walk, table, { offset, guestStart: null, weight })
    if (!checkBudget(walk)) return
  }
}

interface L1Walk {
  readonly check: TableCheckName
  readonly active: boolean
}

/** The sound entries of an L1 table; the L2 table of each is entered as referred to. */
async function* l1Entries(
  walk: TableWalk,
  l1: { offset: number; entries: number },
  { check, active }: L1Walk,
): AsyncGenerator<{ index: number; offset: number }, void, undefined> {
  const { header, fileSize, reader, findings } = walk
  const { clusterSize } = header
  const end = l1.offset + l1.entries * tableEntry.bytes
  for (let position = l1.offset; position < end; position += partBytes) {
    const length = Math.min(partBytes, end - position)
    const view = await reader.read(position, length)
    if (!view) return
    // The view is lost with the next read.
    const part = Buffer.from(new Uint8Array(view.buffer, view.byteOffset, length))
    for (let at = 0; at < length; at += tableEntry.bytes) {
      const high = part.readUInt32BE(at)
      const low = part.readUInt32BE(at + 4)
      if ((high | low) === 0) continue
      const place = position + at
      const offset = hostOffset(high, low)
      if (high & reservedHigh || low & reservedLow || offset === 0 || offset % clusterSize !== 0) {
        findings.refuse(check, 'IMAGE_ENTRY_INVALID', place, () => {
          return `The L1 entry at byte ${place} is misaligned, sets reserved bits or points nowhere.`
        })
        continue
      }
      if (offset + clusterSize > fileSize) {
        findings.refuse(check, 'IMAGE_OFFSET_OUT_OF_FILE', place, () => {
          return `The L1 entry at byte ${place} points to byte ${offset} of a file of ${fileSize} bytes.`
        })
        continue
      }
      const copied = (high & tableEntry.copiedHigh) !== 0
      const reference: Reference = { use: clusterUse.l2Table, active, copied: active && copied, weight: 1 }
      if (!claim(walk, { start: offset, length: clusterSize, offset: place }, reference)) continue
      yield { index: (place - l1.offset) / tableEntry.bytes, offset }
    }
  }
}

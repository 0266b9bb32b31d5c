import type { AbortOptions } from '../../core/abort.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import type { Qcow2Header } from '../qcow2/qcow2-header.ts'
import { tableEntry } from '../qcow2/qcow2-layout.ts'
import { checkRefcounts, readRefcountTable } from './check-refcounts.ts'
import { clusterReferences } from './cluster-references.ts'
import { Findings } from './findings.ts'
import { harmlessExpansion } from './limits.ts'
import { tableReader } from './table-reader.ts'
import { checkBudget, claimTable, type TableWalk, tableCheckNames } from './table-walk.ts'
import type { SafetyCheckResult, SafetyLimits } from './verdict.ts'
import { walkBitmaps } from './walk-bitmaps.ts'
import { walkActiveL1, walkSnapshotL2Tables } from './walk-l1-tables.ts'
import { walkSnapshots } from './walk-snapshots.ts'

export interface CheckTablesOptions extends AbortOptions {
  readonly limits: SafetyLimits
}

/**
 * Walks every table of a qcow2 image whose header has passed: first what occupies clusters of its own, then the
 * active layer, the snapshots, and at the end the refcounts against all references found. Every table is read
 * once, in one pass over each; memory is 2 bytes per cluster of the file, at most `limits.memoryBytes`, and the
 * refcount table.
 */
export async function checkQcow2Tables(
  source: RandomAccessSource,
  header: Qcow2Header,
  { limits, signal }: CheckTablesOptions,
): Promise<SafetyCheckResult[]> {
  const findings = new Findings(tableCheckNames)
  const walk: TableWalk = {
    header,
    fileSize: source.size,
    limits,
    reader: tableReader(source, { budget: limits.tableBytes, signal }),
    references: clusterReferences(limits.memoryBytes),
    findings,
    compressed: { guestClusters: 0, hostClusters: 0 },
  }
  await walkTables(walk)
  return findings.results()
}

async function walkTables(walk: TableWalk): Promise<void> {
  const { header, findings } = walk
  claimTable(walk, 0, header.clusterSize)
  if (header.l1Size > 0) claimTable(walk, header.l1TableOffset, header.l1Size * tableEntry.bytes)
  const refcountTable = await readRefcountTable(walk)
  if (findings.refused || !refcountTable) return
  await walkBitmaps(walk)
  if (findings.refused) return
  await walkActiveL1(walk)
  checkExpansion(walk)
  if (findings.refused) return
  await walkSnapshots(walk)
  if (findings.refused) return
  if (header.snapshotCount > 0) await walkSnapshotL2Tables(walk)
  if (findings.refused || !checkBudget(walk)) return
  await checkRefcounts(walk, refcountTable)
}

/** A few bytes that many entries point to, or data made to compress a thousandfold (CVE-2013-4463). */
function checkExpansion({ compressed, header, limits, findings }: TableWalk): void {
  const { guestClusters, hostClusters } = compressed
  const expanded = guestClusters * header.clusterSize
  if (expanded <= harmlessExpansion || guestClusters <= hostClusters * limits.expansionRatio) return
  findings.refuse('qcow2.expansion', 'IMAGE_EXPANSION_LIMIT', undefined, () => {
    return `${hostClusters} clusters of compressed data expand to ${guestClusters}, more than ${limits.expansionRatio} to 1.`
  })
}

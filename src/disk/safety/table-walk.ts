import type { Qcow2Header } from '../qcow2/qcow2-header.ts'
import type { ClusterReferences, ClusterUse, Reference } from './cluster-references.ts'
import { clusterUse } from './cluster-references.ts'
import type { Findings } from './findings.ts'
import type { TableReader } from './table-reader.ts'
import type { SafetyLimits } from './verdict.ts'

export const tableCheckNames = {
  'qcow2.tables': 'The tables of the image are within the limits of size and memory.',
  'qcow2.l1_table': 'Every L1 entry points to a place inside the file, aligned, without reserved bits.',
  'qcow2.l2_tables': 'Every L2 entry points to a place inside the file, aligned, without reserved bits.',
  'qcow2.snapshots': 'The internal snapshots and their tables lie inside the file.',
  'qcow2.bitmaps': 'The bitmaps and their tables lie inside the file.',
  'qcow2.refcount_blocks': 'Every refcount block lies inside the file, aligned, without reserved bits.',
  'qcow2.overlaps': 'No place in the file is used twice.',
  'qcow2.expansion': 'The compressed clusters do not expand beyond the limit.',
  'qcow2.refcounts': 'Every reference count fits the references.',
} as const

export type TableCheckName = keyof typeof tableCheckNames

/** What the walks through the tables of one image share. */
export interface TableWalk {
  readonly header: Qcow2Header
  readonly fileSize: number
  readonly limits: SafetyLimits
  readonly reader: TableReader
  readonly references: ClusterReferences
  readonly findings: Findings<typeof tableCheckNames>
  /** Compressed clusters of the active layer, and the clusters of the file that hold them. */
  readonly compressed: { guestClusters: number; hostClusters: number }
}

const metadata: Reference = { use: clusterUse.table, active: true, copied: false, weight: 1 }

/** Enters the clusters of a table that nothing else may use. Gives false when something else does. */
export function claimTable(walk: TableWalk, start: number, length: number): boolean {
  return claim(walk, { start, length, offset: start }, metadata)
}

/** Enters a reference to every cluster of a range of the file. `offset` is where it stands, for the finding. */
export function claim(
  { header: { clusterSize }, references, findings }: TableWalk,
  { start, length, offset }: { start: number; length: number; offset: number },
  reference: Reference,
): boolean {
  const last = Math.floor((start + length - 1) / clusterSize)
  for (let cluster = Math.floor(start / clusterSize); cluster <= last; cluster += 1) {
    if (references.add(cluster, reference)) continue
    const before = useTitles[references.use(cluster)]
    findings.refuse('qcow2.overlaps', 'IMAGE_OVERLAP', offset, () => {
      return `Cluster ${cluster} of the file is used for ${before} and again for ${useTitles[reference.use]}.`
    })
    return false
  }
  return true
}

const useTitles: Readonly<Record<ClusterUse | 0, string>> = {
  0: 'nothing',
  [clusterUse.table]: 'a table',
  [clusterUse.l2Table]: 'an L2 table',
  [clusterUse.data]: 'data',
  [clusterUse.compressed]: 'compressed data',
}

/** Refuses the image when a limit has stopped the walk; then what was found so far is not all there is. */
export function checkBudget({ reader, references, findings, limits }: TableWalk): boolean {
  if (reader.isExhausted) {
    findings.refuse('qcow2.tables', 'IMAGE_TABLES_LIMIT', undefined, () => {
      return `The image has more than ${limits.tableBytes} bytes of tables.`
    })
  }
  if (references.isFull) {
    findings.refuse('qcow2.tables', 'IMAGE_TABLES_LIMIT', undefined, () => {
      return `The clusters of the image need more than ${limits.memoryBytes} bytes to keep track of.`
    })
  }
  return !reader.isExhausted && !references.isFull
}

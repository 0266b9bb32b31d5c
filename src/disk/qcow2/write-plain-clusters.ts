import { type AbortOptions, throwIfCancelled } from '../../core/abort.ts'
import { MiB } from '../../core/bytes.ts'
import { isZero } from '../../transfer/zeros.ts'
import { type ByteRanges, rangeEnd, rangeStart } from '../byte-ranges.ts'
import type { Placed } from '../file-output.ts'
import { type DiskPiece, readAhead } from '../read-ahead.ts'
import type { Qcow2Geometry } from './qcow2-geometry.ts'
import type { HeaderFieldName } from './qcow2-layout.ts'
import { type Qcow2Plan, qcow2Plan } from './qcow2-plan.ts'
import type { ClusterPassOptions } from './qcow2-writer.ts'

const bufferSize = 2 * MiB

export interface PlainClusterOptions extends ClusterPassOptions {
  /** Whether clusters of zeros within the data are stored too, so that the layout is known without reading them. */
  storeZeros: boolean
}

/** Writes everything but the header; gives what the header has to say. One read and mostly one write per 2 MiB. */
export async function writePlainClusters(
  options: PlainClusterOptions,
): Promise<Partial<Record<HeaderFieldName, number>>> {
  const { disk, geometry, runs, output, storeZeros, onBytes, signal } = options
  const { clusterSize } = geometry
  const plan = qcow2Plan(geometry)
  for await (const piece of readAhead(disk, { bufferSize, alignment: clusterSize, runs, signal })) {
    for (const placed of placePiece(plan, piece, { clusterSize, storeZeros })) {
      await output.write(placed, { signal })
    }
    onBytes(piece.data.length)
  }
  const fields = plan.finish()
  for (const table of plan.takeTables()) await output.write(table, { signal })
  return fields
}

/** What `writePlainClusters` will give when it stores zeros, without reading the disk. */
export function planPlainClusters({
  geometry,
  runs,
  signal,
}: AbortOptions & { geometry: Qcow2Geometry; runs: ByteRanges }): Partial<Record<HeaderFieldName, number>> {
  const { clusterSize } = geometry
  const plan = qcow2Plan(geometry)
  for (let index = 0; index < runs.count; index += 1) {
    throwIfCancelled(signal)
    const end = Math.ceil(rangeEnd(runs, index) / clusterSize)
    for (let cluster = Math.floor(rangeStart(runs, index) / clusterSize); cluster < end; cluster += 1) {
      plan.placePlain(cluster)
      plan.takeTables()
    }
  }
  return plan.finish()
}

/** The writes a piece asks for, ascending: tables, and clusters that lie side by side in piece and file as one. */
function placePiece(
  plan: Qcow2Plan,
  { offset, data }: DiskPiece,
  { clusterSize, storeZeros }: { clusterSize: number; storeZeros: boolean },
): Placed[] {
  const writes: Placed[] = []
  let start = 0
  let end = 0
  let position = 0
  const closeRun = () => {
    if (end > start) writes.push({ position, bytes: data.subarray(start, end) })
  }
  for (let from = 0; from < data.length; from += clusterSize) {
    const to = Math.min(from + clusterSize, data.length)
    if (!storeZeros && isZero(data, from, to)) continue
    const place = plan.placePlain((offset + from) / clusterSize)
    if (from !== end || place !== position + (from - start)) {
      closeRun()
      start = from
      position = place
    }
    // Tables lie between the run before and this cluster.
    const tables = plan.takeTables()
    if (tables.length > 0) writes.push(...tables)
    end = to
  }
  closeRun()
  return writes
}

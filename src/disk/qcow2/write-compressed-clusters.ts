import { throwIfCancelled } from '../../core/abort.ts'
import { abortable } from '../../transfer/abortable.ts'
import { readAhead } from '../read-ahead.ts'
import type { ClusterCompressor, CompressedBatch } from './cluster-compressor.ts'
import { windowedOutput } from './file-output.ts'
import type { HeaderFieldName } from './qcow2-layout.ts'
import { qcow2Plan } from './qcow2-plan.ts'
import type { ClusterPassOptions } from './qcow2-writer.ts'

export interface CompressedClusterOptions extends ClusterPassOptions {
  compressor: ClusterCompressor
}

/** A batch at work. Its clusters need not be neighbours in the guest. */
interface Work {
  readonly clusters: readonly number[]
  readonly guestBytes: number
  readonly compressed: Promise<CompressedBatch>
}

/**
 * Writes everything but the header; gives what the header has to say. Batches are compressed in parallel and written
 * in order, so that the same disk always gives the same file.
 */
export async function writeCompressedClusters(
  options: CompressedClusterOptions,
): Promise<Partial<Record<HeaderFieldName, number>>> {
  const { geometry, output, compressor, onBytes, signal } = options
  const { clusterSize } = geometry
  const plan = qcow2Plan(geometry)
  const window = windowedOutput(output, clusterSize)
  const idle: Uint8Array<ArrayBuffer>[] = []
  const queue: Work[] = []

  async function writeOldest(): Promise<void> {
    const work = queue.shift()
    if (!work) return
    const batch = await abortable(work.compressed, signal)
    let used = 0
    for (const [index, cluster] of work.clusters.entries()) {
      const size = batch.sizes[index] ?? 0
      if (size === 0) continue
      const settled = plan.settled()
      const plain = size === clusterSize
      const position = plain ? plan.placePlain(cluster) : plan.placeCompressed(cluster, size)
      for (const table of plan.takeTables()) await window.write(table, { settled, signal })
      const from = plain ? index * clusterSize : used
      const bytes = (plain ? batch.input : batch.output).subarray(from, from + size)
      await window.write({ position, bytes }, { settled, signal })
      if (!plain) used += size
    }
    idle.push(batch.input, batch.output)
    onBytes(work.guestBytes)
  }

  try {
    for await (const { clusters, guestBytes, input } of batches(options, idle)) {
      throwIfCancelled(signal)
      const spare = idle.pop() ?? new Uint8Array(compressor.batchSize)
      const compressed = compressor.compress({ input, output: spare })
      // A failure is reported in its turn; until then it must not count as unhandled.
      compressed.catch(() => undefined)
      queue.push({ clusters, guestBytes, compressed })
      if (queue.length >= compressor.inFlight) await writeOldest()
    }
    while (queue.length > 0) await writeOldest()
  } catch (error) {
    await Promise.allSettled(queue.map((work) => work.compressed))
    throw error
  }
  const fields = plan.finish()
  await window.flush({ signal })
  for (const table of plan.takeTables()) await output.write(table, { signal })
  return fields
}

interface InputBatch {
  clusters: number[]
  guestBytes: number
  /** As long as its clusters; the disk's last cluster is filled up with zeros. */
  input: Uint8Array<ArrayBuffer>
}

/** Gathers the data runs of the disk, however short, into full batches. */
async function* batches(
  { disk, geometry, runs, compressor, signal }: CompressedClusterOptions,
  idle: Uint8Array<ArrayBuffer>[],
): AsyncGenerator<InputBatch, void, undefined> {
  const { clusterSize } = geometry
  const { batchSize } = compressor
  let buffer: Uint8Array<ArrayBuffer> | undefined
  let batch: Omit<InputBatch, 'input'> = { clusters: [], guestBytes: 0 }

  for await (const { offset, data } of readAhead(disk, {
    bufferSize: batchSize,
    alignment: clusterSize,
    runs,
    signal,
  })) {
    for (let from = 0; from < data.length; ) {
      buffer ??= idle.pop() ?? new Uint8Array(batchSize)
      const filled = batch.clusters.length * clusterSize
      const part = data.subarray(from, from + batchSize - filled)
      const clusters = Math.ceil(part.length / clusterSize)
      buffer.set(part, filled)
      buffer.fill(0, filled + part.length, filled + clusters * clusterSize)
      for (let index = 0; index < clusters; index += 1) {
        batch.clusters.push((offset + from) / clusterSize + index)
      }
      batch.guestBytes += part.length
      from += part.length
      if (filled + clusters * clusterSize < batchSize) continue
      yield { ...batch, input: buffer }
      buffer = undefined
      batch = { clusters: [], guestBytes: 0 }
    }
  }
  if (buffer) yield { ...batch, input: buffer.subarray(0, batch.clusters.length * clusterSize) }
}

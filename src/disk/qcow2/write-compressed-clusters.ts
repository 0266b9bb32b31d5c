import type { BlockCompressor } from '../compression/block-compressor.ts'
import { compressDisk } from '../compression/compress-disk.ts'
import type { HeaderFieldName } from './qcow2-layout.ts'
import { qcow2Plan } from './qcow2-plan.ts'
import type { ClusterPassOptions } from './qcow2-writer.ts'
import { windowedOutput } from './windowed-output.ts'

export interface CompressedClusterOptions extends ClusterPassOptions {
  compressor: BlockCompressor
}

/**
 * Writes everything but the header; gives what the header has to say. The same disk always gives the same file.
 */
export async function writeCompressedClusters(
  options: CompressedClusterOptions,
): Promise<Partial<Record<HeaderFieldName, number>>> {
  const { disk, geometry, runs, output, compressor, onBytes, signal } = options
  const plan = qcow2Plan(geometry)
  const window = windowedOutput(output, geometry.clusterSize)
  for await (const { blocks, guestBytes } of compressDisk(disk, { compressor, runs, signal })) {
    for (const { index, isPlain, bytes } of blocks) {
      const settled = plan.settled()
      const position = isPlain ? plan.placePlain(index) : plan.placeCompressed(index, bytes.length)
      for (const table of plan.takeTables()) await window.write(table, { settled, signal })
      await window.write({ position, bytes }, { settled, signal })
    }
    onBytes(guestBytes)
  }
  const fields = plan.finish()
  await window.flush({ signal })
  for (const table of plan.takeTables()) await output.write(table, { signal })
  return fields
}

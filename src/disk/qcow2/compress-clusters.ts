import { constants, deflateRawSync, zstdCompressSync } from 'node:zlib'
import type { Qcow2Compression } from './qcow2-layout.ts'

export interface ClusterCompression {
  readonly compression: Qcow2Compression
  /** In the algorithm's own scale. */
  readonly level: number
  readonly clusterSize: number
}

/**
 * Compresses clusters one by one into `output`, one behind the other; as much room as `input` is always enough.
 * @returns for every cluster the bytes it takes: 0 for one of zeros, all of a cluster when it does not become
 *   smaller, in which case nothing is written to `output`
 */
export function compressClusters(
  input: Uint8Array,
  output: Uint8Array,
  { compression, level, clusterSize }: ClusterCompression,
): Uint32Array {
  const sizes = new Uint32Array(input.length / clusterSize)
  const zeros = Buffer.alloc(clusterSize)
  let used = 0
  for (let index = 0; index < sizes.length; index += 1) {
    const cluster = input.subarray(index * clusterSize, (index + 1) * clusterSize)
    if (zeros.equals(cluster)) continue
    const compressed = compression === 'zlib' ? deflate(cluster, level) : zstd(cluster, level)
    const smaller = compressed.length < clusterSize
    sizes[index] = smaller ? compressed.length : clusterSize
    if (!smaller) continue
    output.set(compressed, used)
    used += compressed.length
  }
  return sizes
}

/** Readers of qcow2 inflate with a window of 12 bits, so a larger one must not be used. */
function deflate(cluster: Uint8Array, level: number): Buffer {
  return deflateRawSync(cluster, { level, windowBits: 12, memLevel: 9, chunkSize: cluster.length })
}

function zstd(cluster: Uint8Array, level: number): Buffer {
  return zstdCompressSync(cluster, {
    params: { [constants.ZSTD_c_compressionLevel]: level },
    pledgedSrcSize: cluster.length,
    chunkSize: cluster.length,
  })
}

import { promisify } from 'node:util'
import { constants, inflateRaw, zstdDecompress } from 'node:zlib'
import { DiskError } from '../errors.ts'
import type { Qcow2Compression } from './qcow2-layout.ts'
import { zstdFrameLength } from './zstd-frame.ts'

const inflate = promisify(inflateRaw)
const unzstd = promisify(zstdDecompress)

/** 8 MiB: four times the largest cluster. Keeps a hostile frame from asking for its 128 MiB. */
const maximumZstdWindowLog = 23

export interface CompressedCluster {
  readonly compression: Qcow2Compression
  readonly clusterSize: number
  /** The image, and the byte in it at which the data begin: for messages. */
  readonly name: string
  readonly host: number
}

/**
 * The cluster's bytes from `data`, which may be followed by anything up to the end of its last sector. Never gives
 * or allocates more than a cluster, whatever the data say. Runs on the thread pool.
 * @throws DiskError `IMAGE_CLUSTER_DAMAGED` unless exactly one cluster comes out
 */
export async function decompressCluster(data: Buffer, cluster: CompressedCluster): Promise<Buffer> {
  const { compression, clusterSize, name, host } = cluster
  let plain: Buffer
  try {
    plain = await (compression === 'zlib'
      ? inflateCluster(data, clusterSize)
      : unzstdCluster(data, clusterSize))
  } catch (error) {
    throw new DiskError(
      'IMAGE_CLUSTER_DAMAGED',
      `${name}: the ${compression} data at byte ${host} do not decompress to one cluster of ${clusterSize} bytes.`,
      { cause: error, details: { offset: host } },
    )
  }
  if (plain.length !== clusterSize) {
    throw new DiskError(
      'IMAGE_CLUSTER_DAMAGED',
      `${name}: the ${compression} data at byte ${host} give ${plain.length} bytes, not a cluster of ${clusterSize}.`,
      { details: { offset: host } },
    )
  }
  return plain
}

/** Raw deflate; QEMU writes with a window of 12 bits, other writers may use the largest. */
function inflateCluster(data: Buffer, clusterSize: number): Promise<Buffer> {
  return inflate(data, {
    windowBits: constants.Z_MAX_WINDOWBITS,
    maxOutputLength: clusterSize,
    chunkSize: clusterSize + 1,
    // The data may stop without an end-of-stream mark: the length of what came out decides.
    finishFlush: constants.Z_SYNC_FLUSH,
  })
}

async function unzstdCluster(data: Buffer, clusterSize: number): Promise<Buffer> {
  const length = zstdFrameLength(data)
  if (length === null) throw new Error('No complete Zstandard frame')
  return unzstd(data.subarray(0, length), {
    maxOutputLength: clusterSize,
    chunkSize: clusterSize + 1,
    params: { [constants.ZSTD_d_windowLogMax]: maximumZstdWindowLog },
  })
}

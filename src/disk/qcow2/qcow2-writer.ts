import { type AbortOptions, throwIfCancelled } from '../../core/abort.ts'
import { type ByteSink, isSeekable } from '../../transfer/byte-sink.ts'
import type { ByteRanges } from '../byte-ranges.ts'
import { openBlockCompressor } from '../compression/block-compressor.ts'
import { collectDataRuns } from '../data-runs.ts'
import type { Disk } from '../disk.ts'
import { DiskError } from '../errors.ts'
import { type FileOutput, noOutput, seekableOutput, sequentialOutput } from '../file-output.ts'
import { encodeQcow2Header } from './encode-qcow2-header.ts'
import { defaultClusterSize, type Qcow2Geometry, qcow2Geometry } from './qcow2-geometry.ts'
import {
  compressionTypes,
  type HeaderFieldName,
  incompatibleFeatures,
  type Qcow2Compression,
} from './qcow2-layout.ts'
import { writeCompressedClusters } from './write-compressed-clusters.ts'
import { planPlainClusters, writePlainClusters } from './write-plain-clusters.ts'

export interface WriteQcow2Options extends AbortOptions {
  /** Bytes: a power of two from 512 to 2 MiB. Default 64 KiB, as in QEMU. */
  clusterSize?: number
  /** None by default. */
  compression?: Qcow2Compression
  /** In the algorithm's own scale. Default 6 for zlib, 2 for zstd: within about 3 % of the size qemu-img gives. */
  level?: number
  /** Bytes of guest data done and in all; what the disk calls zero does not count. */
  onProgress?: (done: number, total: number) => void
}

type HeaderFields = Partial<Record<HeaderFieldName, number>>

/** What one run through the disk's data is given. */
interface Pass {
  output: FileOutput
  onBytes: (bytes: number) => void
}

const defaultLevels = { zlib: 6, zstd: 2 } as const
const levelRanges = { zlib: [1, 9], zstd: [1, 19] } as const

/**
 * Writes the disk as a qcow2 image of version 3. What the disk's extents call zero is not read. The order in the
 * file is in `Qcow2Plan`; a sink is treated by what it can do:
 *
 * - A file gets its header last, so that an interrupted one is never an image. The data are read once; clusters of
 *   zeros found in them are left out.
 * - A pipe or an HTTP body needs the header first, and it says where the tables at the end will be. Uncompressed, this
 *   follows from the extents: the data are still read once, zeros found in them are stored. Compressed, it follows from
 *   the compressed sizes, so the data are read and compressed twice, the first time for the sizes alone.
 *
 * Does not finish the sink. Memory, whatever the disk's size: 8 MiB of buffers; compressing 16 MiB (28 MiB with the
 * largest clusters) and about 30 MiB for each thread, one per core and at most 8; in addition 16 bytes per run of data
 * and the L1 table.
 *
 * @throws DiskError `DISK_OPTION_INVALID`; `DISK_CHANGED` when a second pass does not find what the first one did
 */
export async function writeQcow2(disk: Disk, sink: ByteSink, options: WriteQcow2Options = {}): Promise<void> {
  const { clusterSize = defaultClusterSize, compression, signal, onProgress } = options
  throwIfCancelled(signal)
  const level = compression ? checkedLevel(compression, options.level) : 0
  const geometry = qcow2Geometry(disk.size, clusterSize)
  const runs = await collectDataRuns(disk, { alignment: clusterSize, signal })
  const seekable = isSeekable(sink)
  const passes = compression && !seekable ? 2 : 1
  let passed = 0
  const onBytes = (bytes: number) => {
    passed += bytes
    onProgress?.(Math.floor(passed / passes), runs.total)
  }
  onProgress?.(0, runs.total)

  async function run(pass: (pass: Pass) => Promise<HeaderFields>): Promise<void> {
    if (seekable) {
      const fields = await pass({ output: seekableOutput(sink), onBytes })
      await sink.writeAt(headerCluster(geometry, fields, compression), 0, { signal })
      return
    }
    const planned = compression
      ? await pass({ output: noOutput, onBytes })
      : planPlainClusters({ geometry, runs, signal })
    const header = headerCluster(geometry, planned, compression)
    await sink.write(header, { signal })
    const written = await pass({ output: sequentialOutput(sink, header.length), onBytes })
    if (!header.equals(headerCluster(geometry, written, compression))) {
      throw new DiskError('DISK_CHANGED', `The disk written to ${sink.name} changed while it was read.`, {
        hint: 'Stop whatever writes to it, for example a running virtual machine, and start again.',
      })
    }
  }

  if (!compression) {
    return run((pass) => writePlainClusters({ disk, geometry, runs, storeZeros: !seekable, signal, ...pass }))
  }
  const compressor = openBlockCompressor({
    method: compression === 'zlib' ? 'deflate' : 'zstd',
    level,
    blockSize: clusterSize,
    // Readers of qcow2 inflate with a window of 12 bits, so a larger one must not be used.
    windowBits: 12,
    keepIncompressible: true,
  })
  try {
    await run((pass) => writeCompressedClusters({ disk, geometry, runs, compressor, signal, ...pass }))
  } finally {
    await compressor.close()
  }
}

export interface ClusterPassOptions extends AbortOptions {
  disk: Disk
  geometry: Qcow2Geometry
  /** The data of the disk, widened to clusters. */
  runs: ByteRanges
  output: FileOutput
  /** Told the guest bytes of every step. */
  onBytes: (bytes: number) => void
}

function headerCluster(
  { clusterBits, clusterSize, virtualSize }: Qcow2Geometry,
  fields: HeaderFields,
  compression: Qcow2Compression | undefined,
): Buffer {
  // "compression_type" other than zlib must be announced, or older readers would take the data for damaged.
  const zstd: HeaderFields =
    compression === 'zstd'
      ? {
          compression_type: compressionTypes.indexOf('zstd'),
          incompatible_features: Number(incompatibleFeatures.compressionType),
        }
      : {}
  return encodeQcow2Header(
    { fields: { cluster_bits: clusterBits, size: virtualSize, ...fields, ...zstd } },
    clusterSize,
  )
}

function checkedLevel(compression: Qcow2Compression, level: number = defaultLevels[compression]): number {
  const [lowest, highest] = levelRanges[compression]
  if (!Number.isInteger(level) || level < lowest || level > highest) {
    throw new DiskError('DISK_OPTION_INVALID', `There is no level ${level} of ${compression}.`, {
      hint: `Choose a whole number from ${lowest} to ${highest}.`,
    })
  }
  return level
}

import { type AbortOptions, throwIfCancelled } from '../../core/abort.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { checkRange } from '../check-range.ts'
import { compressedReader, type WantedPart } from '../compression/compressed-reader.ts'
import type { Disk } from '../disk.ts'
import { openClusterMap } from './cluster-map.ts'
import { runDecoder } from './decode-entries.ts'
import { decompressCluster } from './decompress-cluster.ts'
import { qcow2Extents } from './qcow2-extents.ts'
import { type Qcow2Header, readQcow2Header } from './qcow2-header.ts'
import {
  type OpenBacking,
  type OpenDataFile,
  openBackingOf,
  openDataFileOf,
  refuseUnreadable,
} from './qcow2-policy.ts'

export interface OpenQcow2Options extends AbortOptions {
  /** Asked for the backing file when the image names one; without it such an image is refused. */
  openBacking?: OpenBacking
  /** Asked for the external data file when the image keeps its data in one; without it such an image is refused. */
  openDataFile?: OpenDataFile
}

export interface Qcow2Disk extends Disk {
  readonly header: Qcow2Header
  readonly backing: Disk | null
  /** What a person should know about the image although it can be read, as sentences. */
  readonly warnings: readonly string[]
}

/** Reads of the file that one `read` of the disk may have under way, for images in many small pieces. */
const maximumReads = 16

/**
 * The disk of a qcow2 image: version 2 and 3, all cluster sizes, zlib and zstd, zero clusters, extended L2. Internal
 * snapshots, bitmaps and unknown autoclear features do not matter to the active layer and are passed over.
 *
 * Memory is bounded whatever the virtual size: the L1 table (8 bytes per 512 MiB of disk with the usual clusters, at
 * most 32 MiB), 4 MiB of L2 tables, and 4 MiB of decompressed clusters. Takes the source over: it is closed with the
 * disk; when this throws, closing it stays with the caller.
 *
 * @throws DiskError of `readQcow2Header`; `IMAGE_UNKNOWN_FEATURE`, `IMAGE_MARKED_CORRUPT`, `IMAGE_DATA_FILE`,
 *   `IMAGE_ENCRYPTED`, `IMAGE_BACKING_FILE`; here and while reading, `IMAGE_OFFSET_OUT_OF_FILE`,
 *   `IMAGE_ENTRY_INVALID`, `IMAGE_OVERLAP`, `IMAGE_CLUSTER_DAMAGED`
 */
export async function openQcow2(
  source: RandomAccessSource,
  options: OpenQcow2Options = {},
): Promise<Qcow2Disk> {
  const { signal, openBacking, openDataFile } = options
  const header = await readQcow2Header(source, { signal })
  const warnings = refuseUnreadable(source.name, header)
  const map = await openClusterMap(source, header, { signal })
  const { size, clusterSize, compression } = header
  const dataFile = await openDataFileOf(source.name, header, openDataFile)
  const data = dataFile ?? source
  const decodeRun = runDecoder({ name: source.name, dataSize: data.size, header })
  const readCompressed = compressedReader(source, {
    blockSize: clusterSize,
    decompress: (bytes, { host }) =>
      decompressCluster(bytes, { compression, clusterSize, name: source.name, host }),
  })
  const backing = await openBackingOf(source.name, header, openBacking).catch(async (error: unknown) => {
    await dataFile?.close()
    throw error
  })

  async function readData(target: Uint8Array, host: number, signal?: AbortSignal): Promise<void> {
    const filled = host < data.size ? await data.read(target, host, { signal }) : 0
    if (filled < target.length) target.fill(0, filled)
  }

  async function readBacking(target: Uint8Array, offset: number, signal?: AbortSignal): Promise<void> {
    const inside = backing ? Math.max(0, Math.min(target.length, backing.size - offset)) : 0
    if (backing && inside > 0) await backing.read(target.subarray(0, inside), offset, { signal })
    target.fill(0, inside)
  }

  async function read(target: Uint8Array, offset: number, { signal }: AbortOptions = {}): Promise<void> {
    checkRange({ size }, offset, target.length)
    const end = offset + target.length
    const compressed: WantedPart[] = []
    let reads: Promise<void>[] = []
    try {
      for (let position = offset; position < end; ) {
        const page = await map.pageAt(position, { signal })
        const pageEnd = Math.min(end, page.end)
        while (position < pageEnd) {
          const run = decodeRun(page, position, pageEnd)
          const part = target.subarray(position - offset, position - offset + run.length)
          if (run.kind === 'data') reads.push(readData(part, run.host, signal))
          else if (run.kind === 'unallocated' && backing) reads.push(readBacking(part, position, signal))
          else if (run.kind === 'compressed') {
            const { host, compressedLength } = run
            compressed.push({ host, compressedLength, within: position % clusterSize, target: part })
          } else part.fill(0)
          position += run.length
          if (reads.length === maximumReads) {
            await Promise.all(reads)
            reads = []
          }
        }
      }
      if (compressed.length > 0) reads.push(readCompressed(compressed, { signal }))
      await Promise.all(reads)
    } catch (error) {
      // Nothing may write into the caller's buffer after it has been given back.
      await Promise.allSettled(reads)
      throw error
    }
  }

  return {
    size,
    header,
    backing,
    warnings,
    read,
    extents: ({ signal } = {}) => {
      throwIfCancelled(signal)
      return qcow2Extents({ size, map, decodeRun, backing, signal })
    },
    async close() {
      const closing = [backing?.close(), dataFile?.close(), source.close()]
      const failed = (await Promise.allSettled(closing)).find(({ status }) => status === 'rejected')
      if (failed?.status === 'rejected') throw failed.reason
    },
  }
}

import { type AbortOptions, throwIfCancelled } from '../../core/abort.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { checkRange } from '../check-range.ts'
import { compressedReader, type WantedPart } from '../compression/compressed-reader.ts'
import type { Disk, Extent } from '../disk.ts'
import { mergeExtents } from '../merge-extents.ts'
import { runDecoder } from './decode-grains.ts'
import { decompressGrain, maximumStoredGrain } from './decompress-grain.ts'
import { openGrainMap } from './grain-map.ts'
import type { SparseHeader } from './vmdk-header.ts'

interface WantedGrain extends WantedPart {
  /** Where the grain begins on the disk. */
  readonly guest: number
}

/** Reads of the file that one `read` of the disk may have under way, for images in many small pieces. */
const maximumReads = 16

/**
 * The part of a disk that one sparse extent holds, which mostly is all of it: plain grains, or compressed ones.
 *
 * Memory is bounded whatever the virtual size: the grain directory, 4 MiB of grain tables, 4 MiB of decompressed grains.
 * Closing it closes the source; when this throws, that stays with the caller.
 *
 * @throws DiskError of `openGrainMap`; while reading also `IMAGE_ENTRY_INVALID`, `IMAGE_CLUSTER_DAMAGED`
 */
export async function openSparseExtent(
  source: RandomAccessSource,
  header: SparseHeader,
  { signal }: AbortOptions = {},
): Promise<Disk> {
  const { size, grainSize } = header
  const { name } = source
  const map = await openGrainMap(source, header, { signal })
  const decodeRun = runDecoder(source, header)
  const readCompressed = compressedReader<WantedGrain>(source, {
    blockSize: grainSize,
    decompress: (data, { host, guest }) => {
      return decompressGrain(data, {
        name,
        host,
        guest,
        grainSize,
        needed: Math.min(grainSize, size - guest),
      })
    },
  })

  /** The last grain of a file may be cut short; what is missing reads as zeros, as in QEMU. */
  async function readData(target: Uint8Array, host: number, signal?: AbortSignal): Promise<void> {
    const filled = host < source.size ? await source.read(target, host, { signal }) : 0
    if (filled < target.length) target.fill(0, filled)
  }

  async function read(target: Uint8Array, offset: number, { signal }: AbortOptions = {}): Promise<void> {
    checkRange({ size }, offset, target.length)
    const end = offset + target.length
    const compressed: WantedGrain[] = []
    let reads: Promise<void>[] = []
    try {
      for (let position = offset; position < end; ) {
        const page = await map.pageAt(position, { signal })
        const pageEnd = Math.min(end, page.end)
        while (position < pageEnd) {
          const { kind, host, length } = decodeRun(page, position, pageEnd)
          const part = target.subarray(position - offset, position - offset + length)
          const within = position % grainSize
          if (kind === 'zero') part.fill(0)
          else if (kind === 'data') reads.push(readData(part, host, signal))
          else compressed.push({ host, compressedLength: 0, within, target: part, guest: position - within })
          position += length
          if (reads.length < maximumReads) continue
          await Promise.all(reads)
          reads = []
        }
      }
      if (compressed.length > 0) reads.push(readCompressed(withLengths(compressed), { signal }))
      await Promise.all(reads)
    } catch (error) {
      // Nothing may write into the caller's buffer after it has been given back.
      await Promise.allSettled(reads)
      throw error
    }
  }

  /** A grain ends where the next one begins, if that one is wanted too; else its marker says where. */
  function withLengths(grains: readonly WantedGrain[]): WantedGrain[] {
    return grains.map((grain, index) => {
      const next = grains[index + 1]?.host ?? 0
      const most = Math.min(maximumStoredGrain(grainSize), source.size - grain.host)
      const isNear = next > grain.host && next - grain.host < most
      return { ...grain, compressedLength: isNear ? next - grain.host : most }
    })
  }

  async function* pieces({ signal }: AbortOptions): AsyncGenerator<Extent, void, undefined> {
    for (let position = 0; position < size; ) {
      const page = await map.pageAt(position, { signal })
      while (position < page.end) {
        const { kind, length } = decodeRun(page, position, page.end)
        yield { offset: position, length, kind: kind === 'zero' ? 'zero' : 'data' }
        position += length
      }
    }
  }

  return {
    size,
    read,
    extents: ({ signal } = {}) => {
      throwIfCancelled(signal)
      return mergeExtents(pieces({ signal }))
    },
    close: () => source.close(),
  }
}

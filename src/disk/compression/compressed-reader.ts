import type { AbortOptions } from '../../core/abort.ts'
import { KiB, MiB } from '../../core/bytes.ts'
import { freeBuffer } from '../../core/free-buffer.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'

/** A compressed block and the part of it that somebody wants. */
export interface WantedPart {
  /** Where in the file the block begins; the block, for the cache. */
  readonly host: number
  /** Bytes from there in which it ends somewhere; within the file. */
  readonly compressedLength: number
  /** Where in the decompressed block the part begins; it is as long as `target`. */
  readonly within: number
  readonly target: Uint8Array
}

export interface CompressedReaderOptions<Part extends WantedPart> {
  blockSize: number
  /** Gives the block at the start of `data`, or at least all of it up to the end of the part. */
  decompress: (data: Buffer, part: Part) => Promise<Buffer>
}

/** Bytes that one read of neighbouring blocks may have, and that may lie unused between two of them. */
const maximumGroup = 2 * MiB
const maximumGap = 16 * KiB
/** Blocks that one read decompresses at the same time: enough for the thread pool, and few to be waiting in memory. */
const atOnce = 16
/** Decompressed blocks kept for the next small read, so that a file system's reader does not pay for each. */
const keptBytes = 4 * MiB

interface Group<Part> {
  readonly parts: Part[]
  readonly start: number
  end: number
}

export type ReadCompressed<Part> = (parts: readonly Part[], options: AbortOptions) => Promise<void>

/**
 * Reads compressed blocks: those that lie near each other in the file with one read, decompressed in parallel on the
 * thread pool. Memory is one group (2 MiB, or one block), its blocks, and 4 MiB kept for small reads.
 */
export function compressedReader<Part extends WantedPart>(
  source: RandomAccessSource,
  { blockSize, decompress }: CompressedReaderOptions<Part>,
): ReadCompressed<Part> {
  const kept = new Map<number, Buffer>()

  async function readGroup({ parts, start, end }: Group<Part>, options: AbortOptions): Promise<void> {
    const data = Buffer.allocUnsafeSlow(end - start)
    await source.read(data, start, options)
    const left = parts.values()

    async function decompressNext(): Promise<void> {
      for (const part of left) {
        const { host, compressedLength } = part
        const from = host - start
        const plain = await decompress(data.subarray(from, from + compressedLength), part)
        deliver(part, plain)
        if (part.target.length < blockSize) keep(host, plain)
        else freeBuffer(plain)
      }
    }

    const outcomes = await Promise.allSettled(Array.from({ length: atOnce }, decompressNext))
    // Only now: nothing may write into the caller's buffer after it has been given back.
    const failed = outcomes.find((outcome) => outcome.status === 'rejected')
    if (failed) throw failed.reason
    freeBuffer(data)
  }

  function keep(host: number, plain: Buffer): void {
    kept.set(host, plain)
    for (const oldest of kept.keys()) {
      if (kept.size * blockSize <= keptBytes) break
      kept.delete(oldest)
    }
  }

  return async (parts, options) => {
    const missing: Part[] = []
    for (const part of parts) {
      const plain = kept.get(part.host)
      if (plain) deliver(part, plain)
      else missing.push(part)
    }
    for (const group of neighbours(missing)) await readGroup(group, options)
  }
}

function deliver({ target, within }: WantedPart, plain: Buffer): void {
  target.set(plain.subarray(within, within + target.length))
}

/** Compressors that work in parallel may place blocks a little out of order, so a group grows at both sides. */
function neighbours<Part extends WantedPart>(parts: readonly Part[]): Group<Part>[] {
  const groups: Group<Part>[] = []
  for (const part of [...parts].sort((a, b) => a.host - b.host)) {
    const end = part.host + part.compressedLength
    const group = groups.at(-1)
    if (group && part.host - group.end <= maximumGap && end - group.start <= maximumGroup) {
      group.parts.push(part)
      group.end = Math.max(group.end, end)
    } else {
      groups.push({ parts: [part], start: part.host, end })
    }
  }
  return groups
}

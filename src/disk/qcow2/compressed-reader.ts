import type { AbortOptions } from '../../core/abort.ts'
import { KiB, MiB } from '../../core/bytes.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { decompressCluster } from './decompress-cluster.ts'
import type { Qcow2Header } from './qcow2-header.ts'

/** A compressed cluster and the part of it that somebody wants. */
export interface CompressedPiece {
  readonly host: number
  readonly compressedLength: number
  /** Where in the decompressed cluster the part begins; it is as long as `target`. */
  readonly within: number
  readonly target: Uint8Array
}

/** Bytes that one read of neighbouring clusters may have, and that may lie unused between two of them. */
const maximumGroup = 2 * MiB
const maximumGap = 16 * KiB
/** Decompressed clusters kept for the next small read, so that a file system's reader does not pay for each. */
const keptBytes = 4 * MiB

interface Group {
  readonly pieces: CompressedPiece[]
  readonly start: number
  end: number
}

export type ReadCompressed = (pieces: readonly CompressedPiece[], options: AbortOptions) => Promise<void>

/**
 * Reads compressed clusters: those that lie near each other in the file with one read, decompressed in parallel on
 * the thread pool. Memory is one group (2 MiB), its clusters, and 4 MiB kept for small reads.
 */
export function compressedReader(
  source: RandomAccessSource,
  { clusterSize, compression }: Qcow2Header,
): ReadCompressed {
  const kept = new Map<number, Buffer>()

  async function readGroup({ pieces, start, end }: Group, options: AbortOptions): Promise<void> {
    const data = Buffer.allocUnsafeSlow(end - start)
    await source.read(data, start, options)
    await Promise.all(
      pieces.map(async (piece) => {
        const { host, compressedLength } = piece
        const from = host - start
        const plain = await decompressCluster(data.subarray(from, from + compressedLength), {
          compression,
          clusterSize,
          name: source.name,
          host,
        })
        deliver(piece, plain)
        if (piece.target.length < clusterSize) keep(host, plain)
      }),
    )
  }

  function keep(host: number, plain: Buffer): void {
    kept.set(host, plain)
    for (const oldest of kept.keys()) {
      if (kept.size * clusterSize <= keptBytes) break
      kept.delete(oldest)
    }
  }

  return async (pieces, options) => {
    const missing: CompressedPiece[] = []
    for (const piece of pieces) {
      const plain = kept.get(piece.host)
      if (plain) deliver(piece, plain)
      else missing.push(piece)
    }
    for (const group of neighbours(missing)) await readGroup(group, options)
  }
}

function deliver({ target, within }: CompressedPiece, plain: Buffer): void {
  target.set(plain.subarray(within, within + target.length))
}

/** Compressors that work in parallel place clusters a little out of order, so a group grows at both sides. */
function neighbours(pieces: readonly CompressedPiece[]): Group[] {
  const groups: Group[] = []
  for (const piece of [...pieces].sort((a, b) => a.host - b.host)) {
    const end = piece.host + piece.compressedLength
    const group = groups.at(-1)
    if (group && piece.host - group.end <= maximumGap && end - group.start <= maximumGroup) {
      group.pieces.push(piece)
      group.end = Math.max(group.end, end)
    } else {
      groups.push({ pieces: [piece], start: piece.host, end })
    }
  }
  return groups
}

import type { AbortOptions } from '../../core/abort.ts'
import { KiB } from '../../core/bytes.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { type ByteRanges, ByteRangesBuilder, rangeEnd, rangeStart } from '../byte-ranges.ts'
import type { Findings } from '../safety/findings.ts'
import type { tarChecks } from './tar-checks.ts'
import { gnuSparse, tarBlock } from './tar-layout.ts'
import { readTarNumber } from './tar-number.ts'

/** Which parts of a sparse member are stored, one behind the other. */
export interface SparseMap {
  /** Bytes of the file with its holes. */
  readonly size: number
  readonly stored: ByteRanges
  /** Bytes stored before each range of `stored`. */
  readonly before: Float64Array
  /** Bytes of the blocks between the header and what is stored. */
  readonly extensionBytes: number
}

/** Of 24 bytes each: 6 MiB of the archive. */
const maximumPairs = 256 * KiB

export interface ReadSparseMapOptions extends AbortOptions {
  /** Where the header is. */
  at: number
  /** Bytes that are stored, as the header says. */
  storedSize: number
  findings: Findings<typeof tarChecks>
}

/** The map of a member of type `S`, from its header and the blocks behind it; null when it was refused. */
export async function readSparseMap(
  source: RandomAccessSource,
  header: Buffer,
  { at, storedSize, findings, signal }: ReadSparseMapOptions,
): Promise<SparseMap | null> {
  const { header: first, extension } = gnuSparse
  const size = readTarNumber(header, first.realSize)
  const ranges = new ByteRangesBuilder()
  let total = 0
  let end = 0
  let count = 0

  /** Whether more pairs may follow; null when one is wrong. */
  const take = (block: Buffer, layout: typeof first | typeof extension): boolean | null => {
    for (let index = 0; index < layout.count; index += 1) {
      const place = layout.pairs + index * gnuSparse.pairBytes
      if (block[place + gnuSparse.numberBytes] === 0) break
      const offset = readTarNumber(block, [place, gnuSparse.numberBytes])
      const length = readTarNumber(block, [place + gnuSparse.numberBytes, gnuSparse.numberBytes])
      if (offset === null || length === null || offset < end || offset + length > (size ?? 0)) return null
      ranges.add(offset, length)
      end = offset + length
      total += length
      count += 1
    }
    return block[layout.isExtended] !== 0 && block[layout.isExtended] !== 0x30
  }

  const refuse = (message: string): null => {
    findings.refuse('tar.sparse', 'IMAGE_ENTRY_INVALID', at, () => message)
    return null
  }
  if (size === null) return refuse('The size of a sparse member is no number.')
  let more = take(header, first)
  let position = at + tarBlock
  const buffer = Buffer.alloc(64 * KiB)
  let held = buffer.subarray(0, 0)
  while (more) {
    if (count > maximumPairs) {
      findings.refuse('tar.sparse', 'IMAGE_TABLES_LIMIT', at, () => {
        return `A sparse member has more than ${maximumPairs} parts.`
      })
      return null
    }
    if (held.length === 0) held = buffer.subarray(0, await source.read(buffer, position, { signal }))
    if (held.length < tarBlock) {
      findings.refuse('tar.sparse', 'IMAGE_TRUNCATED', at, () => 'The archive ends in a sparse map.')
      return null
    }
    const before = count
    more = take(held.subarray(0, tarBlock), extension)
    // Blocks that say nothing and promise more would make the map as long as the archive.
    if (more && count < before + extension.count) return refuse('A block of a sparse map is not full.')
    held = held.subarray(tarBlock)
    position += tarBlock
  }
  if (more === null) return refuse('A part of a sparse member is out of order or leaves the file.')
  if (total !== storedSize) {
    return refuse(`The parts of a sparse member have ${total} bytes, and ${storedSize} are stored.`)
  }
  const stored = ranges.build()
  return { size, stored, before: runningTotals(stored), extensionBytes: position - at - tarBlock }
}

function runningTotals(ranges: ByteRanges): Float64Array {
  const totals = new Float64Array(ranges.count)
  for (let index = 1; index < ranges.count; index += 1) {
    const previous = rangeEnd(ranges, index - 1) - rangeStart(ranges, index - 1)
    totals[index] = (totals[index - 1] ?? 0) + previous
  }
  return totals
}

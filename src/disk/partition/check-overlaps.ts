import type { ByteRange } from '../../transfer/byte-source.ts'
import { extendedTypes } from './partition-layout.ts'
import type { Partition, ProblemReport } from './partition-table.ts'

/**
 * Reports partitions that share bytes with each other or with the tables. Logical partitions lie inside the
 * extended one, and so do its boot records; everything else must be apart.
 */
export function checkOverlaps(
  table: { partitions: readonly Partition[]; structures: readonly ByteRange[] },
  report: ProblemReport,
): void {
  const containers = table.partitions.filter(isContainer)
  const contents = table.partitions.filter((partition) => !containers.includes(partition))
  const primaries = contents.filter((partition) => partition.number <= 4)
  for (const container of containers) {
    const others = containers.filter((other) => other.number > container.number)
    for (const other of [...primaries, ...others]) reportNeighbours([container, other].map(asRange), report)
  }
  reportNeighbours([...contents.map(asRange), ...table.structures.map(asStructure)], report)
}

interface NamedRange extends ByteRange {
  readonly title: string
}

function asRange({ number, offset, length }: Partition): NamedRange {
  return { title: `partition ${number}`, offset, length }
}

function asStructure({ offset, length }: ByteRange): NamedRange {
  return { title: 'the partition table', offset, length }
}

function isContainer(partition: Partition): boolean {
  return extendedTypes.some((type) => Number(partition.type) === type)
}

/** Sorted by start, an overlap always shows between a range and the one that reached furthest before it. */
function reportNeighbours(ranges: NamedRange[], report: ProblemReport): void {
  const sorted = ranges.sort((a, b) => a.offset - b.offset)
  let furthest: NamedRange | undefined
  for (const range of sorted) {
    if (furthest && range.offset < furthest.offset + furthest.length) {
      report.error(
        'PARTITION_OVERLAP',
        range.offset,
        `At byte ${range.offset} ${furthest.title} and ${range.title} overlap.`,
      )
    }
    if (!furthest || range.offset + range.length > furthest.offset + furthest.length) furthest = range
  }
}

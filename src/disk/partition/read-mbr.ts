import { type AbortOptions, throwIfCancelled } from '../../core/abort.ts'
import type { ByteRange } from '../../transfer/byte-source.ts'
import type { ReadableRange } from '../probe.ts'
import { decodeMbrEntries, extendedTypes, hasBootSignature, type MbrEntry, mbr } from './partition-layout.ts'
import type { Partition, ProblemReport } from './partition-table.ts'
import { mbrTypeName } from './partition-types.ts'

export const mbrSectorSize = 512
/** Linux makes at most 63 devices of a disk with a table of this kind; nobody needs more. */
const maximumLogicalPartitions = 128

export interface MbrTable {
  readonly uuid: string
  readonly partitions: Partition[]
  readonly structures: ByteRange[]
}

/** The primary and logical partitions of an MBR whose sector has been read already. */
export async function readMbr(
  disk: ReadableRange,
  sector: Buffer,
  { report, ...options }: AbortOptions & { report: ProblemReport },
): Promise<MbrTable> {
  const signature = sector.readUInt32LE(mbr.diskSignature).toString(16).padStart(8, '0')
  const table: MbrTable = {
    uuid: signature,
    partitions: [],
    structures: [{ offset: 0, length: mbrSectorSize }],
  }
  const place = { disk, signature, report }
  const extended: MbrEntry[] = []
  decodeMbrEntries(sector).forEach((entry, index) => {
    if (entry.type === 0) return
    const partition = toPartition(entry, { ...place, number: index + 1, base: 0, recordOffset: 0 })
    if (!partition) return
    table.partitions.push(partition)
    if (extendedTypes.includes(entry.type)) extended.push(entry)
  })
  for (const entry of extended) await readLogical(table, entry, { ...place, ...options })
  return table
}

interface Place {
  readonly disk: ReadableRange
  readonly signature: string
  readonly report: ProblemReport
}

/**
 * Follows the chain of extended boot records. Each holds one logical partition, relative to itself, and the place
 * of the next record, relative to the extended partition. A chain may not leave the extended partition, nor come
 * back to a record it has visited.
 */
async function readLogical(
  table: MbrTable,
  extended: MbrEntry,
  { signal, ...place }: Place & AbortOptions,
): Promise<void> {
  const { disk, report } = place
  const firstSector = extended.firstSector
  const endSector = firstSector + extended.sectors
  const visited = new Set<number>()
  const sector = Buffer.alloc(mbrSectorSize)
  let next = firstSector
  while (visited.size < maximumLogicalPartitions) {
    throwIfCancelled(signal)
    const recordOffset = next * mbrSectorSize
    if (visited.has(next)) {
      report.error(
        'PARTITION_CHAIN_INVALID',
        recordOffset,
        'The chain of logical partitions runs in a circle.',
      )
      return
    }
    visited.add(next)
    await disk.read(sector, recordOffset, { signal })
    if (!hasBootSignature(sector)) {
      report.error('PARTITION_CHAIN_INVALID', recordOffset, 'An extended boot record has no signature.')
      return
    }
    table.structures.push({ offset: recordOffset, length: mbrSectorSize })
    const [logical, link] = decodeMbrEntries(sector)
    if (logical && logical.type !== 0) {
      const number = 5 + table.partitions.filter((partition) => partition.number >= 5).length
      const partition = toPartition(logical, { ...place, number, base: next, recordOffset })
      if (partition) table.partitions.push(partition)
      if (next + logical.firstSector + logical.sectors > endSector) {
        report.error(
          'PARTITION_CHAIN_INVALID',
          recordOffset + logical.offset,
          `Logical partition ${number} leaves the extended partition.`,
        )
      }
    }
    if (!link || link.type === 0) return
    next = firstSector + link.firstSector
    if (!extendedTypes.includes(link.type) || next >= endSector) {
      report.error(
        'PARTITION_CHAIN_INVALID',
        recordOffset + link.offset,
        'The chain of logical partitions leaves the extended partition.',
      )
      return
    }
  }
  report.error(
    'PARTITION_TOO_MANY',
    firstSector * mbrSectorSize,
    `There are more than ${maximumLogicalPartitions} logical partitions.`,
  )
}

interface EntryPlace extends Place {
  readonly number: number
  /** What the entry's first sector is relative to. */
  readonly base: number
  readonly recordOffset: number
}

/** The partition, or null when it leaves the disk, which is reported. */
function toPartition(
  entry: MbrEntry,
  { disk, signature, report, number, base, recordOffset }: EntryPlace,
): Partition | null {
  const entryOffset = recordOffset + entry.offset
  const offset = (base + entry.firstSector) * mbrSectorSize
  const length = entry.sectors * mbrSectorSize
  if (length === 0 || entry.firstSector === 0) {
    report.error('PARTITION_ENTRY_INVALID', entryOffset, `Partition ${number} has no place or no size.`)
    return null
  }
  if (offset + length > disk.size) {
    report.error('PARTITION_OUTSIDE_DISK', entryOffset, outsideMessage(number, offset + length, disk.size))
    return null
  }
  return {
    number,
    offset,
    length,
    type: `0x${entry.type.toString(16).padStart(2, '0')}`,
    typeName: mbrTypeName(entry.type),
    name: '',
    uuid: `${signature}-${number.toString(16).padStart(2, '0')}`,
    bootable: entry.bootIndicator === 0x80,
  }
}

export function outsideMessage(number: number, end: number, size: number): string {
  return `Partition ${number} ends at byte ${end} of a disk of ${size} bytes.`
}

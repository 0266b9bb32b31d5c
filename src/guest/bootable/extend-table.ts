import type { AbortOptions } from '../../core/abort.ts'
import { MiB, roundUp, TiB } from '../../core/bytes.ts'
import type { Disk } from '../../disk/disk.ts'
import { encodeGpt, encodeGptEntry } from '../../disk/partition/encode-gpt.ts'
import { encodeMbrEntry, encodeProtectiveMbr, mbrTableOffset } from '../../disk/partition/encode-mbr.ts'
import { decodeGptHeader, gpt, mbr } from '../../disk/partition/partition-layout.ts'
import type { PartitionTable } from '../../disk/partition/partition-table.ts'
import { gptTypes, mbrTypes } from '../../disk/partition/partition-types.ts'
import { GuestError } from '../errors.ts'
import { derivedGuid } from './derived-ids.ts'

/** A partition to add to a disk that has some. */
export interface Addition {
  readonly purpose: 'bios-boot' | 'efi-system'
  /** Bytes. */
  readonly length: number
}

export interface AddedPartition extends Addition {
  readonly number: number
  readonly offset: number
}

/** A disk with more partitions: its size, the new ones, and the bytes of its tables at their places. */
export interface ExtendedTable {
  readonly size: number
  readonly added: readonly AddedPartition[]
  /** All that is on the old disk before this place stays; behind it is nothing that belongs to a partition. */
  readonly keptUpTo: number
  readonly tables: readonly { readonly offset: number; readonly bytes: Buffer }[]
}

const sector = 512
const mbrLimit = 2 * TiB
/** By custom of the images of distributions, so that the root keeps the first number. */
const usualNumbers = { 'bios-boot': 14, 'efi-system': 15 } as const

/**
 * Adds partitions behind the last one, or, a BIOS boot partition, before the first. What the table has stays as it is, names and
 * numbers too. The disk grows where it has to.
 * @throws GuestError `BOOT_NO_ROOM` when the table takes no more, or is of a form that is not changed here
 */
export async function extendTable(
  disk: Disk,
  table: PartitionTable,
  { additions, signal }: AbortOptions & { additions: readonly Addition[] },
): Promise<ExtendedTable> {
  if (table.sectorSize !== sector) {
    throw noRoom(
      `The disk has sectors of ${table.sectorSize} bytes, and boot loaders here are for sectors of 512`,
    )
  }
  return table.scheme === 'gpt'
    ? extendGpt(disk, table, { additions, signal })
    : extendMbr(disk, table, { additions, signal })
}

async function extendGpt(
  disk: Disk,
  table: PartitionTable,
  { additions, signal }: AbortOptions & { additions: readonly Addition[] },
): Promise<ExtendedTable> {
  const header = Buffer.alloc(sector)
  await disk.read(header, sector, { signal })
  const { entriesSector, entryCount, entryBytes, diskGuid, firstUsableSector } = decodeGptHeader(header)
  const standardSectors = (128 * gpt.minimumEntryBytes) / sector
  if (entryBytes !== gpt.minimumEntryBytes || entryCount !== 128 || firstUsableSector < 2 + standardSectors) {
    throw noRoom(
      `The GPT has ${entryCount} entries of ${entryBytes} bytes, and only the usual form is changed here`,
    )
  }
  const entries = Buffer.alloc(entryCount * entryBytes)
  await disk.read(entries, entriesSector * sector, { signal })
  const taken = new Set(table.partitions.map(({ number }) => number))
  const placed = place(table, additions, {
    gapStart: firstUsableSector * sector,
    reserve: MiB,
    diskSize: disk.size,
  })
  const added = placed.partitions.map((partition): AddedPartition => {
    const number = freeNumber(taken, { preferred: usualNumbers[partition.purpose], limit: 128 })
    taken.add(number)
    const entry = encodeGptEntry({
      ...partition,
      type: partition.purpose === 'bios-boot' ? gptTypes.biosBoot : gptTypes.efiSystem,
      uuid: derivedGuid(table.uuid, partition.purpose),
      name: partition.purpose,
    })
    entries.set(entry, (number - 1) * entryBytes)
    return { ...partition, number }
  })
  const { primary, backup } = encodeGpt({ size: placed.size, guid: diskGuid, entries })
  return {
    size: placed.size,
    added,
    keptUpTo: Math.min(placed.keptUpTo, placed.size - backup.length),
    tables: [
      { offset: mbrTableOffset, bytes: encodeProtectiveMbr(placed.size) },
      { offset: sector, bytes: primary },
      { offset: placed.size - backup.length, bytes: backup },
    ],
  }
}

async function extendMbr(
  disk: Disk,
  table: PartitionTable,
  { additions, signal }: AbortOptions & { additions: readonly Addition[] },
): Promise<ExtendedTable> {
  const bytes = Buffer.alloc(sector - mbrTableOffset)
  await disk.read(bytes, mbrTableOffset, { signal })
  const taken = new Set(table.partitions.map(({ number }) => number))
  const placed = place(table, additions, {
    gapStart: Number.POSITIVE_INFINITY,
    reserve: 0,
    diskSize: disk.size,
  })
  if (placed.size > mbrLimit) throw noRoom('An MBR cannot count beyond 2 TiB')
  const added = placed.partitions.map((partition): AddedPartition => {
    const number = freeNumber(taken, { preferred: null, limit: mbr.entryCount })
    taken.add(number)
    const type = partition.purpose === 'efi-system' ? mbrTypes.efiSystem : mbrTypes.data
    bytes.set(
      encodeMbrEntry({ ...partition, type }),
      mbr.entries - mbrTableOffset + (number - 1) * mbr.entryBytes,
    )
    return { ...partition, number }
  })
  const tables = [{ offset: mbrTableOffset, bytes }]
  return { size: placed.size, added, keptUpTo: placed.keptUpTo, tables }
}

/** Where additions go. */
function place(
  { partitions }: PartitionTable,
  additions: readonly Addition[],
  { gapStart, reserve, diskSize }: { gapStart: number; reserve: number; diskSize: number },
): { partitions: Omit<AddedPartition, 'number'>[]; size: number; keptUpTo: number } {
  const firstOffset = Math.min(...partitions.map(({ offset }) => offset))
  let end = roundUp(Math.max(...partitions.map(({ offset, length }) => offset + length)), MiB)
  let keptUpTo = diskSize
  const placed = additions.map((addition) => {
    if (addition.purpose === 'bios-boot' && firstOffset - gapStart >= addition.length) {
      return { ...addition, offset: gapStart, length: firstOffset - gapStart }
    }
    const offset = end
    const length = roundUp(addition.length, MiB)
    keptUpTo = Math.min(keptUpTo, offset)
    end += length
    return { ...addition, offset, length }
  })
  const isBehind = placed.some(({ offset }) => offset > firstOffset)
  return { partitions: placed, size: isBehind ? Math.max(diskSize, end + reserve) : diskSize, keptUpTo }
}

function freeNumber(
  taken: ReadonlySet<number>,
  { preferred, limit }: { preferred: number | null; limit: number },
): number {
  if (preferred !== null && !taken.has(preferred)) return preferred
  for (let number = 1; number <= limit; number += 1) if (!taken.has(number)) return number
  throw noRoom(`The partition table has all of its ${limit} partitions already`)
}

export function noRoom(message: string): GuestError {
  return new GuestError('BOOT_NO_ROOM', `${message}.`, {
    hint: 'Make the disk for the other firmware (--firmware), or copy the system onto a disk of another layout.',
  })
}

import { crc32 } from 'node:zlib'
import type { AbortOptions } from '../../core/abort.ts'
import { KiB } from '../../core/bytes.ts'
import type { ByteRange } from '../../transfer/byte-source.ts'
import type { ReadableRange } from '../probe.ts'
import { decodeGptEntry, decodeGptHeader, type GptHeader, gpt, unusedGptType } from './partition-layout.ts'
import type { Partition, ProblemReport } from './partition-table.ts'
import { gptTypeName } from './partition-types.ts'
import { outsideMessage } from './read-mbr.ts'

/** Far above the 128 entries of 128 bytes that every tool writes. */
const maximumEntries = 1024
const maximumEntryBytes = 4 * KiB

export interface GptTable {
  readonly uuid: string
  readonly partitions: Partition[]
  readonly structures: ByteRange[]
}

interface Place extends AbortOptions {
  readonly disk: ReadableRange
  readonly sectorSize: number
  readonly report: ProblemReport
}

/** The sector size for which a GPT header stands in the second sector, or null. */
export async function findGptSectorSize(disk: ReadableRange, options: AbortOptions): Promise<number | null> {
  for (const sectorSize of [512, 4096]) {
    if (disk.size < 2 * sectorSize) continue
    const signature = Buffer.alloc(8)
    await disk.read(signature, sectorSize, options)
    if (signature.toString('latin1') === gpt.signature) return sectorSize
  }
  return null
}

/**
 * The partitions of a GPT, from its primary copy. The backup must be whole and say the same; that it stands in
 * front of the last sector, as on a disk that was enlarged, is only a warning.
 */
export async function readGpt(place: Place): Promise<GptTable> {
  const { disk, sectorSize, report } = place
  const empty: GptTable = { uuid: '', partitions: [], structures: [] }
  if (disk.size < 2 * sectorSize) {
    report.error(
      'PARTITION_GPT_HEADER_INVALID',
      0,
      'The disk is too small for the GPT that its MBR promises.',
    )
    return empty
  }
  const primary = await readCopy({ ...place, sector: 1, copy: 'primary' })
  if (!primary) return empty
  const { header, entries } = primary
  const backup = await readBackup(place, header)
  if (backup) compareCopies(place, primary, backup)
  const partitions = readEntries(place, header, entries)
  const copies = backup ? [primary, backup] : [primary]
  return { uuid: header.diskGuid, partitions, structures: copies.flatMap((copy) => copy.structures) }
}

interface GptCopy {
  readonly header: GptHeader
  readonly entries: Buffer
  readonly structures: ByteRange[]
}

async function readBackup(place: Place, header: GptHeader): Promise<GptCopy | null> {
  const { disk, sectorSize, report } = place
  const lastSector = Math.floor(disk.size / sectorSize) - 1
  const sector = header.alternateSector
  if (sector > lastSector || sector <= 1) {
    report.error(
      'PARTITION_OUTSIDE_DISK',
      sectorSize + 32,
      `The backup GPT should be in sector ${sector} of a disk whose last sector is ${lastSector}.`,
    )
    return null
  }
  if (sector < lastSector) {
    report.warning(
      'PARTITION_GPT_BACKUP_MISPLACED',
      sector * sectorSize,
      `The backup GPT is in sector ${sector}, not in the last sector ${lastSector}: the disk was enlarged.`,
    )
  }
  return await readCopy({ ...place, sector, copy: 'backup' })
}

/** Header and entries of one copy, or null when they cannot be used; what is wrong is reported. */
async function readCopy(place: Place & { sector: number; copy: string }): Promise<GptCopy | null> {
  const { disk, sectorSize, report, sector, copy, signal } = place
  const offset = sector * sectorSize
  const bytes = Buffer.alloc(sectorSize)
  await disk.read(bytes, offset, { signal })
  const header = decodeGptHeader(bytes)
  const invalid = headerFault(header, place)
  if (invalid) {
    report.error('PARTITION_GPT_HEADER_INVALID', offset, `The ${copy} GPT header is not valid: ${invalid}.`)
    return null
  }
  if (header.checksum !== header.computedChecksum) {
    report.error('PARTITION_GPT_CHECKSUM', offset + 16, `The checksum of the ${copy} GPT header is wrong.`)
    return null
  }
  const entries = Buffer.alloc(header.entryCount * header.entryBytes)
  const entriesOffset = header.entriesSector * sectorSize
  await disk.read(entries, entriesOffset, { signal })
  if (crc32(entries) !== header.entriesChecksum) {
    report.error('PARTITION_GPT_CHECKSUM', offset + 88, `The checksum of the ${copy} GPT entries is wrong.`)
    return null
  }
  const structures = [
    { offset, length: sectorSize },
    { offset: entriesOffset, length: entries.length },
  ]
  return { header, entries, structures }
}

/** Why a header cannot be used, in words; checked before anything is allocated by its numbers. */
function headerFault(
  header: GptHeader,
  { disk, sectorSize, sector }: Place & { sector: number },
): string | null {
  if (header.signature !== gpt.signature) return 'its signature is missing'
  if (header.computedChecksum === null) return `its length is ${header.headerBytes}`
  if (header.ownSector !== sector) return `it stands in sector ${sector} and names sector ${header.ownSector}`
  const { entryCount, entryBytes } = header
  if (entryCount === 0 || entryCount > maximumEntries) return `it has ${entryCount} entries`
  const isMultiple = entryBytes % gpt.minimumEntryBytes === 0
  if (entryBytes === 0 || entryBytes > maximumEntryBytes || !isMultiple) {
    return `its entries have ${entryBytes} bytes`
  }
  const entriesEnd = header.entriesSector * sectorSize + entryCount * entryBytes
  if (header.entriesSector < 2 || entriesEnd > disk.size) return 'its entries are outside the disk'
  if (header.firstUsableSector > header.lastUsableSector) return 'its usable area has no sectors'
  if ((header.lastUsableSector + 1) * sectorSize > disk.size) return 'its usable area leaves the disk'
  const usableStart = header.firstUsableSector * sectorSize
  const usableEnd = (header.lastUsableSector + 1) * sectorSize
  if (header.entriesSector * sectorSize < usableEnd && entriesEnd > usableStart) {
    return 'its entries stand in the usable area'
  }
  if (sector >= header.firstUsableSector && sector <= header.lastUsableSector) {
    return 'it stands in its own usable area'
  }
  return null
}

const sharedFields = [
  'firstUsableSector',
  'lastUsableSector',
  'diskGuid',
  'entryCount',
  'entryBytes',
  'entriesChecksum',
] as const

function compareCopies({ report, sectorSize }: Place, primary: GptCopy, backup: GptCopy): void {
  const offset = primary.header.alternateSector * sectorSize
  const different: string[] = sharedFields.filter((field) => primary.header[field] !== backup.header[field])
  if (backup.header.alternateSector !== 1) different.push('alternateSector')
  if (different.length === 0) return
  report.error(
    'PARTITION_GPT_COPIES_DIFFER',
    offset,
    `The two copies of the GPT differ in ${different.join(', ')}.`,
  )
}

function readEntries({ disk, sectorSize, report }: Place, header: GptHeader, entries: Buffer): Partition[] {
  const partitions: Partition[] = []
  for (let index = 0; index < header.entryCount; index += 1) {
    const start = index * header.entryBytes
    const entry = decodeGptEntry(entries.subarray(start, start + header.entryBytes))
    if (entry.type === unusedGptType) continue
    const number = index + 1
    const entryOffset = header.entriesSector * sectorSize + start
    const { firstSector, lastSector, ...attributes } = entry
    if ((lastSector + 1) * sectorSize > disk.size || firstSector * sectorSize >= disk.size) {
      const end = (Math.max(firstSector, lastSector) + 1) * sectorSize
      report.error('PARTITION_OUTSIDE_DISK', entryOffset, outsideMessage(number, end, disk.size))
    } else if (lastSector < firstSector) {
      report.error('PARTITION_ENTRY_INVALID', entryOffset, `Partition ${number} ends before it starts.`)
    } else if (firstSector < header.firstUsableSector || lastSector > header.lastUsableSector) {
      report.error(
        'PARTITION_OVERLAP',
        entryOffset,
        `Partition ${number} leaves the area that the GPT leaves to partitions.`,
      )
    } else {
      const offset = firstSector * sectorSize
      const length = (lastSector + 1 - firstSector) * sectorSize
      partitions.push({ number, offset, length, typeName: gptTypeName(entry.type), ...attributes })
    }
  }
  return partitions
}

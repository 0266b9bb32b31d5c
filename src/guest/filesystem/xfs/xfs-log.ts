import type { AbortOptions } from '../../../core/abort.ts'
import type { Disk } from '../../../disk/disk.ts'
import type { XfsGeometry } from './geometry.ts'
import type { StaleRanges } from './stale-ranges.ts'

/** The log counts in sectors of 512 bytes, whatever the disk has. */
const sector = 512
const recordMagic = 0xfeedbabe
const chunkSectors = 2048
const maximumRecord = 256 * 1024

/** "Log Record Structure": big-endian. */
const field = { length: 12, place: 16, tail: 24, operations: 40, size: 320 } as const
/** Of the only operation of the record that unmounting leaves: its flags, and the one that says so. */
const unmountFlags = 9
const unmountFlag = 0x20

interface LogRecord {
  readonly cycle: number
  /** In sectors from the start of the log. */
  readonly block: number
  readonly tail: number
  /** Sectors, header included. */
  readonly sectors: number
  readonly operations: number
  readonly headerSectors: number
}

/** Whether the file system was unmounted, so that nothing in its log has to be replayed. */
export async function isLogClean(disk: Disk, geometry: XfsGeometry, options: AbortOptions): Promise<boolean> {
  return (await findUnmount(disk, geometry, options)) !== null
}

/**
 * Zeros the past of a clean log: everything but the last record and what it needs, and in every sector the counter by which the
 * log's end is found. A log with something to replay is left alone.
 */
export async function addStaleLog(
  disk: Disk,
  geometry: XfsGeometry,
  stale: StaleRanges,
  options: AbortOptions,
): Promise<void> {
  const last = await findUnmount(disk, geometry, options)
  if (!last) return
  const { log } = geometry
  const total = log.length / sector
  const head = last.block + last.sectors
  /** Where the kept part may begin before the log's start, and the end of it behind its end. */
  const keptLength = (head - last.tail + total) % total || last.sectors
  for await (const { block, bytes } of eachSector(disk, geometry, options)) {
    const behindTail = (block - last.tail + total) % total
    if (behindTail < keptLength) continue
    const isHeader = bytes.readUInt32BE(0) === recordMagic
    const offset = log.offset + block * sector
    // A header has the counter behind its magic number.
    if (isHeader) stale.word(offset, bytes.subarray(4, 8))
    if (bytes.subarray(4).some((byte) => byte !== 0)) stale.zero(offset + 4, sector - 4)
  }
}

/** The record of the unmounting, when it is the last one. */
async function findUnmount(
  disk: Disk,
  geometry: XfsGeometry,
  options: AbortOptions,
): Promise<LogRecord | null> {
  let last: LogRecord | null = null
  for await (const { block, bytes } of eachSector(disk, geometry, options)) {
    if (bytes.readUInt32BE(0) !== recordMagic) continue
    const record = parseRecord(bytes)
    // A copy of a record in a file's data that was logged stands at another place.
    if (record.block !== block || record.sectors * sector > maximumRecord + 64 * 1024) continue
    const isLater =
      last === null || record.cycle > last.cycle || (record.cycle === last.cycle && record.block > last.block)
    if (isLater) last = record
  }
  if (last?.operations !== 1) return null
  const { log } = geometry
  const place = (last.block + last.headerSectors) % (log.length / sector)
  const operation = Buffer.alloc(sector)
  await disk.read(operation, log.offset + place * sector, options)
  return (operation.readUInt8(unmountFlags) & unmountFlag) !== 0 ? last : null
}

function parseRecord(bytes: Buffer): LogRecord {
  const size = bytes.readUInt32BE(field.size)
  // Records above 32 KiB have a header in several sectors.
  const headerSectors = size > 32768 && size <= maximumRecord ? Math.ceil(size / 32768) : 1
  return {
    cycle: bytes.readUInt32BE(field.place),
    block: bytes.readUInt32BE(field.place + 4),
    tail: bytes.readUInt32BE(field.tail + 4),
    sectors: headerSectors + Math.ceil(bytes.readUInt32BE(field.length) / sector),
    operations: bytes.readUInt32BE(field.operations),
    headerSectors,
  }
}

/** Every sector of the log that is not all zeros. */
async function* eachSector(
  disk: Disk,
  { log }: XfsGeometry,
  options: AbortOptions,
): AsyncGenerator<{ block: number; bytes: Buffer }, void, undefined> {
  const chunk = Buffer.alloc(chunkSectors * sector)
  const zeros = Buffer.alloc(sector)
  for (let done = 0; done < log.length; done += chunk.length) {
    const part = chunk.subarray(0, Math.min(chunk.length, log.length - done))
    await disk.read(part, log.offset + done, options)
    for (let at = 0; at < part.length; at += sector) {
      const bytes = part.subarray(at, at + sector)
      if (!bytes.equals(zeros)) yield { block: (done + at) / sector, bytes }
    }
  }
}

import { roundUp } from '../../core/bytes.ts'
import type { Patch } from './patched-source.ts'
import { fieldReader, isIntact } from './vhdx-fields.ts'
import { log, logDescriptorFields, logEntryFields, logSectorFields } from './vhdx-layout.ts'

/** An entry of the log that is complete and unharmed. */
export interface LogEntry {
  /** Bytes from the start of the log. */
  readonly position: number
  readonly length: number
  readonly sequenceNumber: bigint
  /** Position of the oldest entry that has to be replayed together with this one. */
  readonly tail: number
  /** Bytes the file had, safely stored, when the entry was written. */
  readonly flushedFileOffset: number
  /** Bytes the file needs to have. */
  readonly lastFileOffset: number
  readonly descriptors: number
  /** What it changes in the file, in the order of its descriptors. */
  patches(): Patch[]
}

/**
 * What is at `position` of a log (2.3.1): an entry, or one of which some sectors are still what they were before, as a
 * program leaves it that is stopped while it writes, or one that is damaged; null where none begins, or one of an older log.
 * `bytes` is the log twice over, so that an entry that runs on at the log's start is in one piece. `beforeChecksum` is told
 * over how many bytes one is about to be computed.
 */
export function parseLogEntry(
  bytes: Buffer,
  position: number,
  { logGuid, beforeChecksum }: { logGuid: string; beforeChecksum: (length: number) => void },
): LogEntry | 'unfinished' | 'damaged' | null {
  const logLength = bytes.length / 2
  const fields = fieldReader(bytes, position)
  if (!hasSignature(bytes, position, log.entrySignature)) return null
  if (fields.guid(logEntryFields.logGuid) !== logGuid) return null
  const length = fields.number(logEntryFields.entryLength)
  const tail = fields.number(logEntryFields.tail)
  const sequenceNumber = fields.exact(logEntryFields.sequenceNumber)
  const descriptors = fields.number(logEntryFields.descriptorCount)
  const flushedFileOffset = fields.number(logEntryFields.flushedFileOffset)
  const lastFileOffset = fields.number(logEntryFields.lastFileOffset)
  const isPossible =
    length % log.sectorBytes === 0 &&
    length <= logLength &&
    descriptorEnd(descriptors) <= length &&
    tail % log.sectorBytes === 0 &&
    tail < logLength &&
    sequenceNumber > 0n &&
    Number.isSafeInteger(lastFileOffset)
  if (!isPossible) return 'damaged'
  beforeChecksum(length)
  const entry = bytes.subarray(position, position + length)
  const parts = { descriptors, sequenceNumber }
  let isComplete = true
  for (const found of changesOf(entry, parts)) {
    if (found === 'damaged') return 'damaged'
    if (found === 'unfinished') isComplete = false
  }
  if (!isComplete) return 'unfinished'
  if (!isIntact(entry, log.entrySignature)) return 'damaged'
  return {
    position,
    length,
    sequenceNumber,
    tail,
    flushedFileOffset,
    lastFileOffset,
    descriptors,
    patches: () => [...changesOf(entry, parts)].filter((change) => typeof change !== 'string'),
  }
}

/** What every descriptor asks for; `unfinished` where its data sector is none of this entry. */
function* changesOf(
  entry: Buffer,
  { descriptors, sequenceNumber }: { descriptors: number; sequenceNumber: bigint },
): Generator<Patch | 'unfinished' | 'damaged', void, undefined> {
  let sector = descriptorEnd(descriptors)
  for (let index = 0; index < descriptors; index += 1) {
    const at = log.firstDescriptor + index * log.descriptorBytes
    const fields = fieldReader(entry, at)
    const start = fields.number(logDescriptorFields.fileOffset)
    const isZero = hasSignature(entry, at, log.zeroSignature)
    const length = isZero ? fields.number(logDescriptorFields.zeroLength) : log.sectorBytes
    const end = start + length
    const isValid =
      (isZero || hasSignature(entry, at, log.dataSignature)) &&
      fields.exact(logDescriptorFields.sequenceNumber) === sequenceNumber &&
      Number.isSafeInteger(end) &&
      start % log.sectorBytes === 0 &&
      length % log.sectorBytes === 0
    if (!isValid) {
      yield 'damaged'
    } else if (!isZero) {
      const data = entry.subarray(sector, sector + log.sectorBytes)
      sector += log.sectorBytes
      if (data.length < log.sectorBytes) yield 'damaged'
      else if (!isDataSector(data, sequenceNumber)) yield 'unfinished'
      else yield { start, end, bytes: restored(data, entry.subarray(at)) }
    } else if (length > 0) {
      yield { start, end, bytes: null }
    }
  }
}

function descriptorEnd(descriptors: number): number {
  return roundUp(log.firstDescriptor + descriptors * log.descriptorBytes, log.sectorBytes)
}

function isDataSector(data: Buffer, sequenceNumber: bigint): boolean {
  if (!hasSignature(data, 0, log.sectorSignature)) return false
  const { number } = fieldReader(data)
  const high = BigInt(number(logSectorFields.sequenceHigh))
  return (high << 32n) + BigInt(number(logSectorFields.sequenceLow)) === sequenceNumber
}

/** The sector as it belongs into the file: its first 8 and last 4 bytes are kept by the descriptor. */
function restored(data: Buffer, descriptor: Buffer): Buffer {
  const { leadingBytes, trailingBytes } = logDescriptorFields
  const sector = Buffer.from(data)
  descriptor.copy(sector, 0, leadingBytes.offset, leadingBytes.offset + leadingBytes.size)
  descriptor.copy(sector, sector.length - 4, trailingBytes.offset, trailingBytes.offset + trailingBytes.size)
  return sector
}

function hasSignature(bytes: Buffer, at: number, signature: string): boolean {
  return bytes.toString('latin1', at, at + signature.length) === signature
}

import { MiB, roundUp } from '../../src/core/bytes.ts'
import { encodeGuid } from '../../src/disk/guid.ts'
import { seal } from '../../src/disk/vhdx/vhdx-fields.ts'
import { header, headerFields, log, logEntryFields } from '../../src/disk/vhdx/vhdx-layout.ts'
import { places, resealVhdx, type VhdxSketch } from './vhdx-sketch.ts'

/** A change that an entry of the log makes: a sector of 4 KiB, or so many bytes of zeros. */
export interface LogChange {
  readonly at: number
  readonly write: Buffer | number
}

export interface LogEntrySketch {
  readonly changes: readonly LogChange[]
  /** Number of the entry of the list that is the tail; the first by default. */
  readonly tail?: number
  readonly flushedFileOffset?: number
  readonly lastFileOffset?: number
}

export interface LogSketchOptions {
  /** Where in the log the first entry begins; the log goes on at its start. */
  readonly start?: number
  readonly firstSequenceNumber?: bigint
  /** Whether the headers say that there is something to be replayed. */
  readonly isActive?: boolean
}

export const logGuid = '6d0d2b50-4f4e-4f7e-8f9a-3a8f1a1c7b21'

/** Writes entries into the log of 1 MiB; gives where each begins in the log. */
export function writeLog(
  { bytes }: VhdxSketch,
  entries: readonly LogEntrySketch[],
  { start = 0, firstSequenceNumber = 100n, isActive = true }: LogSketchOptions = {},
): number[] {
  const starts: number[] = []
  let at = start
  for (const { changes } of entries) {
    starts.push(at % MiB)
    at += entryLength(changes)
  }
  entries.forEach((entry, index) => {
    const encoded = encodeEntry(entry, {
      sequenceNumber: firstSequenceNumber + BigInt(index),
      tail: starts[entry.tail ?? 0] ?? 0,
      fileSize: bytes.length,
    })
    const from = starts[index] ?? 0
    const fits = Math.min(encoded.length, MiB - from)
    encoded.copy(bytes, places.log + from, 0, fits)
    encoded.copy(bytes, places.log, fits)
  })
  if (isActive) {
    for (const offset of header.offsets) encodeGuid(logGuid).copy(bytes, offset + headerFields.logGuid.offset)
    for (const offset of header.offsets) seal(bytes.subarray(offset, offset + header.bytes))
  }
  return starts
}

/** A sector of the file with a change in it. */
export function sectorWith({ bytes }: VhdxSketch, at: number, change: (sector: Buffer) => void): LogChange {
  const start = at - (at % log.sectorBytes)
  const sector = Buffer.alloc(log.sectorBytes)
  bytes.copy(sector, 0, start)
  change(sector)
  return { at: start, write: sector }
}

/** Spoils the log after it was written, and makes the checksums of its entries right again. */
export function changeLog({ bytes }: VhdxSketch, change: (log: Buffer) => void): void {
  change(bytes.subarray(places.log, places.log + MiB))
  resealVhdx(bytes)
}

function entryLength(changes: readonly LogChange[]): number {
  const sectors = changes.filter(({ write }) => typeof write !== 'number').length
  return descriptorBytes(changes.length) + sectors * log.sectorBytes
}

function descriptorBytes(count: number): number {
  return roundUp(log.firstDescriptor + count * log.descriptorBytes, log.sectorBytes)
}

function encodeEntry(
  { changes, flushedFileOffset, lastFileOffset }: LogEntrySketch,
  { sequenceNumber, tail, fileSize }: { sequenceNumber: bigint; tail: number; fileSize: number },
): Buffer {
  const entry = Buffer.alloc(entryLength(changes))
  entry.write(log.entrySignature, 0, 'latin1')
  entry.writeUInt32LE(entry.length, logEntryFields.entryLength.offset)
  entry.writeUInt32LE(tail, logEntryFields.tail.offset)
  entry.writeBigUInt64LE(sequenceNumber, logEntryFields.sequenceNumber.offset)
  entry.writeUInt32LE(changes.length, logEntryFields.descriptorCount.offset)
  encodeGuid(logGuid).copy(entry, logEntryFields.logGuid.offset)
  entry.writeBigUInt64LE(BigInt(flushedFileOffset ?? fileSize), logEntryFields.flushedFileOffset.offset)
  entry.writeBigUInt64LE(BigInt(lastFileOffset ?? fileSize), logEntryFields.lastFileOffset.offset)
  let sector = descriptorBytes(changes.length)
  changes.forEach(({ at, write }, index) => {
    const descriptor = log.firstDescriptor + index * log.descriptorBytes
    entry.writeBigUInt64LE(BigInt(at), descriptor + 16)
    entry.writeBigUInt64LE(sequenceNumber, descriptor + 24)
    if (typeof write === 'number') {
      entry.write(log.zeroSignature, descriptor, 'latin1')
      entry.writeBigUInt64LE(BigInt(write), descriptor + 8)
      return
    }
    entry.write(log.dataSignature, descriptor, 'latin1')
    write.copy(entry, descriptor + 4, 4092)
    write.copy(entry, descriptor + 8, 0, 8)
    write.copy(entry, sector)
    entry.write(log.sectorSignature, sector, 'latin1')
    entry.writeUInt32LE(Number(sequenceNumber >> 32n), sector + 4)
    entry.writeUInt32LE(Number(sequenceNumber & 0xffff_ffffn), sector + 4092)
    sector += log.sectorBytes
  })
  seal(entry)
  return entry
}

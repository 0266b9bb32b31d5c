import { GiB, KiB, MiB } from '../../src/core/bytes.ts'
import { encodeGuid } from '../../src/disk/guid.ts'
import {
  log,
  logEntryFields,
  logSectorFields,
  parentLocatorId,
  type VhdxField,
} from '../../src/disk/vhdx/vhdx-layout.ts'
import { accepted, type HostileImage, refused } from './hostile-image.ts'
import { spoiltVhdx } from './hostile-vhdx.ts'
import {
  changeLog,
  type LogEntrySketch,
  type LogSketchOptions,
  sectorWith,
  writeLog,
} from './vhdx-log-sketch.ts'
import { places, present, regionPlace, setBatEntry, setHeaderField, type VhdxSketch } from './vhdx-sketch.ts'

const dirty = { code: 'IMAGE_MARKED_DIRTY' } as const
const size = 8 * KiB

/** A log that puts the first block where it belongs, in an image that has it elsewhere. */
function replacing(sketch: VhdxSketch): LogEntrySketch {
  const at = regionPlace(sketch, 'bat')
  const entry = sketch.bytes.readBigUInt64LE(at)
  setBatEntry(sketch, 0, present, 0)
  return { changes: [sectorWith(sketch, at, (sector) => sector.writeBigUInt64LE(entry))] }
}

/** An image that is right once its log is replayed, and then changed. */
function withLog(
  change: (sketch: VhdxSketch) => void = () => undefined,
  options: LogSketchOptions = {},
): () => Buffer {
  return spoiltVhdx(
    (sketch) => {
      writeLog(sketch, [replacing(sketch)], options)
      change(sketch)
    },
    { size },
  )
}

/** The same with other entries. */
function withEntries(
  entries: (sketch: VhdxSketch, right: LogEntrySketch) => LogEntrySketch[],
  options: LogSketchOptions = {},
): () => Buffer {
  return spoiltVhdx(
    (sketch) => {
      const right = replacing(sketch)
      writeLog(sketch, entries(sketch, right), options)
    },
    { size },
  )
}

/** The one entry of the log, changed, with the right checksum. */
function entryField({ offset }: VhdxField, value: number): () => Buffer {
  return withLog((sketch) => changeLog(sketch, (bytes) => bytes.writeUInt32LE(value, offset)))
}

function logBytes(change: (bytes: Buffer) => void): () => Buffer {
  return withLog((sketch) => changeLog(sketch, change))
}

/** An image that is right without its log, which has one entry with one sector and is then changed. */
function unfinished(change: (bytes: Buffer) => void): () => Buffer {
  return spoiltVhdx(
    (sketch) => {
      const { items } = sketch
      writeLog(sketch, [{ changes: [sectorWith(sketch, items.virtualDiskSize, (sector) => sector.fill(0))] }])
      changeLog(sketch, change)
    },
    { size },
  )
}

const nothing: LogEntrySketch = { changes: [] }
/** Of a descriptor in an entry, and of the data sector of the first. */
const [descriptor, dataSector] = [log.firstDescriptor, log.sectorBytes]

/** Logs that must be replayed before anything else is read, and logs that cannot be. */
export const hostileVhdxLogs: readonly HostileImage[] = [
  accepted('VHDX with a log to be replayed', withLog(), dirty),
  accepted('VHDX with a log that runs on at its start', withLog(undefined, { start: MiB - 4 * KiB }), dirty),
  accepted(
    'VHDX with a log in which the last change of a sector counts',
    withEntries((sketch, right) => [
      { changes: [{ at: regionPlace(sketch, 'bat'), write: MiB }] },
      { changes: [sectorWith(sketch, regionPlace(sketch, 'bat'), (sector) => sector.fill(0xff))] },
      right,
    ]),
    dirty,
  ),
  refused(
    'VHDX with a log in which the last change of a sector is wrong',
    'IMAGE_ENTRY_INVALID',
    withEntries((sketch, right) => [
      right,
      { changes: [sectorWith(sketch, regionPlace(sketch, 'bat'), (sector) => sector.fill(0xff))] },
    ]),
  ),
  accepted(
    'VHDX with a log of which the older part has been done',
    withEntries((sketch, right) => [
      { changes: [sectorWith(sketch, regionPlace(sketch, 'metadata'), (sector) => sector.fill(0xff))] },
      { ...right, tail: 1 },
    ]),
    dirty,
  ),
  accepted(
    'VHDX with a log of which a newer part was begun and not finished',
    withEntries((sketch, right) => [
      right,
      { changes: [sectorWith(sketch, places.regionTables[0], (sector) => sector.fill(0xff))] },
    ]),
    dirty,
  ),
  accepted(
    'VHDX with a log behind an older one that is complete',
    spoiltVhdx(
      (sketch) => {
        const right = replacing(sketch)
        const wrong = { changes: [{ at: regionPlace(sketch, 'metadata'), write: MiB }] }
        writeLog(sketch, [wrong], { start: 64 * KiB, firstSequenceNumber: 50n })
        writeLog(sketch, [right], { start: 128 * KiB, firstSequenceNumber: 60n })
      },
      { size },
    ),
    dirty,
  ),
  accepted(
    'VHDX with the remains of a log that was replayed',
    withLog((sketch) => {
      setHeaderField(sketch, 'logVersion', 0n)
      for (const offset of places.headers) sketch.bytes.fill(0, offset + 48, offset + 64)
      setHeaderField(sketch, 'logVersion', 0n)
      setBatEntry(sketch, 0, 0n)
    }),
  ),
  accepted(
    'VHDX with a log without a change',
    withEntries((_, right) => [right, nothing]),
    dirty,
  ),
  accepted(
    'VHDX with a log that makes its file longer',
    spoiltVhdx(
      (sketch) => {
        setBatEntry(sketch, 0, present, 8 * MiB)
        writeLog(sketch, [{ changes: [], lastFileOffset: 9 * MiB }])
      },
      { size },
    ),
    dirty,
  ),

  accepted(
    'VHDX with a log that was announced and not begun',
    unfinished((bytes) => bytes.fill(0)),
    dirty,
  ),
  accepted(
    'VHDX with a log that was announced over an older one',
    unfinished((bytes) => bytes.fill(1, 32, 48)),
    dirty,
  ),
  accepted(
    'VHDX with a log whose first entry was begun and not finished',
    unfinished((bytes) => bytes.fill(0, dataSector, dataSector + log.sectorBytes)),
    dirty,
  ),
  accepted(
    'VHDX with a log whose first entry was begun over an older one',
    unfinished((bytes) => bytes.writeUInt8(7, dataSector + logSectorFields.sequenceLow.offset)),
    dirty,
  ),
  refused(
    'VHDX with a log that was announced, and a BAT that needs it',
    'IMAGE_OVERLAP',
    withLog((sketch) => sketch.bytes.fill(0, MiB, 2 * MiB)),
  ),
  refused(
    'VHDX with a log of 0 bytes that is said to have something in it',
    'IMAGE_HEADER_INVALID',
    withLog((sketch) => {
      setHeaderField(sketch, 'logOffset', 2n ** 63n)
      setHeaderField(sketch, 'logLength', 0n)
    }),
  ),
  refused(
    'VHDX with a log of a wrong checksum',
    'IMAGE_LOG_DAMAGED',
    withLog(({ bytes }) => bytes.writeUInt8(0xee, MiB + 5000)),
  ),
  refused(
    'VHDX with a log of an unknown version',
    'IMAGE_UNKNOWN_FEATURE',
    withLog((sketch) => setHeaderField(sketch, 'logVersion', 1n)),
  ),
  refused(
    'VHDX with a log whose last entry names a tail that is not there',
    'IMAGE_LOG_DAMAGED',
    entryField(logEntryFields.tail, 64 * KiB),
  ),
  refused('VHDX with a log entry of 0 bytes', 'IMAGE_LOG_DAMAGED', entryField(logEntryFields.entryLength, 0)),
  refused(
    'VHDX with a log entry shorter than its descriptors',
    'IMAGE_LOG_DAMAGED',
    entryField(logEntryFields.descriptorCount, 2 ** 32 - 1),
  ),
  refused(
    'VHDX with a log entry longer than the log',
    'IMAGE_LOG_DAMAGED',
    entryField(logEntryFields.entryLength, MiB + 4096),
  ),
  refused(
    'VHDX with a log entry without a number',
    'IMAGE_LOG_DAMAGED',
    logBytes((bytes) => {
      bytes.writeBigUInt64LE(0n, logEntryFields.sequenceNumber.offset)
      bytes.writeBigUInt64LE(0n, descriptor + 24)
      bytes.writeUInt32LE(0, dataSector + logSectorFields.sequenceLow.offset)
    }),
  ),
  refused(
    'VHDX with a log descriptor of an unknown kind',
    'IMAGE_LOG_DAMAGED',
    logBytes((bytes) => bytes.write('DESC', descriptor)),
  ),
  refused(
    'VHDX with a log descriptor of another entry',
    'IMAGE_LOG_DAMAGED',
    logBytes((bytes) => bytes.writeUInt8(7, descriptor + 24)),
  ),
  refused(
    'VHDX with a log descriptor for half a sector',
    'IMAGE_LOG_DAMAGED',
    logBytes((bytes) => bytes.writeBigUInt64LE(2048n, descriptor + 16)),
  ),
  refused(
    'VHDX with a log descriptor at 2^63',
    'IMAGE_LOG_DAMAGED',
    logBytes((bytes) => bytes.writeBigUInt64LE(2n ** 63n, descriptor + 16)),
  ),
  refused(
    'VHDX that is shorter than it was when its log was written',
    'IMAGE_TRUNCATED',
    withEntries(({ bytes }, right) => [{ ...right, flushedFileOffset: bytes.length + 1 }]),
  ),
  refused(
    'VHDX with a log that makes its file far too long',
    'IMAGE_TABLES_LIMIT',
    withEntries((_, right) => [{ ...right, lastFileOffset: 2 ** 22 * GiB }]),
  ),
  refused(
    'VHDX with a log of zeros over everything',
    'IMAGE_CHECKSUM_WRONG',
    withEntries((_, right) => [{ changes: [...right.changes, { at: 0, write: 2 ** 20 * MiB }] }]),
  ),
  refused(
    'VHDX with a log that brings a parent',
    'IMAGE_BACKING_FILE',
    withEntries((sketch, right) => [
      right,
      {
        changes: [
          sectorWith(sketch, sketch.itemEntries.fileParameters, (sector) => {
            sector.writeUInt16LE(6, 10)
            encodeGuid(parentLocatorId).copy(sector, 32 + 5 * 32)
          }),
        ],
      },
    ]),
  ),
  refused(
    'VHDX with a log too large to be replayed',
    'IMAGE_TABLES_LIMIT',
    spoiltVhdx((sketch) => writeLog(sketch, [nothing]), { size, logMebibytes: 9 }),
  ),
  accepted(
    'VHDX with a log as large as can be',
    spoiltVhdx((sketch) => writeLog(sketch, [nothing]), { size, logMebibytes: 8 }),
    dirty,
  ),
  refused(
    'VHDX with a log of entries that overlap, so that checking them takes long',
    'IMAGE_LOG_DAMAGED',
    withLog(({ bytes }) => {
      const start = Buffer.from(bytes.subarray(MiB, MiB + 64))
      start.writeUInt32LE(MiB, logEntryFields.entryLength.offset)
      start.writeUInt32LE(0, logEntryFields.descriptorCount.offset)
      for (let at = MiB; at < 2 * MiB; at += log.sectorBytes) start.copy(bytes, at)
    }),
  ),
]

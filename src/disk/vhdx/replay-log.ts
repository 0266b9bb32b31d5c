import { type AbortOptions, throwIfCancelled } from '../../core/abort.ts'
import { formatSize, MiB } from '../../core/bytes.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { DiskError } from '../errors.ts'
import { type LogEntry, parseLogEntry } from './log-entry.ts'
import { patchedSource } from './patched-source.ts'
import type { VhdxHeader } from './vhdx-header.ts'
import { log as logLayout } from './vhdx-layout.ts'

/** Hyper-V and QEMU make logs of 1 MiB. */
const maximumLogBytes = 8 * MiB
/** Far more than a log of 1 MiB has room for, and laying them over each other takes its time. */
const maximumDescriptors = 32_768

/**
 * The image as it is after the changes in its log have been made, as a program that was stopped would have made them next:
 * changes of the tables, mostly. Nothing is written: they are laid over the source. An image without such, the usual case,
 * is given as it is. Memory is that of the changes, and twice the log for a moment: 24 MiB at most.
 *
 * @throws DiskError `IMAGE_LOG_DAMAGED` for a log that cannot be replayed, `IMAGE_TRUNCATED` for a file that is shorter than
 *   it was when the log was written, `IMAGE_TABLES_LIMIT` for a log that is too large
 */
export async function replayLog(
  source: RandomAccessSource,
  { logGuid, logOffset, logLength }: VhdxHeader,
  { signal }: AbortOptions = {},
): Promise<RandomAccessSource> {
  if (logGuid === null) return source
  const refuse = (code: 'IMAGE_LOG_DAMAGED' | 'IMAGE_TRUNCATED' | 'IMAGE_TABLES_LIMIT', problem: string) =>
    new DiskError(code, `${source.name} was not closed, and its log ${problem}.`, {
      hint: 'Let the program that used the image last open and close it, or run "qemu-img check -r all -f vhdx" on a copy.',
      details: { offset: logOffset },
    })

  if (logLength > maximumLogBytes) throw refuse('IMAGE_TABLES_LIMIT', `has ${formatSize(logLength)}`)
  const log = Buffer.alloc(2 * logLength)
  await source.read(log.subarray(0, logLength), logOffset, { signal })
  log.copy(log, logLength, 0, logLength)
  // Forged entries may overlap and each claim all of the log; honest ones, and what is left of older ones, do not.
  let budget = 4 * logLength
  const entries = activeSequence(log, logGuid, (length) => {
    throwIfCancelled(signal)
    budget -= length
    if (budget < 0) throw refuse('IMAGE_LOG_DAMAGED', 'has entries that overlap')
  })
  if (entries === null) throw refuse('IMAGE_LOG_DAMAGED', 'is damaged')
  const latest = entries.at(-1)
  if (!latest) return source
  if (source.size < latest.flushedFileOffset) {
    throw refuse('IMAGE_TRUNCATED', `says that the file had ${latest.flushedFileOffset} bytes`)
  }
  const descriptors = entries.reduce((sum, entry) => sum + entry.descriptors, 0)
  if (descriptors > maximumDescriptors) {
    throw refuse('IMAGE_TABLES_LIMIT', `has ${descriptors} changes to be made`)
  }
  const patches = entries.flatMap((entry) => entry.patches())
  return patchedSource(source, { patches, size: Math.max(source.size, latest.lastFileOffset) })
}

/**
 * Finds the entries to be replayed, oldest first (2.3.2, 2.3.3). A sequence is a run of valid entries with rising numbers,
 * one directly behind the other, at the log's end going on at its start. It counts when its last entry, the head, names one
 * of its own as the tail; of several, the one with the highest number does. What is replayed is tail to head.
 *
 * No entry begins inside a valid one: what stands there are descriptors and data sectors, which have other signatures. So
 * the search goes on behind a sequence, whether that counts or not, and takes time in proportion to the log.
 *
 * Empty when the log was announced in the header and no entry of it was ever finished: QEMU announces a log before it
 * writes the first one, and changes nothing in its place before that is on stable storage. Null for a log that is damaged.
 */
function activeSequence(
  log: Buffer,
  logGuid: string,
  beforeChecksum: (length: number) => void,
): LogEntry[] | null {
  const logLength = log.length / 2
  const known = new Map<number, ReturnType<typeof parseLogEntry>>()
  let isBegun = false
  const entryAt = (position: number): LogEntry | null => {
    const found = known.get(position) ?? parseLogEntry(log, position, { logGuid, beforeChecksum })
    known.set(position, found)
    if (found !== null && found !== 'unfinished') isBegun = true
    return typeof found === 'string' ? null : found
  }

  let active: LogEntry[] = []
  for (let position = 0; position < logLength; ) {
    const sequence: LogEntry[] = []
    let head = position
    for (let entry = entryAt(position); entry; entry = entryAt(head % logLength)) {
      const last = sequence.at(-1)
      if (last && entry.sequenceNumber !== last.sequenceNumber + 1n) break
      sequence.push(entry)
      head += entry.length
    }
    position = Math.max(head, position + logLayout.sectorBytes)
    const latest = sequence.at(-1)
    const tail = sequence.findIndex((entry) => entry.position === latest?.tail)
    const highest = active.at(-1)?.sequenceNumber ?? 0n
    if (latest && tail >= 0 && latest.sequenceNumber > highest) active = sequence.slice(tail)
  }
  return isBegun && active.length === 0 ? null : active
}

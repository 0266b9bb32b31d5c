import type { AbortOptions } from '../core/abort.ts'
import { KiB } from '../core/bytes.ts'
import { type FormatMatch, findSignatures, mayHoldBootRecord, type RecognisedFormat } from './signatures.ts'

/** What the bytes of a file look like. Nothing here is trusted: `checkImage` decides what may be handled. */
export interface Probe {
  /** The one format the content has; `raw` when it has no signature, `null` when several formats claim it. */
  readonly format: RecognisedFormat | null
  /** Every signature found, in no order of preference. */
  readonly matches: readonly FormatMatch[]
  /** The partition table whose signature stands at its place for a raw disk. */
  readonly bootRecord: 'gpt' | 'mbr' | null
}

/** Anything whose ranges can be read: a file, an HTTP server, the guest's view of an image. */
export interface ReadableRange {
  readonly size: number
  read(target: Uint8Array, position: number, options?: AbortOptions): Promise<unknown>
}

/** The last of the signatures, of ISO 9660, is at 36 KiB; a VMDK descriptor may follow long comments. */
const headBytes = 64 * KiB
/** A VHD footer takes the last sector, the footer of a VMDK stream the last three. */
const tailBytes = 1536

/** Recognises the format of an image by content alone, never by its name; reads the first 64 KiB and the last 1.5 KiB. */
export async function probeFormat(source: ReadableRange, options: AbortOptions = {}): Promise<Probe> {
  const head = Buffer.alloc(Math.min(headBytes, source.size))
  const tail = Buffer.alloc(Math.min(tailBytes, source.size))
  if (head.length > 0) await source.read(head, 0, options)
  if (tail.length > 0) await source.read(tail, source.size - tail.length, options)
  return probeBytes({ head, tail, size: source.size })
}

/** The same from bytes in memory: `head` from offset 0, `tail` up to `size`. */
export function probeBytes(bytes: { head: Buffer; tail: Buffer; size: number }): Probe {
  const matches = findSignatures(bytes)
  const bootRecord = findBootRecord(bytes.head)
  const formats = [...new Set(matches.map((match) => match.format))]
  const [only = 'raw'] = formats
  const conflicting = formats.length > 1 || (bootRecord !== null && !matches.every(mayHoldBootRecord))
  return { format: conflicting ? null : only, matches, bootRecord }
}

function findBootRecord(head: Buffer): Probe['bootRecord'] {
  for (const sectorSize of [512, 4096]) {
    if (head.toString('latin1', sectorSize, sectorSize + 8) === 'EFI PART') return 'gpt'
  }
  const signed = head.length >= 512 && head.readUInt16LE(510) === 0xaa55
  return signed && !isFileSystemBootSector(head) ? 'mbr' : null
}

/**
 * A file system without a partition table starts with a sector that is signed like an MBR: FAT (two copies of the
 * table, media F8), NTFS, exFAT.
 */
export function isFileSystemBootSector(sector: Buffer): boolean {
  const isFat = sector[16] === 2 && sector[21] === 0xf8
  const name = sector.toString('latin1', 3, 11)
  return isFat || name === 'NTFS    ' || name === 'EXFAT   '
}

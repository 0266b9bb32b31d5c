import { attributes, directoryEntry, freeEntry, lastFreeEntry, longName, smallLetters } from './layout.ts'

/** A file or directory as its parent names it. */
export interface FatEntry {
  /** The long name, or the short one as it is shown. */
  readonly name: string
  readonly shortName: string
  readonly isDirectory: boolean
  /** Bytes; 0 for a directory. */
  readonly size: number
  /** 0 for an empty file. */
  readonly cluster: number
  /** Of its short entry, in bytes from the start of the directory. */
  readonly offset: number
}

/** The files and directories in a directory's bytes, without `.`, `..` and the volume's label. */
export function decodeDirectory(bytes: Buffer): FatEntry[] {
  const entries: FatEntry[] = []
  let pending: { name: string; next: number; checksum: number } | null = null
  for (let offset = 0; offset + directoryEntry.bytes <= bytes.length; offset += directoryEntry.bytes) {
    const entry = bytes.subarray(offset, offset + directoryEntry.bytes)
    const [first = 0] = entry
    if (first === lastFreeEntry) break
    const flags = entry.readUInt8(directoryEntry.attributes)
    if (first === freeEntry) pending = null
    else if ((flags & 0x3f) === attributes.longName) pending = joinLongName(pending, entry)
    else {
      const isWhole: boolean =
        pending?.next === 0 && pending.checksum === shortNameChecksum(entry.subarray(0, 11))
      const shortName = decodeShortName(entry, 'stored')
      const name = isWhole && pending ? pending.name : decodeShortName(entry, 'shown')
      pending = null
      if ((flags & attributes.volumeLabel) !== 0 || shortName === '.' || shortName === '..') continue
      entries.push({
        name,
        shortName,
        isDirectory: (flags & attributes.directory) !== 0,
        size: entry.readUInt32LE(directoryEntry.size),
        cluster:
          entry.readUInt16LE(directoryEntry.clusterHigh) * 0x1_0000 +
          entry.readUInt16LE(directoryEntry.clusterLow),
        offset,
      })
    }
  }
  return entries
}

/** The parts of a long name stand before its short entry, the last one first. */
function joinLongName(
  pending: { name: string; next: number; checksum: number } | null,
  entry: Buffer,
): { name: string; next: number; checksum: number } | null {
  const order = entry.readUInt8(longName.order)
  const checksum = entry.readUInt8(longName.checksum)
  const number = order & 0x3f
  const units = longName.characters.map((offset) => entry.readUInt16LE(offset))
  const end = units.indexOf(0)
  const part = String.fromCharCode(...(end < 0 ? units : units.slice(0, end)))
  if ((order & longName.isLast) !== 0) return { name: part, next: number - 1, checksum }
  if (pending?.next !== number || pending.checksum !== checksum) return null
  return { name: part + pending.name, next: number - 1, checksum }
}

/** As it is stored, in capitals, or as it is shown: Windows and Linux note of both its parts whether they mean small letters. */
function decodeShortName(entry: Buffer, how: 'stored' | 'shown'): string {
  const notes = entry.readUInt8(directoryEntry.smallLetters)
  const part = (from: number, to: number, note: number): string => {
    const text = entry.toString('latin1', from, to).trimEnd()
    return how === 'shown' && (notes & note) !== 0 ? text.toLowerCase() : text
  }
  const [base, extension] = [part(0, 8, smallLetters.base), part(8, 11, smallLetters.extension)]
  return extension ? `${base}.${extension}` : base
}

/** Ties long entries to their short one. */
function shortNameChecksum(name: Uint8Array): number {
  let sum = 0
  for (const byte of name) sum = (((sum & 1) << 7) + (sum >> 1) + byte) & 0xff
  return sum
}

export interface NewEntry {
  name: string
  isDirectory: boolean
  size: number
  cluster: number
}

/**
 * The entries of a new name: the parts of its long name where it has one, and the short entry last.
 * @param taken the short names of the directory
 */
export function encodeEntries(entry: NewEntry, taken: ReadonlySet<string>): Buffer {
  const plain = plainShortName(entry.name)
  const short = Buffer.alloc(directoryEntry.bytes)
  short.write(plain ?? numberedShortName(entry.name, taken), 0, 'latin1')
  writeShortEntry(short, entry)
  return plain ? short : Buffer.concat([...encodeLongName(entry.name, short.subarray(0, 11)), short])
}

/** Sets everything but the name. Every time is the format's first day: the result depends on the input alone. */
export function writeShortEntry(short: Buffer, { isDirectory, size, cluster }: Omit<NewEntry, 'name'>): void {
  const firstDay = 0x0021
  short.writeUInt8(isDirectory ? attributes.directory : attributes.archive, directoryEntry.attributes)
  short.fill(0, directoryEntry.attributes + 1)
  for (const date of [16, 18, 24]) short.writeUInt16LE(firstDay, date)
  short.writeUInt16LE(cluster >>> 16, directoryEntry.clusterHigh)
  short.writeUInt16LE(cluster & 0xffff, directoryEntry.clusterLow)
  short.writeUInt32LE(size, directoryEntry.size)
}

/** The eleven characters of a name that needs no long one; null where it does. */
function plainShortName(name: string): string | null {
  const match = /^([A-Z0-9_-]{1,8})(?:\.([A-Z0-9_-]{1,3}))?$/.exec(name)
  return match ? `${(match[1] ?? '').padEnd(8)}${(match[2] ?? '').padEnd(3)}` : null
}

/** A short name for a long one, by its first characters and a number that makes it unlike the others. */
function numberedShortName(name: string, taken: ReadonlySet<string>): string {
  const dot = name.lastIndexOf('.')
  const allowed = (text: string) => text.toUpperCase().replace(/[^A-Z0-9_-]/g, '')
  const base = allowed(dot > 0 ? name.slice(0, dot) : name) || '_'
  const extension = dot > 0 ? allowed(name.slice(dot + 1)).slice(0, 3) : ''
  for (let number = 1; ; number += 1) {
    const tail = `~${number}`
    const short = `${base.slice(0, 8 - tail.length)}${tail}`
    if (!taken.has(extension ? `${short}.${extension}` : short))
      return `${short.padEnd(8)}${extension.padEnd(3)}`
  }
}

function encodeLongName(name: string, short: Uint8Array): Buffer[] {
  const perEntry = longName.characters.length
  const count = Math.ceil(name.length / perEntry)
  const checksum = shortNameChecksum(short)
  return Array.from({ length: count }, (_, index) => {
    const number = count - index
    const part = name.slice((number - 1) * perEntry, number * perEntry)
    const entry = Buffer.alloc(directoryEntry.bytes)
    entry.writeUInt8(number | (index === 0 ? longName.isLast : 0), longName.order)
    entry.writeUInt8(attributes.longName, directoryEntry.attributes)
    entry.writeUInt8(checksum, longName.checksum)
    longName.characters.forEach((offset, position) => {
      // A name that does not fill its last entry ends in a NUL, and the rest is filled with ones.
      const unit = position < part.length ? part.charCodeAt(position) : position === part.length ? 0 : 0xffff
      entry.writeUInt16LE(unit, offset)
    })
    return entry
  })
}

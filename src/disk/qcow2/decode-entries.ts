import { DiskError } from '../errors.ts'
import { hostOffset } from './host-offset.ts'
import type { Qcow2Header } from './qcow2-header.ts'
import { subclustersPerCluster, tableEntry } from './qcow2-layout.ts'

/** Part of an L2 table, or the absence of one or several whole tables. */
export interface TablePage {
  /** The guest's bytes the page speaks of; `start` is the first byte of a cluster. */
  readonly start: number
  readonly end: number
  /** Null where no L2 table exists. */
  readonly entries: Buffer | null
  /** Where `entries` lies in the file, for messages. */
  readonly filePosition: number
}

export type RunKind = 'data' | 'compressed' | 'zero' | 'unallocated'

/** A run of the guest's disk that is stored in one way and, where it is data, in one piece. */
export interface ClusterRun {
  readonly kind: RunKind
  readonly length: number
  /** Byte in the file: of the first byte of the run, or of a compressed cluster's data. 0 otherwise. */
  readonly host: number
  /** Bytes from `host` in which a compressed cluster ends somewhere; 0 otherwise. */
  readonly compressedLength: number
}

/** The parts of the file that a table entry may point to. */
export interface EntryContext {
  /** The file with the tables, for messages. */
  readonly name: string
  /** Bytes of the file that holds the data: the same one, or the external data file. */
  readonly dataSize: number
  readonly header: Qcow2Header
}

/** The run that begins at `offset`, no longer than to `end`; both within `page`. */
export type DecodeRun = (page: TablePage, offset: number, end: number) => ClusterRun

interface Unit {
  kind: RunKind
  host: number
  compressedLength: number
}

/**
 * "L2 table entry", "Standard Cluster Descriptor", "Compressed Clusters Descriptor", "Extended L2 Entries". Every
 * offset is held against the file before anyone reads there.
 *
 * `decode` throws DiskError `IMAGE_ENTRY_INVALID`, `IMAGE_OFFSET_OUT_OF_FILE`, `IMAGE_OVERLAP`.
 */
export function runDecoder({ name, dataSize, header }: EntryContext): DecodeRun {
  const { size, clusterBits, clusterSize, extendedL2, externalDataFile, version, l1TableOffset } = header
  const entryBytes = extendedL2 ? tableEntry.extendedBytes : tableEntry.bytes
  const unitSize = extendedL2 ? clusterSize / subclustersPerCluster : clusterSize
  const l1End = l1TableOffset + header.l1Size * tableEntry.bytes
  // Compressed: the low x bits are a byte offset, the others up to bit 61 count further sectors.
  const sectorShift = 62 - (clusterBits - 8) - 32
  const sectorMask = 2 ** (clusterBits - 8) - 1
  const compressedOffsetHigh = 2 ** sectorShift - 1

  function fail(code: EntryErrorCode, problem: string, page: TablePage, index: number): DiskError {
    const place = page.filePosition + index * entryBytes
    return entryError(name, code, `the L2 entry at byte ${place} ${problem}`, { offset: place })
  }

  /** Describes the unit (cluster or subcluster) that `offset` lies in; `host` is the unit's first byte. */
  function decodeUnit(page: TablePage, entries: Buffer, offset: number, unit: Unit): void {
    const index = Math.floor((offset - page.start) / clusterSize)
    const at = index * entryBytes
    const high = entries.readUInt32BE(at)
    const low = entries.readUInt32BE(at + 4)
    unit.host = 0
    unit.compressedLength = 0
    if (high & tableEntry.compressedHigh) {
      const host = (high & compressedOffsetHigh) * 2 ** 32 + low
      if (externalDataFile) {
        throw fail('IMAGE_ENTRY_INVALID', 'is compressed, which excludes an external data file', page, index)
      }
      if (host >= dataSize) throw fail('IMAGE_OFFSET_OUT_OF_FILE', 'points outside the file', page, index)
      if (host < clusterSize) throw fail('IMAGE_OVERLAP', 'points into the header', page, index)
      const sectors = ((high >>> sectorShift) & sectorMask) + 1
      unit.kind = 'compressed'
      unit.host = host
      unit.compressedLength = Math.min(sectors * 512 - (host % 512), dataSize - host)
      return
    }
    const host = hostOffset(high, low)
    if (host % clusterSize !== 0 || high & tableEntry.reservedHigh || low & tableEntry.reservedLow) {
      throw fail('IMAGE_ENTRY_INVALID', 'is misaligned or sets reserved bits', page, index)
    }
    // Offset 0 is the header's, but in an external data file it is a place like any other.
    const placed = host > 0 || (externalDataFile && (high & tableEntry.copiedHigh) !== 0)
    let allocated = placed
    let zero = (low & tableEntry.zeroLow) !== 0
    if (zero && (version < 3 || extendedL2)) {
      throw fail('IMAGE_ENTRY_INVALID', 'sets the zero flag, which this image cannot have', page, index)
    }
    let within = 0
    if (extendedL2) {
      const zeroBits = entries.readUInt32BE(at + 8)
      const allocationBits = entries.readUInt32BE(at + 12)
      if (zeroBits & allocationBits || (!placed && allocationBits)) {
        throw fail('IMAGE_ENTRY_INVALID', 'has a contradictory subcluster bitmap', page, index)
      }
      const subcluster = Math.floor(((offset - page.start) % clusterSize) / unitSize)
      zero = ((zeroBits >>> subcluster) & 1) === 1
      allocated = ((allocationBits >>> subcluster) & 1) === 1
      within = subcluster * unitSize
    }
    if (zero || !allocated) {
      unit.kind = zero ? 'zero' : 'unallocated'
      return
    }
    if (externalDataFile) {
      const guest = page.start + index * clusterSize
      if (host !== guest) throw fail('IMAGE_ENTRY_INVALID', 'moves data in the data file', page, index)
      // QEMU gives zeros for what is missing, which would hide that the data file was cut off.
      if (Math.min(guest + within + unitSize, size) > dataSize) {
        throw fail('IMAGE_OFFSET_OUT_OF_FILE', 'points outside the data file', page, index)
      }
    } else {
      // The last cluster of a file may be cut short; what is missing reads as zeros, as in QEMU.
      if (host >= dataSize) throw fail('IMAGE_OFFSET_OUT_OF_FILE', 'points outside the file', page, index)
      if (host < l1End && host + clusterSize > l1TableOffset) {
        throw fail('IMAGE_OVERLAP', 'points into the L1 table', page, index)
      }
    }
    unit.kind = 'data'
    unit.host = host + within
  }

  const first: Unit = { kind: 'zero', host: 0, compressedLength: 0 }
  const next: Unit = { kind: 'zero', host: 0, compressedLength: 0 }

  return (page, offset, end) => {
    const { entries } = page
    if (!entries) return { kind: 'unallocated', length: end - offset, host: 0, compressedLength: 0 }
    decodeUnit(page, entries, offset, first)
    const { kind, compressedLength } = first
    if (kind === 'compressed') {
      const clusterEnd = offset - ((offset - page.start) % clusterSize) + clusterSize
      return { kind, length: Math.min(end, clusterEnd) - offset, host: first.host, compressedLength }
    }
    const unitStart = offset - ((offset - page.start) % unitSize)
    let position = unitStart + unitSize
    while (position < end) {
      decodeUnit(page, entries, position, next)
      if (next.kind !== kind) break
      if (kind === 'data' && next.host !== first.host + (position - unitStart)) break
      position += unitSize
    }
    const host = kind === 'data' ? first.host + (offset - unitStart) : 0
    return { kind, length: Math.min(position, end) - offset, host, compressedLength: 0 }
  }
}

export type EntryErrorCode = 'IMAGE_ENTRY_INVALID' | 'IMAGE_OFFSET_OUT_OF_FILE' | 'IMAGE_OVERLAP'

export function entryError(
  name: string,
  code: EntryErrorCode,
  problem: string,
  details: Readonly<Record<string, unknown>>,
): DiskError {
  return new DiskError(code, `${name}: ${problem}.`, { details })
}

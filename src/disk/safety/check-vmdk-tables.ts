import { type AbortOptions, throwIfCancelled } from '../../core/abort.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { directoryEntries } from '../vmdk/grain-map.ts'
import type { SparseHeader } from '../vmdk/vmdk-header.ts'
import {
  entryBytes,
  grainTableBytes,
  headerBytes,
  maximumDirectoryBytes,
  sectorSize,
  zeroGrain,
} from '../vmdk/vmdk-layout.ts'
import { Findings } from './findings.ts'
import { grainClaims } from './grain-claims.ts'
import { type SectorClaims, sectorClaims } from './sector-claims.ts'
import { type TableReader, tableReader } from './table-reader.ts'
import type { SafetyCheckResult, SafetyLimits } from './verdict.ts'
import { walkMarkers } from './walk-markers.ts'

export const vmdkTableCheckNames = {
  'vmdk.tables': 'The tables of the image are within the limits of size and memory.',
  'vmdk.grain_directory': 'Every entry of the grain directories points to a grain table inside the file.',
  'vmdk.grain_tables': 'Every grain lies inside the file.',
  'vmdk.overlaps': 'No place in the file is used twice.',
  'vmdk.markers': 'The markers of a stream lead to the grains that the tables name, and to nothing else.',
  'vmdk.expansion': 'The compressed grains do not expand beyond the limit.',
} as const

/** What the walks through the tables of one sparse extent share. */
export interface GrainWalk {
  readonly header: SparseHeader
  readonly source: RandomAccessSource
  readonly limits: SafetyLimits
  readonly reader: TableReader
  readonly claims: SectorClaims
  readonly findings: Findings<typeof vmdkTableCheckNames>
  readonly signal: AbortSignal | undefined
}

/** A grain as its table entry describes it; places in bytes. */
export interface TableGrain {
  readonly host: number
  readonly guest: number
  /** Where the entry stands in the file. */
  readonly entry: number
}

/** A grain table that the directory names. */
export interface GrainTable {
  readonly offset: number
  /** The grains that are stored; a view that is lost with the next table. */
  grains(): Generator<TableGrain, void, undefined>
}

/**
 * Walks every table of a sparse extent whose header has passed. Tables are read once; of a stream the whole file is, since
 * markers stand between its data and must say what the tables say. Memory is the grain directory and 2 bytes for each
 * grain, at most `limits.memoryBytes`.
 */
export async function checkVmdkTables(
  source: RandomAccessSource,
  header: SparseHeader,
  { limits, signal }: AbortOptions & { limits: SafetyLimits },
): Promise<SafetyCheckResult[]> {
  const findings = new Findings(vmdkTableCheckNames)
  const walk: GrainWalk = {
    header,
    source,
    limits,
    reader: tableReader(source, { budget: limits.tableBytes, signal }),
    claims: sectorClaims(limits.memoryBytes / 2),
    findings,
    signal,
  }
  await walkTables(walk)
  return findings.results()
}

async function walkTables(walk: GrainWalk): Promise<void> {
  const { header, findings } = walk
  const { directoryOffset, redundantDirectoryOffset } = header
  claim(walk, 0, headerBytes)
  if (header.descriptorSize > 0) claim(walk, header.descriptorOffset, header.descriptorSize)
  const directory = await readDirectory(walk, directoryOffset)
  if (!directory) return
  if (redundantDirectoryOffset !== null) await readDirectory(walk, redundantDirectoryOffset)
  if (findings.refused || !checkBudget(walk)) return
  if (header.isCompressed) await walkMarkers(walk, grainTables(walk, directory))
  else await walkPlainGrains(walk, grainTables(walk, directory))
  checkBudget(walk)
}

/** Reads a grain directory and claims it and its tables. */
async function readDirectory(walk: GrainWalk, offset: number): Promise<Buffer | null> {
  const { header, source, findings, signal } = walk
  const length = directoryEntries(header) * entryBytes
  if (length > maximumDirectoryBytes) {
    findings.refuse('vmdk.tables', 'IMAGE_TABLES_LIMIT', undefined, () => {
      return `A grain directory takes ${length} bytes, more than ${maximumDirectoryBytes}.`
    })
    return null
  }
  if (offset === 0 || offset + length > source.size) {
    findings.refuse('vmdk.grain_directory', 'IMAGE_OFFSET_OUT_OF_FILE', offset, () => {
      return `A grain directory of ${length} bytes lies outside the file of ${source.size} bytes.`
    })
    return null
  }
  const directory = Buffer.alloc(length)
  await source.read(directory, offset, { signal })
  claim(walk, offset, length)
  for (let at = 0; at < length; at += entryBytes) {
    const table = directory.readUInt32LE(at) * sectorSize
    if (table === 0) continue
    if (table + grainTableBytes > source.size) {
      findings.refuse('vmdk.grain_directory', 'IMAGE_OFFSET_OUT_OF_FILE', offset + at, () => {
        return `The directory entry at byte ${offset + at} points to byte ${table} of a file of ${source.size} bytes.`
      })
    } else claim(walk, table, grainTableBytes)
  }
  return directory
}

/** The grain tables in the order of the disk; ends when the budget for tables is spent. */
async function* grainTables(
  { header, reader, signal }: GrainWalk,
  directory: Buffer,
): AsyncGenerator<GrainTable, void, undefined> {
  const { size, grainSize, coverage, hasZeroGrains } = header
  for (let at = 0; at < directory.length; at += entryBytes) {
    throwIfCancelled(signal)
    const offset = directory.readUInt32LE(at) * sectorSize
    if (offset === 0) continue
    const view = await reader.read(offset, grainTableBytes)
    if (!view) return
    const start = (at / entryBytes) * coverage
    yield {
      offset,
      *grains() {
        for (let index = 0; index * entryBytes < grainTableBytes; index += 1) {
          const guest = start + index * grainSize
          if (guest >= size) return
          const sector = view.getUint32(index * entryBytes, true)
          if (sector === 0 || (sector === zeroGrain && hasZeroGrains)) continue
          yield { host: sector * sectorSize, guest, entry: offset + index * entryBytes }
        }
      },
    }
  }
}

async function walkPlainGrains(walk: GrainWalk, tables: AsyncIterable<GrainTable>): Promise<void> {
  const { header, source, limits, claims, findings } = walk
  const { size, grainSize } = header
  const grainSectors = grainSize / sectorSize
  const grains = grainClaims(grainSectors, limits.memoryBytes / 2)
  for await (const table of tables) {
    for (const { host, guest, entry } of table.grains()) {
      const stored = Math.min(grainSize, size - guest)
      const first = host / sectorSize
      if (host >= source.size) {
        findings.refuse('vmdk.grain_tables', 'IMAGE_OFFSET_OUT_OF_FILE', entry, () => {
          return `The table entry at byte ${entry} points to byte ${host} of a file of ${source.size} bytes.`
        })
      } else if (host + stored > source.size) {
        findings.refuse('vmdk.grain_tables', 'IMAGE_TRUNCATED', entry, () => {
          return `The file ends inside the grain at byte ${host}, to which the table entry at byte ${entry} points.`
        })
      } else if (claims.isClaimed(first, grainSectors) || !grains.claim(first)) {
        findings.refuse('vmdk.overlaps', 'IMAGE_OVERLAP', entry, () => {
          return `The grain at byte ${host}, to which the table entry at byte ${entry} points, is in use already.`
        })
      }
    }
  }
  if (grains.isFull) refuseMemory(walk)
}

/** Enters a table of the file that nothing else may use. */
function claim({ claims, findings }: GrainWalk, start: number, length: number): void {
  const first = start / sectorSize
  const count = Math.ceil(length / sectorSize)
  if (claims.claim(first, count)) return
  findings.refuse('vmdk.overlaps', 'IMAGE_OVERLAP', start, () => {
    return `The ${length} bytes at byte ${start} are used for two tables.`
  })
}

/** Refuses the image when a limit has stopped the walk; then what was found so far is not all there is. */
function checkBudget(walk: GrainWalk): boolean {
  const { reader, claims, findings, limits } = walk
  if (reader.isExhausted) {
    findings.refuse('vmdk.tables', 'IMAGE_TABLES_LIMIT', undefined, () => {
      return `The image has more than ${limits.tableBytes} bytes of tables.`
    })
  }
  if (claims.isFull) refuseMemory(walk)
  return !reader.isExhausted && !claims.isFull
}

function refuseMemory({ findings, limits }: GrainWalk): void {
  findings.refuse('vmdk.tables', 'IMAGE_TABLES_LIMIT', undefined, () => {
    return `The grains of the image need more than ${limits.memoryBytes} bytes to keep track of.`
  })
}

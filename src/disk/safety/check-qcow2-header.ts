import { formatSize } from '../../core/bytes.ts'
import type { Qcow2Header } from '../qcow2/qcow2-header.ts'
import {
  autoclearFeatures,
  headerExtensions,
  headerFields,
  maximumL1Bytes,
  tableEntry,
} from '../qcow2/qcow2-layout.ts'
import { type Finding, Findings } from './findings.ts'
import type { DiskErrorCode, SafetyCheckResult, SafetyLimits } from './verdict.ts'

export interface HeaderContext {
  readonly allowOtherFiles: boolean
  readonly limits: SafetyLimits
  readonly fileSize: number
}

interface HeaderCheck {
  readonly name: string
  readonly meaning: string
  find(header: Qcow2Header, context: HeaderContext): Finding | null
}

/** QEMU opens no image with a larger refcount table. */
const maximumRefcountTableBytes = 8 * 1024 * 1024

/**
 * What a header may say, apart from the values of its fields. The first three are the checks of OpenStack's format
 * inspector, under its names.
 */
const headerChecks: readonly HeaderCheck[] = [
  {
    name: 'qcow2.backing_file',
    meaning: 'The image takes no data from a backing file.',
    // CVE-2011-3147, CVE-2015-5163, CVE-2024-4467: the name chooses a file, a protocol or a driver of the host.
    find: ({ backingFile }, { allowOtherFiles }) => {
      if (backingFile === null) return null
      const { offset } = headerFields.backing_file_offset
      if (!allowOtherFiles) {
        return refused('IMAGE_BACKING_FILE', offset, 'The image takes data from a backing file.')
      }
      if (namesProtocol(backingFile)) {
        return refused('IMAGE_UNSAFE_NAME', offset, 'The name of the backing file is a protocol or driver.')
      }
      const message = () =>
        'The image takes data from a backing file, which was allowed and is not checked here.'
      return { outcome: 'warning', code: 'IMAGE_BACKING_FILE', offset, message }
    },
  },
  {
    name: 'qcow2.data_file',
    meaning: 'The image keeps all its data itself.',
    // CVE-2024-32498.
    find: (header, { allowOtherFiles }) => {
      const { externalDataFile, dataFile, backingFile } = header
      const isRaw = (header.autoclearFeatures & autoclearFeatures.rawExternalData) !== 0n
      if (isRaw && (!externalDataFile || backingFile !== null)) {
        const { offset } = headerFields.autoclear_features
        return refused('IMAGE_HEADER_INVALID', offset, 'The image calls a data file raw that cannot be.')
      }
      if (!externalDataFile && !hasExtension(header, headerExtensions.externalDataFile)) return null
      const { offset } = headerFields.incompatible_features
      if (!allowOtherFiles || !externalDataFile || dataFile === null) {
        return refused('IMAGE_DATA_FILE', offset, 'The image keeps its data in another file.')
      }
      if (namesProtocol(dataFile)) {
        return refused('IMAGE_UNSAFE_NAME', offset, 'The name of the data file is a protocol or driver.')
      }
      const message = () =>
        'The image keeps its data in another file, which was allowed and is not checked here.'
      return { outcome: 'warning', code: 'IMAGE_DATA_FILE', offset, message }
    },
  },
  {
    name: 'qcow2.unknown_features',
    meaning: 'The image has no incompatible feature that is unknown.',
    find: ({ unknownFeatures }) => {
      if (unknownFeatures.length === 0) return null
      const { offset } = headerFields.incompatible_features
      return refused(
        'IMAGE_UNKNOWN_FEATURE',
        offset,
        `Unknown incompatible features: ${unknownFeatures.join(', ')}.`,
      )
    },
  },
  {
    name: 'qcow2.extended_l2',
    meaning: 'The image has no feature that image services refuse.',
    find: ({ extendedL2 }) => {
      if (!extendedL2) return null
      const message = () =>
        'The image has extended L2 entries, which image services such as OpenStack’s refuse.'
      const { offset } = headerFields.incompatible_features
      return { outcome: 'warning', code: 'IMAGE_FEATURE_UNPORTABLE', offset, message }
    },
  },
  {
    name: 'qcow2.crypt_method',
    meaning: 'The image is not encrypted.',
    find: (header) => {
      if (header.cryptMethod === 0 && !hasExtension(header, headerExtensions.encryptionHeader)) return null
      return refused('IMAGE_ENCRYPTED', headerFields.crypt_method.offset, 'The image is encrypted.')
    },
  },
  {
    name: 'qcow2.corrupt',
    meaning: 'The image is not marked as corrupt.',
    find: ({ corrupt }) => {
      if (!corrupt) return null
      return refused(
        'IMAGE_MARKED_CORRUPT',
        headerFields.incompatible_features.offset,
        'The image carries the mark of a program that found it corrupt.',
      )
    },
  },
  {
    name: 'qcow2.dirty',
    meaning: 'The image was closed.',
    // Reading goes through L1 and L2 alone, which lazy refcounts leave correct.
    find: ({ dirty }) => {
      if (!dirty) return null
      const message = () => 'The image was not closed: its reference counts may be old.'
      const { offset } = headerFields.incompatible_features
      return { outcome: 'warning', code: 'IMAGE_MARKED_DIRTY', offset, message }
    },
  },
  {
    name: 'qcow2.virtual_size',
    meaning: 'The virtual size is within the limit.',
    // CVE-2013-2096.
    find: ({ size }, { limits }) => {
      if (size <= limits.virtualSize) return null
      return refused(
        'IMAGE_SIZE_LIMIT',
        headerFields.size.offset,
        `The disk has ${formatSize(size)}, more than the limit of ${formatSize(limits.virtualSize)}.`,
      )
    },
  },
  {
    name: 'qcow2.l1_size',
    meaning: 'The L1 table covers the disk and is no larger than readers accept.',
    // CVE-2014-0143, CVE-2014-0223.
    find: ({ l1Size, size, clusterSize, extendedL2 }) => {
      const { offset } = headerFields.l1_size
      if (l1Size * tableEntry.bytes > maximumL1Bytes) {
        return refused('IMAGE_TABLES_LIMIT', offset, `The L1 table has ${l1Size} entries.`)
      }
      const entriesPerL2 = clusterSize / (extendedL2 ? tableEntry.extendedBytes : tableEntry.bytes)
      const needed = Math.ceil(size / (clusterSize * entriesPerL2))
      if (l1Size >= needed) return null
      const text = `The L1 table has ${l1Size} entries, and the disk needs ${needed}.`
      return refused('IMAGE_HEADER_INVALID', offset, text)
    },
  },
  {
    name: 'qcow2.table_places',
    meaning: 'The tables the header names lie inside the file, at cluster boundaries.',
    // CVE-2014-0144.
    find: (header, { fileSize }) => {
      for (const { field, start, length } of namedTables(header)) {
        if (length === 0) continue
        const { offset } = headerFields[field]
        if (start === 0 || start % header.clusterSize !== 0) {
          return refused('IMAGE_HEADER_INVALID', offset, `The header field ${field} is ${start}.`)
        }
        if (start + length > fileSize) {
          const text = `By the header field ${field} a table lies outside the file.`
          return refused('IMAGE_OFFSET_OUT_OF_FILE', offset, text)
        }
      }
      return null
    },
  },
  {
    name: 'qcow2.refcount_table',
    meaning: 'There is a refcount table, and it is no larger than readers accept.',
    find: ({ refcountTableClusters, clusterSize }) => {
      const { offset } = headerFields.refcount_table_clusters
      if (refcountTableClusters === 0) {
        return refused('IMAGE_HEADER_INVALID', offset, 'The image has no refcount table.')
      }
      if (refcountTableClusters * clusterSize <= maximumRefcountTableBytes) return null
      const text = `The refcount table has ${refcountTableClusters} clusters.`
      return refused('IMAGE_TABLES_LIMIT', offset, text)
    },
  },
]

/** Runs the checks that need the header alone. */
export function checkQcow2Header(header: Qcow2Header, context: HeaderContext): SafetyCheckResult[] {
  const findings = new Findings(Object.fromEntries(headerChecks.map(({ name, meaning }) => [name, meaning])))
  for (const { name, find } of headerChecks) {
    const finding = find(header, context)
    if (finding) findings.add(name, finding)
  }
  return findings.results()
}

/** What lies where by the header; of the snapshot table only the start is known. */
function namedTables(header: Qcow2Header) {
  const { l1TableOffset, l1Size, refcountTableOffset, refcountTableClusters, clusterSize } = header
  return [
    { field: 'l1_table_offset', start: l1TableOffset, length: l1Size * tableEntry.bytes },
    {
      field: 'refcount_table_offset',
      start: refcountTableOffset,
      length: refcountTableClusters * clusterSize,
    },
    { field: 'snapshots_offset', start: header.snapshotsOffset, length: header.snapshotCount > 0 ? 1 : 0 },
  ] as const
}

/** QEMU reads a name as a protocol (`nbd:`, `json:`) when a colon stands before the first slash. */
function namesProtocol(name: string): boolean {
  return /^[^/]*:/.test(name)
}

function hasExtension(header: Qcow2Header, type: number): boolean {
  return header.extensions.some((extension) => extension.type === type)
}

function refused(code: DiskErrorCode, offset: number, message: string): Finding {
  return { outcome: 'refused', code, offset, message: () => message }
}

import type { AbortOptions } from '../../core/abort.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { DiskError } from '../errors.ts'
import { type ExtensionArea, parseExtensions, type Qcow2Extension } from './parse-extensions.ts'
import {
  compatibleFeatures,
  compressionTypes,
  type HeaderFieldName,
  headerExtensions,
  headerFields,
  incompatibleFeatures,
  maximumBackingFileSize,
  maximumClusterBits,
  maximumRefcountOrder,
  minimumClusterBits,
  minimumExtendedL2ClusterBits,
  type Qcow2Compression,
  qcow2Magic,
  version2HeaderLength,
  version3HeaderLength,
} from './qcow2-layout.ts'

/** What a qcow2 header says, checked for the format's own rules only: policy is the reader's and the safety checks'. */
export interface Qcow2Header {
  readonly version: 2 | 3
  readonly clusterBits: number
  readonly clusterSize: number
  /** Virtual size in bytes. */
  readonly size: number
  /** 0 none, 1 AES, 2 LUKS. */
  readonly cryptMethod: number
  /** Entries. */
  readonly l1Size: number
  readonly l1TableOffset: number
  readonly refcountTableOffset: number
  readonly refcountTableClusters: number
  /** A refcount has 2^refcountOrder bits. */
  readonly refcountOrder: number
  readonly snapshotCount: number
  readonly snapshotsOffset: number
  readonly headerLength: number
  readonly compression: Qcow2Compression
  readonly incompatibleFeatures: bigint
  readonly compatibleFeatures: bigint
  readonly autoclearFeatures: bigint
  readonly dirty: boolean
  readonly corrupt: boolean
  readonly externalDataFile: boolean
  readonly extendedL2: boolean
  readonly lazyRefcounts: boolean
  /** Incompatible bits no reader of today knows, by the image's own feature-name table where it has one. */
  readonly unknownFeatures: readonly string[]
  /** As it stands in the image: untrusted text. */
  readonly backingFile: string | null
  readonly backingFormat: string | null
  /** As it stands in the image: untrusted text. */
  readonly dataFile: string | null
  readonly extensions: readonly Qcow2Extension[]
}

/**
 * Reads header and extensions: one read of at most one cluster.
 * @throws DiskError `IMAGE_FORMAT_MISMATCH` without the magic number, `IMAGE_HEADER_INVALID` naming field and byte
 *   offset, `IMAGE_UNKNOWN_FEATURE` for another version or compression, `IMAGE_TRUNCATED`
 */
export async function readQcow2Header(
  source: RandomAccessSource,
  options: AbortOptions = {},
): Promise<Qcow2Header> {
  const name = source.name
  const start = Buffer.alloc(version3HeaderLength + 8)
  const available = await source.read(start, 0, options)
  const field = (fieldName: HeaderFieldName): bigint => {
    const { offset, size } = headerFields[fieldName]
    return size === 8 ? start.readBigUInt64BE(offset) : BigInt(start.readUIntBE(offset, size))
  }
  const number = (fieldName: HeaderFieldName): number => {
    const value = Number(field(fieldName))
    if (!Number.isSafeInteger(value)) throw invalid(name, fieldName, 'is too large')
    return value
  }

  if (available < 8 || number('magic') !== qcow2Magic) {
    throw new DiskError('IMAGE_FORMAT_MISMATCH', `${name} is not a qcow2 image: it lacks the magic number.`)
  }
  const version = number('version')
  if (version !== 2 && version !== 3) {
    throw new DiskError(
      'IMAGE_UNKNOWN_FEATURE',
      `${name} is qcow version ${version}; only 2 and 3 are read.`,
      {
        details: { offset: headerFields.version.offset },
      },
    )
  }
  if (available < (version === 2 ? version2HeaderLength : version3HeaderLength)) {
    throw new DiskError('IMAGE_TRUNCATED', `${name} ends inside its qcow2 header.`, {
      details: { size: available },
    })
  }
  const clusterBits = number('cluster_bits')
  if (clusterBits < minimumClusterBits || clusterBits > maximumClusterBits) {
    throw invalid(
      name,
      'cluster_bits',
      `is ${clusterBits}, not ${minimumClusterBits} to ${maximumClusterBits}`,
    )
  }
  const clusterSize = 2 ** clusterBits
  const version3 = version === 3
  const headerLength = version3 ? number('header_length') : version2HeaderLength
  if (version3 && (headerLength < version3HeaderLength || headerLength % 8 || headerLength > clusterSize)) {
    throw invalid(name, 'header_length', `is ${headerLength}`)
  }
  const refcountOrder = version3 ? number('refcount_order') : 4
  if (refcountOrder > maximumRefcountOrder) throw invalid(name, 'refcount_order', `is ${refcountOrder}`)

  const incompatible = version3 ? field('incompatible_features') : 0n
  const has = (bit: bigint) => (incompatible & bit) !== 0n
  const extendedL2 = has(incompatibleFeatures.extendedL2)
  if (extendedL2 && clusterBits < minimumExtendedL2ClusterBits) {
    throw invalid(name, 'cluster_bits', `is ${clusterBits}, too small for extended L2 entries`)
  }
  const hasCompressionType = version3 && headerLength > headerFields.compression_type.offset
  const compressionType = hasCompressionType ? number('compression_type') : 0
  if (has(incompatibleFeatures.compressionType) !== compressionType > 0) {
    throw invalid(name, 'compression_type', `is ${compressionType}, against its incompatible feature bit`)
  }
  const compression = compressionTypes[compressionType]
  if (!compression) {
    throw new DiskError(
      'IMAGE_UNKNOWN_FEATURE',
      `${name} uses the unknown compression type ${compressionType}.`,
      {
        details: { offset: headerFields.compression_type.offset },
      },
    )
  }

  const cluster = Buffer.alloc(Math.min(clusterSize, source.size))
  await source.read(cluster, 0, options)
  const backing = { offset: number('backing_file_offset'), length: number('backing_file_size') }
  if (backing.length > maximumBackingFileSize) {
    throw invalid(name, 'backing_file_size', `is ${backing.length}, more than ${maximumBackingFileSize}`)
  }
  if (backing.offset > 0 && backing.offset + backing.length > cluster.length) {
    throw invalid(name, 'backing_file_offset', 'points outside the first cluster')
  }
  const area: ExtensionArea = { name, cluster, start: headerLength, end: backing.offset || cluster.length }
  const { extensions, nameOfFeature } = parseExtensions(area)
  const text = (type: number): string | null => {
    const extension = extensions.find((candidate) => candidate.type === type)
    return extension ? untilNul(cluster, extension.offset, extension.length) : null
  }

  return {
    version,
    clusterBits,
    clusterSize,
    size: number('size'),
    cryptMethod: number('crypt_method'),
    l1Size: number('l1_size'),
    l1TableOffset: number('l1_table_offset'),
    refcountTableOffset: number('refcount_table_offset'),
    refcountTableClusters: number('refcount_table_clusters'),
    refcountOrder,
    snapshotCount: number('nb_snapshots'),
    snapshotsOffset: number('snapshots_offset'),
    headerLength,
    compression,
    incompatibleFeatures: incompatible,
    compatibleFeatures: version3 ? field('compatible_features') : 0n,
    autoclearFeatures: version3 ? field('autoclear_features') : 0n,
    dirty: has(incompatibleFeatures.dirty),
    corrupt: has(incompatibleFeatures.corrupt),
    externalDataFile: has(incompatibleFeatures.externalDataFile),
    extendedL2,
    lazyRefcounts: version3 && (field('compatible_features') & compatibleFeatures.lazyRefcounts) !== 0n,
    unknownFeatures: unknownBits(incompatible).map(nameOfFeature),
    backingFile:
      backing.offset > 0 ? cluster.toString('utf8', backing.offset, backing.offset + backing.length) : null,
    backingFormat: text(headerExtensions.backingFormat),
    dataFile: text(headerExtensions.externalDataFile),
    extensions,
  }
}

function unknownBits(features: bigint): number[] {
  const known = Object.values(incompatibleFeatures).reduce((all, bit) => all | bit, 0n)
  const bits = []
  for (let bit = 0; bit < 64; bit += 1) {
    if (features & ~known & (1n << BigInt(bit))) bits.push(bit)
  }
  return bits
}

/** Names of formats and files, up to a NUL if there is one. */
function untilNul(cluster: Buffer, offset: number, length: number): string {
  return cluster.toString('utf8', offset, offset + length).split('\0', 1)[0] ?? ''
}

function invalid(name: string, field: HeaderFieldName, problem: string): DiskError {
  return new DiskError('IMAGE_HEADER_INVALID', `${name}: the qcow2 header field ${field} ${problem}.`, {
    details: { field, offset: headerFields[field].offset },
  })
}

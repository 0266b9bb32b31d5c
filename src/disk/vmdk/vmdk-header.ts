import type { AbortOptions } from '../../core/abort.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { isZero } from '../../transfer/zeros.ts'
import { DiskError } from '../errors.ts'
import {
  compressDeflate,
  descriptorSector,
  entriesPerGrainTable,
  esxSparseMagic,
  footerBytes,
  gdAtEnd,
  type HeaderFieldName,
  headerBytes,
  headerFields,
  headerFlags,
  incompatibleFlags,
  markerFields,
  markerTypes,
  maximumDescriptorBytes,
  maximumGrainSize,
  maximumVersion,
  minimumGrainSize,
  minimumVersion,
  newlineTest,
  sectorSize,
  vmdkMagic,
} from './vmdk-layout.ts'

/** What the header of a sparse extent says, in bytes, checked for the format's own rules only. */
export interface SparseHeader {
  readonly version: number
  readonly flags: number
  /** Virtual size. */
  readonly size: number
  readonly grainSize: number
  /** Bytes of the disk that one grain table speaks of. */
  readonly coverage: number
  /** Both 0 where the descriptor is another file. */
  readonly descriptorOffset: number
  readonly descriptorSize: number
  readonly directoryOffset: number
  /** Of the second copy of directory and tables; null where there is none. */
  readonly redundantDirectoryOffset: number | null
  /** Where the data begin. */
  readonly overHead: number
  /** Grains are compressed, with a marker before each. */
  readonly isCompressed: boolean
  /** Whether the tables stand behind the data and a footer says where. */
  readonly hasFooter: boolean
  readonly hasZeroGrains: boolean
  /** Whoever wrote it did not close it. */
  readonly isUnclean: boolean
}

/** Whether the file is a sparse extent, of whichever product, and not a descriptor in text. */
export async function isSparseExtent(
  source: RandomAccessSource,
  options: AbortOptions = {},
): Promise<boolean> {
  const magic = Buffer.alloc(4)
  await source.read(magic, 0, options)
  return [vmdkMagic, esxSparseMagic].includes(magic.readUInt32LE())
}

/**
 * Reads the header, and the footer where the header says that there is one.
 * @throws DiskError of `readSparseHeader` and `readFooter`
 */
export async function readVmdkHeader(
  source: RandomAccessSource,
  options: AbortOptions = {},
): Promise<SparseHeader> {
  const header = await readSparseHeader(source, options)
  return header.hasFooter ? readFooter(source, header, options) : header
}

/**
 * Reads the header at the start of the file. With a footer, `directoryOffset` is not known yet.
 * @throws DiskError `IMAGE_FORMAT_MISMATCH` without the magic number, `IMAGE_FORMAT_UNSUPPORTED` for an extent of ESX,
 *   `IMAGE_HEADER_INVALID` naming field and byte offset, `IMAGE_UNKNOWN_FEATURE`, `IMAGE_TRUNCATED`
 */
export async function readSparseHeader(
  source: RandomAccessSource,
  options: AbortOptions = {},
): Promise<SparseHeader> {
  const bytes = Buffer.alloc(headerBytes)
  const available = await source.read(bytes, 0, options)
  if (available >= 4 && bytes.readUInt32LE() === esxSparseMagic) {
    throw new DiskError('IMAGE_FORMAT_UNSUPPORTED', `${source.name} is a sparse extent of ESX (COWD).`, {
      hint: 'Convert it where it comes from: vmkfstools -i, or an export as OVF.',
    })
  }
  if (available < 4 || bytes.readUInt32LE() !== vmdkMagic) {
    throw new DiskError('IMAGE_FORMAT_MISMATCH', `${source.name} is not a VMDK: it lacks the magic number.`)
  }
  if (available < headerBytes) {
    throw new DiskError('IMAGE_TRUNCATED', `${source.name} ends inside its VMDK header.`, {
      details: { size: available },
    })
  }
  return decodeHeader(bytes, { name: source.name, start: 0 })
}

/**
 * Reads what ends a stream: footer marker, footer, end-of-stream marker. The footer is the header again, with the place
 * of the grain directory in it, and programs believe the one or the other, so both must say the same.
 * @throws DiskError `IMAGE_TRUNCATED` where they are not the last three sectors, `IMAGE_COPIES_DIFFER`, and what
 *   `readSparseHeader` throws of a header
 */
export async function readFooter(
  source: RandomAccessSource,
  header: SparseHeader,
  options: AbortOptions = {},
): Promise<SparseHeader> {
  const { name } = source
  const start = source.size - footerBytes
  if (start < header.overHead || start % sectorSize !== 0) throw noFooter(name, start)
  const bytes = Buffer.alloc(footerBytes)
  await source.read(bytes, start, options)
  const end = bytes.subarray(2 * sectorSize)
  if (!isFooterMarker(bytes) || !isZero(end) || bytes.readUInt32LE(sectorSize) !== vmdkMagic) {
    throw noFooter(name, start)
  }
  const at = start + sectorSize
  const footer = decodeHeader(bytes.subarray(sectorSize, 2 * sectorSize), { name, start: at })
  const differing = repeated.find((field) => footer[field] !== header[field])
  if (differing !== undefined) {
    throw new DiskError(
      'IMAGE_COPIES_DIFFER',
      `${name}: header and footer disagree about the ${differing}.`,
      {
        details: { offset: at, field: differing },
      },
    )
  }
  if (footer.hasFooter) throw invalid(name, at, 'gdOffset', 'of the footer names another footer')
  return { ...footer, hasFooter: true }
}

/** Everything but the places of the tables. */
const repeated = [
  'version',
  'flags',
  'size',
  'grainSize',
  'descriptorOffset',
  'descriptorSize',
] as const satisfies readonly (keyof SparseHeader)[]

function isFooterMarker(bytes: Buffer): boolean {
  const { val, size, type } = markerFields
  return (
    bytes.readBigUInt64LE(val.offset) === 1n &&
    bytes.readUInt32LE(size.offset) === 0 &&
    bytes.readUInt32LE(type.offset) === markerTypes.footer &&
    isZero(bytes, type.offset + type.size, sectorSize)
  )
}

function noFooter(name: string, start: number): DiskError {
  return new DiskError('IMAGE_TRUNCATED', `${name} does not end with a footer as its header says.`, {
    hint: 'It was probably cut off on its way: compare its size and checksum with those of the original.',
    details: { offset: Math.max(0, start) },
  })
}

function decodeHeader(bytes: Buffer, { name, start }: { name: string; start: number }): SparseHeader {
  const wrong = (field: HeaderFieldName, problem: string) => invalid(name, start, field, problem)
  /** Bytes of a field that counts sectors. */
  const sectors = (field: HeaderFieldName): number => {
    const value = rawField(bytes, field) * BigInt(sectorSize)
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw wrong(field, 'is too large')
    return Number(value)
  }
  const version = Number(rawField(bytes, 'version'))
  if (version < minimumVersion || version > maximumVersion) {
    throw new DiskError(
      'IMAGE_UNKNOWN_FEATURE',
      `${name} is a VMDK of version ${version}; 1 to 3 are read.`,
      {
        details: { offset: start + headerFields.version.offset },
      },
    )
  }
  const flags = Number(rawField(bytes, 'flags'))
  const known = headerFlags.compressed | headerFlags.markers
  const isCompressed = (flags & headerFlags.compressed) !== 0
  if ((flags & incompatibleFlags & ~known) !== 0 || isCompressed !== ((flags & headerFlags.markers) !== 0)) {
    throw new DiskError(
      'IMAGE_UNKNOWN_FEATURE',
      `${name} has the VMDK flags 0x${flags.toString(16)}, not all of which are known here.`,
      { details: { offset: start + headerFields.flags.offset } },
    )
  }
  if (flags & headerFlags.validNewlineTest && rawField(bytes, 'newlineTest') !== BigInt(newlineTest)) {
    throw wrong('newlineTest', 'was changed, as by a transfer in text mode')
  }
  const algorithm = Number(rawField(bytes, 'compressAlgorithm'))
  if (algorithm !== (isCompressed ? compressDeflate : 0)) {
    throw wrong('compressAlgorithm', `is ${algorithm}, against its flag`)
  }
  const size = sectors('capacity')
  if (size === 0) throw wrong('capacity', 'is 0')
  const grainSize = sectors('grainSize')
  const grainSectors = grainSize / sectorSize
  const isPowerOfTwo = Number.isInteger(Math.log2(grainSectors))
  if (!isPowerOfTwo || grainSectors < minimumGrainSize || grainSectors > maximumGrainSize) {
    throw wrong(
      'grainSize',
      `is ${grainSectors}, not a power of two from ${minimumGrainSize} to ${maximumGrainSize}`,
    )
  }
  const entries = Number(rawField(bytes, 'numGTEsPerGT'))
  if (entries !== entriesPerGrainTable)
    throw wrong('numGTEsPerGT', `is ${entries}, not ${entriesPerGrainTable}`)
  const descriptorOffset = sectors('descriptorOffset')
  const descriptorSize = sectors('descriptorSize')
  if (descriptorOffset !== 0 && descriptorOffset !== descriptorSector * sectorSize) {
    throw wrong('descriptorOffset', 'does not point to the second sector')
  }
  if (descriptorSize > maximumDescriptorBytes) throw wrong('descriptorSize', `is ${descriptorSize} bytes`)
  const hasFooter = rawField(bytes, 'gdOffset') === gdAtEnd
  if (hasFooter && !isCompressed) throw wrong('gdOffset', 'names a footer, which only a stream has')
  const redundantDirectoryOffset = flags & headerFlags.redundantGrainTable ? sectors('rgdOffset') : 0
  return {
    version,
    flags,
    size,
    grainSize,
    coverage: grainSize * entriesPerGrainTable,
    descriptorOffset,
    descriptorSize: descriptorOffset === 0 ? 0 : descriptorSize,
    directoryOffset: hasFooter ? 0 : sectors('gdOffset'),
    redundantDirectoryOffset: redundantDirectoryOffset || null,
    overHead: sectors('overHead'),
    isCompressed,
    hasFooter,
    hasZeroGrains: (flags & headerFlags.zeroGrainEntry) !== 0,
    isUnclean: rawField(bytes, 'uncleanShutdown') !== 0n,
  }
}

function rawField(bytes: Buffer, field: HeaderFieldName): bigint {
  const { offset, size } = headerFields[field]
  return size === 8 ? bytes.readBigUInt64LE(offset) : BigInt(bytes.readUIntLE(offset, size))
}

function invalid(name: string, start: number, field: HeaderFieldName, problem: string): DiskError {
  return new DiskError('IMAGE_HEADER_INVALID', `${name}: the VMDK header field ${field} ${problem}.`, {
    details: { field, offset: start + headerFields[field].offset },
  })
}

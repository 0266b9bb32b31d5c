import { deflateSync } from 'node:zlib'
import { type HeaderFieldName, headerFields } from '../../src/disk/vmdk/vmdk-layout.ts'

/**
 * A small valid VMDK in memory, made byte by byte from the specification and not by our own writers, to be spoilt in one place.
 * Grains have 4 KiB.
 *
 * - `sparse`: monolithicSparse, with both copies of the tables in front
 * - `stream`: streamOptimized, with its tables behind the grains and a footer
 * - `front`: streamOptimized as QEMU writes it, with its tables in front and no markers but those of the grains
 */
export type VmdkKind = 'sparse' | 'stream' | 'front'

export interface VmdkSketch {
  bytes: Buffer
  readonly kind: VmdkKind
  /** Bytes in the file; 0 for what the kind does not have. */
  readonly places: {
    readonly redundantDirectory: number
    readonly redundantTable: number
    readonly directory: number
    readonly table: number
    /** Of each grain, or of its marker. */
    readonly grains: readonly number[]
    readonly tableMarker: number
    readonly directoryMarker: number
    readonly footerMarker: number
    readonly footer: number
    readonly end: number
  }
}

export interface VmdkSketchOptions {
  kind?: VmdkKind
  /** What the grains of the disk hold; null for one that is not there. Two of letters with one between by default. */
  grains?: readonly (Buffer | null)[]
  /** Sectors; all of the grains by default. */
  sectors?: number
  version?: number
  /** Instead of the usual descriptor. */
  descriptor?: string
}

export const sector = 512
export const grainBytes = 4096
const grainSectors = grainBytes / sector
const tableBytes = 2048
const descriptorSectors = 2
/** Of a stream. */
const compressedFlags = 0x3_0001
const gdAtEnd = 0xffff_ffff_ffff_ffffn

export const letters = (letter: string) => Buffer.alloc(grainBytes, letter)

export function sketchVmdk(options: VmdkSketchOptions = {}): VmdkSketch {
  const {
    kind = 'sparse',
    grains = [letters('A'), null, letters('B')],
    version = kind === 'stream' ? 3 : 1,
  } = options
  const sectors = options.sectors ?? grains.length * grainSectors
  const parts: Buffer[] = []
  let length = 0
  const put = (part: Buffer): number => {
    const place = length
    const padded = Buffer.concat([part], Math.ceil(part.length / sector) * sector)
    parts.push(padded)
    length += padded.length
    return place
  }
  const table = Buffer.alloc(tableBytes)
  const directory = Buffer.alloc(Math.ceil(sectors / (grainSectors * 512)) * 4)
  const described = options.descriptor ?? describeVmdk({ kind, sectors })
  put(Buffer.alloc(sector))
  put(Buffer.concat([Buffer.from(described, 'latin1')], descriptorSectors * sector))

  const inFront = kind !== 'stream'
  const redundantDirectory = kind === 'sparse' ? put(directory) : 0
  const redundantTable = kind === 'sparse' ? put(table) : 0
  let directoryPlace = inFront ? put(directory) : 0
  let tablePlace = inFront ? put(table) : 0
  if (inFront) put(Buffer.alloc((grainBytes - (length % grainBytes)) % grainBytes))
  const overHead = length
  const places = grains.map((grain, index) => {
    if (!grain) return 0
    return put(kind === 'sparse' ? grain : compressedGrain(index * grainSectors, deflateSync(grain)))
  })
  places.forEach((place, index) => {
    table.writeUInt32LE(place / sector, index * 4)
  })
  const behind = { tableMarker: 0, directoryMarker: 0, footerMarker: 0, footer: 0, end: 0 }
  if (!inFront) {
    behind.tableMarker = put(marker(1, 4))
    tablePlace = put(table)
    behind.directoryMarker = put(marker(2, 1))
    directoryPlace = put(directory)
    behind.footerMarker = put(marker(3, 1))
    behind.footer = put(Buffer.alloc(sector))
  }
  if (kind !== 'sparse') behind.end = put(Buffer.alloc(sector))

  const bytes = Buffer.concat(parts)
  const sketch: VmdkSketch = {
    bytes,
    kind,
    places: {
      redundantDirectory,
      redundantTable,
      directory: directoryPlace,
      table: tablePlace,
      grains: places,
      ...behind,
    },
  }
  table.copy(bytes, tablePlace)
  bytes.writeUInt32LE(tablePlace / sector, directoryPlace)
  if (redundantTable > 0) {
    table.copy(bytes, redundantTable)
    bytes.writeUInt32LE(redundantTable / sector, redundantDirectory)
  }
  const headers: [at: number, gdOffset: bigint][] = inFront
    ? [[0, BigInt(directoryPlace / sector)]]
    : [
        [0, gdAtEnd],
        [behind.footer, BigInt(directoryPlace / sector)],
      ]
  for (const [at, gdOffset] of headers) {
    setHeader(sketch, 'magicNumber', 0x564d444b, at)
    setHeader(sketch, 'version', version, at)
    setHeader(sketch, 'flags', kind === 'sparse' ? 3 : compressedFlags, at)
    setHeader(sketch, 'capacity', sectors, at)
    setHeader(sketch, 'grainSize', grainSectors, at)
    setHeader(sketch, 'descriptorOffset', 1, at)
    setHeader(sketch, 'descriptorSize', descriptorSectors, at)
    setHeader(sketch, 'numGTEsPerGT', 512, at)
    setHeader(sketch, 'rgdOffset', redundantDirectory / sector, at)
    setHeader(sketch, 'gdOffset', gdOffset, at)
    setHeader(sketch, 'overHead', overHead / sector, at)
    setHeader(sketch, 'newlineTest', 0x0a0d200a, at)
    setHeader(sketch, 'compressAlgorithm', kind === 'sparse' ? 0 : 1, at)
  }
  return sketch
}

export interface DescribedVmdk {
  kind?: VmdkKind
  sectors?: number
  createType?: string
  /** Instead of the one extent of the disk. */
  extents?: readonly string[]
  parentCid?: string
  /** Lines at the end. */
  more?: string
}

export function describeVmdk(options: DescribedVmdk = {}): string {
  const { kind = 'sparse', sectors = 24, parentCid = 'ffffffff', more = '' } = options
  const createType = options.createType ?? (kind === 'sparse' ? 'monolithicSparse' : 'streamOptimized')
  const extents = options.extents ?? [`RW ${sectors} SPARSE "disk.vmdk"`]
  return `# Disk DescriptorFile
version=1
CID=12345678
parentCID=${parentCid}
createType="${createType}"

# Extent description
${extents.join('\n')}

# The Disk Data Base
#DDB
ddb.adapterType = "ide"
${more}`
}

/** Writes a header field, whatever it does to the image; `at` is 0 or the place of the footer. */
export function setHeader(
  { bytes }: VmdkSketch,
  name: HeaderFieldName,
  value: number | bigint,
  at = 0,
): void {
  const { offset, size } = headerFields[name]
  if (size === 8) bytes.writeBigUInt64LE(BigInt(value), at + offset)
  else bytes.writeUIntLE(Number(value), at + offset, size)
}

/** A marker of a table or of the end. */
export function marker(type: number, sectors: number): Buffer {
  const bytes = Buffer.alloc(sector)
  bytes.writeBigUInt64LE(BigInt(sectors), 0)
  bytes.writeUInt32LE(type, 12)
  return bytes
}

/** A grain with its marker, not padded. */
export function compressedGrain(place: number, data: Buffer): Buffer {
  const head = Buffer.alloc(12)
  head.writeBigUInt64LE(BigInt(place), 0)
  head.writeUInt32LE(data.length, 8)
  return Buffer.concat([head, data])
}

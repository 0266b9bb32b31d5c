import { KiB, MiB } from '../../src/core/bytes.ts'
import { encodeGuid } from '../../src/disk/guid.ts'
import { seal } from '../../src/disk/vhdx/vhdx-fields.ts'
import {
  header,
  headerFields,
  log,
  type MetadataItemName,
  metadataItems,
  metadataTable,
  regionGuids,
  regionTable,
} from '../../src/disk/vhdx/vhdx-layout.ts'

/**
 * A small valid VHDX image in memory, made byte by byte from the specification and not by our own writer, to be spoilt in
 * one place. MiB by MiB: headers and region tables, log, BAT, metadata, data; the last block ends where the disk does.
 */
export interface VhdxSketch {
  bytes: Buffer
  readonly blockSize: number
  /** Where the entry of a region in the first table is; the second has it 64 KiB further on. */
  readonly regions: { readonly bat: number; readonly metadata: number }
  /** Where the items of the metadata are. */
  readonly items: Readonly<Record<MetadataItemName, number>>
  /** Where the entries of the metadata table are. */
  readonly itemEntries: Readonly<Record<MetadataItemName, number>>
}

export interface VhdxSketchOptions {
  /** Bytes of the disk; one block and 4 KiB by default. */
  size?: number
  blockSize?: number
  sectorSize?: 512 | 4096
  fixed?: boolean
  /** What each block holds, null for one that is not present; the letters A, B, ... by default. */
  blocks?: readonly (Buffer | null)[]
  /** MiB of the log. */
  logMebibytes?: number
  /** MiB of nothing between the metadata and the data. */
  gap?: number
}

export const places = { log: MiB, headers: header.offsets, regionTables: regionTable.offsets } as const

/** The state "fully present". */
export const present = 6n

export function sketchVhdx(options: VhdxSketchOptions = {}): VhdxSketch {
  const { blockSize = MiB, sectorSize = 512, fixed = false, logMebibytes = 1, gap = 0 } = options
  const { size = blockSize + 4 * KiB } = options
  const blocks = Math.ceil(size / blockSize)
  const bat = places.log + logMebibytes * MiB
  const metadata = bat + MiB
  const data = metadata + (1 + gap) * MiB
  const content = options.blocks ?? Array.from({ length: blocks }, (_, block) => letters(block, blockSize))
  const stored = content.flatMap((block, index) => (block ? [{ block, index }] : []))
  const last = stored.at(-1)
  const lastBytes = last ? Math.min(blockSize, size - last.index * blockSize) : 0
  const end = data + Math.max(0, stored.length - 1) * blockSize + lastBytes
  const bytes = Buffer.alloc(end)

  bytes.write('vhdxfile', 0, 'latin1')
  bytes.write('by hand', 8, 'utf16le')
  header.offsets.forEach((offset, index) => {
    const copy = bytes.subarray(offset, offset + header.bytes)
    copy.write('head', 0, 'latin1')
    copy.writeBigUInt64LE(BigInt(index + 7), headerFields.sequenceNumber.offset)
    copy.writeUInt16LE(1, headerFields.version.offset)
    copy.writeUInt32LE(logMebibytes * MiB, headerFields.logLength.offset)
    copy.writeBigUInt64LE(BigInt(places.log), headerFields.logOffset.offset)
  })
  for (const offset of regionTable.offsets) {
    bytes.write('regi', offset, 'latin1')
    bytes.writeUInt32LE(2, offset + 8)
    writeRegion(bytes, offset + 16, { guid: regionGuids.bat, place: bat })
    writeRegion(bytes, offset + 48, { guid: regionGuids.metadata, place: metadata })
  }
  const { items, itemEntries } = writeMetadata(bytes, metadata, {
    fileParameters: [blockSize, fixed ? 1 : 0],
    virtualDiskSize: [size % 2 ** 32, Math.floor(size / 2 ** 32)],
    virtualDiskId: [1, 2, 3, 4],
    logicalSectorSize: [sectorSize],
    physicalSectorSize: [4096],
  })
  const [firstTable] = regionTable.offsets
  const regions = { bat: firstTable + 16, metadata: firstTable + 48 }
  const sketch: VhdxSketch = { bytes, blockSize, regions, items, itemEntries }
  const ratio = (2 ** 23 * sectorSize) / blockSize
  stored.forEach(({ block, index }, ordinal) => {
    const place = data + ordinal * blockSize
    block.copy(bytes, place)
    setBatEntry(sketch, index + Math.floor(index / ratio), present, place)
  })
  resealVhdx(bytes)
  return sketch
}

/** The place of a region, by the first table. */
export function regionPlace({ bytes, regions }: VhdxSketch, region: 'bat' | 'metadata'): number {
  return Number(bytes.readBigUInt64LE(regions[region] + 16))
}

/** Writes an entry of the BAT by its number. */
export function setBatEntry(sketch: VhdxSketch, entry: number, state: bigint, place = 0): void {
  const value = (BigInt(place / MiB) << 20n) | state
  sketch.bytes.writeBigUInt64LE(value, regionPlace(sketch, 'bat') + entry * 8)
}

/** Writes into both headers, and seals them. */
export function setHeaderField({ bytes }: VhdxSketch, field: keyof typeof headerFields, value: bigint): void {
  for (const start of header.offsets) {
    const at = start + headerFields[field].offset
    if (headerFields[field].size === 8) bytes.writeBigUInt64LE(value, at)
    else bytes.writeUIntLE(Number(value), at, Math.min(6, headerFields[field].size))
  }
  resealVhdx(bytes)
}

/** Changes both region tables alike, and seals them; `change` is given where one begins. */
export function changeRegionTables({ bytes }: VhdxSketch, change: (table: number) => void): void {
  for (const offset of regionTable.offsets) change(offset)
  resealVhdx(bytes)
}

/** Makes all checksums right that stand where there is a signature: of headers, region tables and entries of the log. */
export function resealVhdx(bytes: Buffer): void {
  const sealAt = (offset: number, length: number, signature: string) => {
    if (bytes.toString('latin1', offset, offset + 4) !== signature) return
    if (offset + length <= bytes.length) seal(bytes.subarray(offset, offset + length))
  }
  for (const offset of header.offsets) sealAt(offset, header.bytes, header.signature)
  for (const offset of regionTable.offsets) sealAt(offset, regionTable.bytes, regionTable.signature)
  for (let at = places.log; at + log.sectorBytes <= Math.min(bytes.length, 2 * MiB); at += log.sectorBytes) {
    const length = bytes.readUInt32LE(at + 8)
    if (length >= log.sectorBytes && length <= MiB) sealAt(at, length, log.entrySignature)
  }
}

function letters(block: number, length: number): Buffer {
  return Buffer.alloc(length, 0x41 + (block % 26))
}

function writeRegion(bytes: Buffer, at: number, { guid, place }: { guid: string; place: number }): void {
  encodeGuid(guid).copy(bytes, at)
  bytes.writeBigUInt64LE(BigInt(place), at + 16)
  bytes.writeUInt32LE(MiB, at + 24)
  bytes.writeUInt32LE(1, at + 28)
}

/** Items of so many words of 32 bits, from 64 KiB on. */
function writeMetadata(
  bytes: Buffer,
  region: number,
  values: Readonly<Record<MetadataItemName, readonly number[]>>,
): Pick<VhdxSketch, 'items' | 'itemEntries'> {
  bytes.write('metadata', region, 'latin1')
  bytes.writeUInt16LE(Object.keys(values).length, region + 10)
  let entry = region + 32
  let place = region + metadataTable.bytes
  const write = (name: MetadataItemName): readonly [item: number, entry: number] => {
    const written = [place, entry] as const
    const words = values[name]
    encodeGuid(metadataItems[name].id).copy(bytes, entry)
    bytes.writeUInt32LE(place - region, entry + 16)
    bytes.writeUInt32LE(words.length * 4, entry + 20)
    bytes.writeUInt32LE(metadataItems[name].flags, entry + 24)
    for (const word of words) place = bytes.writeUInt32LE(word, place)
    entry += metadataTable.entryBytes
    return written
  }
  const parameters = write('fileParameters')
  const size = write('virtualDiskSize')
  const id = write('virtualDiskId')
  const logical = write('logicalSectorSize')
  const physical = write('physicalSectorSize')
  const part = (index: 0 | 1) => ({
    fileParameters: parameters[index],
    virtualDiskSize: size[index],
    virtualDiskId: id[index],
    logicalSectorSize: logical[index],
    physicalSectorSize: physical[index],
  })
  return { items: part(0), itemEntries: part(1) }
}

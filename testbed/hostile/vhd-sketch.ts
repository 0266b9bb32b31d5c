import { KiB } from '../../src/core/bytes.ts'
import { vhdChecksum } from '../../src/disk/vhd/vhd-checksum.ts'
import {
  type DynamicFieldName,
  dynamicFields,
  type FooterFieldName,
  footerFields,
} from '../../src/disk/vhd/vhd-layout.ts'

/** A small valid VHD in memory, made from the specification and not by our own writer, to be spoilt. */
export interface VhdSketch {
  bytes: Buffer
  /** Where the footer stands, its copy first where there is one. */
  readonly footers: readonly number[]
  /** Of a dynamic image. */
  readonly header: number
  readonly table: number
}

export interface VhdSketchOptions {
  /** Bytes of the disk. */
  size?: number
  blockSize?: number
  /**
   * For each block of the disk whether it is in the file; by default the last one alone, which is short. Written one after
   * the other, each full of its own letter.
   */
  stored?: readonly boolean[]
  /** Entries of the table beyond those of the disk's blocks. */
  spareEntries?: number
  /** The bitmap of every block. */
  bitmap?: number
}

const headerOffset = 512
const tableOffset = 1536
export const smallBlock = 512 * KiB

export function sketchFixedVhd(disk: Buffer = Buffer.alloc(4 * KiB, 'A')): VhdSketch {
  const sketch = {
    bytes: Buffer.concat([disk, Buffer.alloc(512)]),
    footers: [disk.length],
    header: Number.NaN,
    table: Number.NaN,
  }
  writeFooter(sketch, { type: 2, size: disk.length, dataOffset: 0xffff_ffff_ffff_ffffn })
  return sketch
}

export function sketchDynamicVhd(options: VhdSketchOptions = {}): VhdSketch {
  const { blockSize = smallBlock, size = 2 * blockSize + 5 * 512, spareEntries = 0, bitmap = 0xff } = options
  const blocks = Math.ceil(size / blockSize)
  const stored = options.stored ?? Array.from({ length: blocks }, (_, index) => index === blocks - 1)
  const tableBytes = Math.ceil(((blocks + spareEntries) * 4) / 512) * 512
  const bitmapBytes = Math.ceil(blockSize / 512 / 8 / 512) * 512
  const parts: Buffer[] = [Buffer.alloc(tableOffset), Buffer.alloc(tableBytes, 0xff)]
  let end = tableOffset + tableBytes
  const entries = stored.map((isStored, index) => {
    if (!isStored) return 0xffff_ffff
    const entry = end / 512
    const isLast = index === blocks - 1 && !stored.slice(index + 1).includes(true)
    const length = isLast ? size - index * blockSize : blockSize
    parts.push(Buffer.alloc(bitmapBytes, bitmap), Buffer.alloc(length, 65 + index))
    end += bitmapBytes + length
    return entry
  })
  parts.push(Buffer.alloc(512))
  const sketch = { bytes: Buffer.concat(parts), footers: [0, end], header: headerOffset, table: tableOffset }
  writeFooter(sketch, { type: 3, size, dataOffset: BigInt(headerOffset) })
  sketch.bytes.write('cxsparse', headerOffset, 'latin1')
  setVhdHeaderField(sketch, 'data_offset', 0xffff_ffff_ffff_ffffn)
  setVhdHeaderField(sketch, 'table_offset', tableOffset)
  setVhdHeaderField(sketch, 'header_version', 0x00010000)
  setVhdHeaderField(sketch, 'max_table_entries', blocks + spareEntries)
  setVhdHeaderField(sketch, 'block_size', blockSize)
  entries.forEach((entry, index) => {
    setTableEntry(sketch, index, entry)
  })
  return sketch
}

/** Writes a field of the footer, in its copy too, with a right checksum unless it is the checksum itself. */
export function setFooterField(
  { bytes, footers }: VhdSketch,
  name: FooterFieldName,
  value: number | bigint,
): void {
  for (const start of footers) {
    const footer = bytes.subarray(start, start + 512)
    put(footer, footerFields[name], value)
    if (name !== 'checksum') put(footer, footerFields.checksum, vhdChecksum(footer, footerFields.checksum))
  }
}

/** Writes a field of the header, with a right checksum unless it is the checksum itself. */
export function setVhdHeaderField(
  { bytes, header: start }: VhdSketch,
  name: DynamicFieldName,
  value: number | bigint,
): void {
  const header = bytes.subarray(start, start + 1024)
  put(header, dynamicFields[name], value)
  if (name !== 'checksum') put(header, dynamicFields.checksum, vhdChecksum(header, dynamicFields.checksum))
}

export function setTableEntry({ bytes, table }: VhdSketch, index: number, entry: number): void {
  bytes.writeUInt32BE(entry, table + index * 4)
}

/** Computes the checksums of whatever footers and headers there are anew, so that a change is seen for what it is. */
export function resealVhd(bytes: Buffer): void {
  for (const start of [0, bytes.length - 512, bytes.length - 511]) {
    const footer = bytes.subarray(Math.max(0, start), Math.max(0, start) + 512)
    if (footer.length >= 511 && footer.toString('latin1', 0, 8) === 'conectix') {
      put(footer, footerFields.checksum, vhdChecksum(footer, footerFields.checksum))
    }
  }
  const header = bytes.subarray(headerOffset, headerOffset + 1024)
  if (header.length === 1024) put(header, dynamicFields.checksum, vhdChecksum(header, dynamicFields.checksum))
}

function writeFooter(
  sketch: VhdSketch,
  { type, size, dataOffset }: { type: number; size: number; dataOffset: bigint },
): void {
  for (const start of sketch.footers) {
    sketch.bytes.write('conectix', start, 'latin1')
    sketch.bytes.write('win ', start + 28, 'latin1')
    sketch.bytes.write('Wi2k', start + 36, 'latin1')
    sketch.bytes.fill(0x5a, start + 68, start + 84)
  }
  setFooterField(sketch, 'features', 2)
  setFooterField(sketch, 'file_format_version', 0x00010000)
  setFooterField(sketch, 'data_offset', dataOffset)
  setFooterField(sketch, 'original_size', size)
  setFooterField(sketch, 'current_size', size)
  setFooterField(sketch, 'cylinders', 1)
  setFooterField(sketch, 'heads', 4)
  setFooterField(sketch, 'sectors_per_track', 17)
  setFooterField(sketch, 'disk_type', type)
}

function put(
  structure: Buffer,
  field: { offset: number; size: 1 | 2 | 4 | 8 },
  value: number | bigint,
): void {
  if (field.size === 8) structure.writeBigUInt64BE(BigInt(value), field.offset)
  else structure.writeUIntBE(Number(value), field.offset, field.size)
}

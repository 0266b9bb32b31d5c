import { damaged } from './damaged.ts'
import type { Inode } from './inode.ts'
import { blockAreaSize, inodeOffsets, smallInodeSize } from './layout.ts'

/** Byte range inside an inode's record. */
export interface RecordRange {
  readonly start: number
  readonly end: number
}

/**
 * Where an inode with the flag `inline_data` keeps its content: in `i_block`, and behind that in the value of the
 * attribute `system.data` in the inode's own body ("Inline Data").
 */
export function inlineDataRanges(inode: Inode): RecordRange[] {
  const ranges: RecordRange[] = [{ start: inodeOffsets.block, end: inodeOffsets.block + blockAreaSize }]
  const value = inBodyAttributes(inode).find(({ index, name }) => index === systemIndex && name === 'data')
  if (value && value.end > value.start) ranges.push({ start: value.start, end: value.end })
  return ranges
}

export function readInlineData(inode: Inode): Uint8Array {
  const parts = inlineDataRanges(inode).map(({ start, end }) => inode.record.subarray(start, end))
  const bytes = Buffer.concat(parts)
  if (inode.size > bytes.length) throw damaged(`inode ${inode.number} claims more inline data than it holds`)
  return bytes.subarray(0, inode.size)
}

interface InBodyAttribute extends RecordRange {
  readonly index: number
  readonly name: string
}

const systemIndex = 7
const attributeMagic = 0xea02_0000
const attributeEntrySize = 16

/** "Extended Attributes": struct ext4_xattr_ibody_header and ext4_xattr_entry, values counted from the first entry. */
function inBodyAttributes({ record, number }: Inode): InBodyAttribute[] {
  if (record.length <= smallInodeSize) return []
  const view = new DataView(record.buffer, record.byteOffset, record.byteLength)
  const header = smallInodeSize + view.getUint16(inodeOffsets.extraSize, true)
  if (header + 8 > record.length || view.getUint32(header, true) !== attributeMagic) return []
  const firstEntry = header + 4
  const found: InBodyAttribute[] = []
  let offset = firstEntry
  while (offset + 4 <= record.length && view.getUint32(offset, true) !== 0) {
    const nameEnd = offset + attributeEntrySize + view.getUint8(offset)
    if (nameEnd > record.length) throw damaged(`the attributes of inode ${number} leave it`)
    const start = firstEntry + view.getUint16(offset + 2, true)
    const storedElsewhere = view.getUint32(offset + 4, true) !== 0
    const end = start + (storedElsewhere ? 0 : view.getUint32(offset + 8, true))
    if (end > record.length) throw damaged(`the attributes of inode ${number} leave it`)
    found.push({
      index: view.getUint8(offset + 1),
      name: Buffer.from(record.subarray(offset + attributeEntrySize, nameEnd)).toString('latin1'),
      start,
      end,
    })
    offset = firstEntry + Math.ceil((nameEnd - firstEntry) / 4) * 4
  }
  return found
}

import type { AbortOptions } from '../../core/abort.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { blockEntryBytes } from '../blocks/block-map.ts'
import { DiskError } from '../errors.ts'
import { vhdChecksum } from './vhd-checksum.ts'
import type { VhdFooter } from './vhd-footer.ts'
import {
  type DynamicFieldName,
  dynamicCookie,
  dynamicFields,
  dynamicHeaderBytes,
  fileFormatVersion,
  footerBytes,
  maximumDynamicSize,
  maximumTableEntries,
  maximumVhdBlockSize,
  minimumVhdBlockSize,
  vhdSectorSize,
} from './vhd-layout.ts'

/** What the header of a dynamic image says about its blocks. */
export interface VhdDynamicHeader {
  readonly tableOffset: number
  readonly tableEntries: number
  /** Blocks of the disk: what is read of the table. */
  readonly neededEntries: number
  readonly blockSize: number
  /** Of the bitmap before the data of each block: a bit per sector, padded to a sector. */
  readonly bitmapBytes: number
}

/**
 * Reads the header of a dynamic image: one read.
 * @throws DiskError `IMAGE_HEADER_INVALID` naming field and byte offset, `IMAGE_CHECKSUM_WRONG`, `IMAGE_UNKNOWN_FEATURE`
 *   for another version, `IMAGE_OFFSET_OUT_OF_FILE`, `IMAGE_OVERLAP`, `IMAGE_TABLES_LIMIT`, `IMAGE_SIZE_LIMIT`
 */
export async function readDynamicHeader(
  source: RandomAccessSource,
  footer: VhdFooter,
  options: AbortOptions = {},
): Promise<VhdDynamicHeader> {
  const { name } = source
  const start = footer.dataOffset
  const fail = (code: HeaderErrorCode, problem: string, offset: number): DiskError =>
    new DiskError(code, `${name}: ${problem}.`, { details: { offset } })
  if (start % vhdSectorSize !== 0 || start < footerBytes) {
    throw fail(
      'IMAGE_HEADER_INVALID',
      `by the VHD footer the header stands at byte ${start}`,
      footer.offset + 16,
    )
  }
  if (start + dynamicHeaderBytes > footer.offset) {
    throw fail('IMAGE_OFFSET_OUT_OF_FILE', 'the header of the VHD lies outside the file', footer.offset + 16)
  }
  const bytes = Buffer.alloc(dynamicHeaderBytes)
  await source.read(bytes, start, options)
  const place = (field: DynamicFieldName) => start + dynamicFields[field].offset
  const number = (field: DynamicFieldName) => {
    const { offset, size } = dynamicFields[field]
    return size === 8 ? Number(bytes.readBigUInt64BE(offset)) : bytes.readUInt32BE(offset)
  }
  if (bytes.toString('latin1', 0, dynamicCookie.length) !== dynamicCookie) {
    throw fail('IMAGE_HEADER_INVALID', 'the header of the VHD lacks its signature', start)
  }
  if (number('checksum') !== vhdChecksum(bytes, dynamicFields.checksum)) {
    throw fail('IMAGE_CHECKSUM_WRONG', 'the checksum of the VHD header is wrong', place('checksum'))
  }
  if (number('header_version') >>> 16 !== fileFormatVersion >>> 16) {
    throw fail('IMAGE_UNKNOWN_FEATURE', 'the VHD header has an unknown version', place('header_version'))
  }
  if (footer.size > maximumDynamicSize) {
    throw fail(
      'IMAGE_SIZE_LIMIT',
      'the disk is larger than the 2040 GiB of a dynamic VHD',
      footer.offset + 48,
    )
  }
  const blockSize = number('block_size')
  const isPowerOfTwo = Number.isInteger(Math.log2(blockSize))
  if (!isPowerOfTwo || blockSize < minimumVhdBlockSize || blockSize > maximumVhdBlockSize) {
    throw fail('IMAGE_HEADER_INVALID', `the block size of the VHD is ${blockSize}`, place('block_size'))
  }
  const tableEntries = number('max_table_entries')
  const neededEntries = Math.ceil(footer.size / blockSize)
  if (tableEntries < neededEntries) {
    const problem = `the VHD has a table for ${tableEntries} blocks, and its disk has ${neededEntries}`
    throw fail('IMAGE_HEADER_INVALID', problem, place('max_table_entries'))
  }
  if (tableEntries > maximumTableEntries) {
    const problem = `the VHD has a table for ${tableEntries} blocks`
    throw fail('IMAGE_TABLES_LIMIT', problem, place('max_table_entries'))
  }
  const tableOffset = number('table_offset')
  const tableEnd = tableOffset + tableEntries * blockEntryBytes
  if (tableOffset % vhdSectorSize !== 0) {
    throw fail(
      'IMAGE_HEADER_INVALID',
      `the table of the VHD is at byte ${tableOffset}`,
      place('table_offset'),
    )
  }
  if (tableEnd > footer.offset) {
    throw fail(
      'IMAGE_OFFSET_OUT_OF_FILE',
      'the table of the VHD lies outside the file',
      place('table_offset'),
    )
  }
  const liesOnHeader = tableOffset < start + dynamicHeaderBytes && tableEnd > start
  if (tableOffset < footerBytes || liesOnHeader) {
    throw fail('IMAGE_OVERLAP', 'the table of the VHD lies on its header', place('table_offset'))
  }
  const bitmapBytes = Math.ceil(blockSize / vhdSectorSize / 8 / vhdSectorSize) * vhdSectorSize
  return { tableOffset, tableEntries, neededEntries, blockSize, bitmapBytes }
}

type HeaderErrorCode =
  | 'IMAGE_HEADER_INVALID'
  | 'IMAGE_CHECKSUM_WRONG'
  | 'IMAGE_UNKNOWN_FEATURE'
  | 'IMAGE_OFFSET_OUT_OF_FILE'
  | 'IMAGE_OVERLAP'
  | 'IMAGE_TABLES_LIMIT'
  | 'IMAGE_SIZE_LIMIT'

import type { AbortOptions } from '../../core/abort.ts'
import { roundUp } from '../../core/bytes.ts'
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
  footerFields,
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
  const { dataOffset: start } = footer
  const must: Must = (isRight, code, { problem, offset }) => {
    if (!isRight) throw new DiskError(code, `${source.name}: ${problem}.`, { details: { offset } })
  }
  checkFooter(footer, must)
  const bytes = Buffer.alloc(dynamicHeaderBytes)
  await source.read(bytes, start, options)
  const number = (field: DynamicFieldName) => {
    const { offset, size } = dynamicFields[field]
    return size === 8 ? Number(bytes.readBigUInt64BE(offset)) : bytes.readUInt32BE(offset)
  }
  const at = (field: DynamicFieldName, problem: string) => {
    return { problem, offset: start + dynamicFields[field].offset }
  }
  const cookie = bytes.toString('latin1', 0, dynamicCookie.length)
  must(cookie === dynamicCookie, 'IMAGE_HEADER_INVALID', at('cookie', 'the VHD header lacks its signature'))
  const isSummed = number('checksum') === vhdChecksum(bytes, dynamicFields.checksum)
  must(isSummed, 'IMAGE_CHECKSUM_WRONG', at('checksum', 'the checksum of the VHD header is wrong'))
  const isKnown = number('header_version') >>> 16 === fileFormatVersion >>> 16
  must(isKnown, 'IMAGE_UNKNOWN_FEATURE', at('header_version', 'the VHD header has an unknown version'))

  const blockSize = number('block_size')
  const isBlockSize =
    Number.isInteger(Math.log2(blockSize)) &&
    blockSize >= minimumVhdBlockSize &&
    blockSize <= maximumVhdBlockSize
  must(isBlockSize, 'IMAGE_HEADER_INVALID', at('block_size', `the block size of the VHD is ${blockSize}`))
  const tableEntries = number('max_table_entries')
  const neededEntries = Math.ceil(footer.size / blockSize)
  const size = at(
    'max_table_entries',
    `the VHD has a table for ${tableEntries} blocks, and its disk has ${neededEntries}`,
  )
  must(tableEntries >= neededEntries, 'IMAGE_HEADER_INVALID', size)
  must(tableEntries <= maximumTableEntries, 'IMAGE_TABLES_LIMIT', size)
  const tableOffset = number('table_offset')
  const tableEnd = tableOffset + tableEntries * blockEntryBytes
  const place = at('table_offset', `the table of the VHD is at bytes ${tableOffset} to ${tableEnd}`)
  must(tableOffset % vhdSectorSize === 0, 'IMAGE_HEADER_INVALID', place)
  must(tableEnd <= footer.offset, 'IMAGE_OFFSET_OUT_OF_FILE', place)
  const isOffHeader = tableOffset >= start + dynamicHeaderBytes || tableEnd <= start
  must(tableOffset >= footerBytes && isOffHeader, 'IMAGE_OVERLAP', place)
  const bitmapBytes = roundUp(blockSize / vhdSectorSize / 8, vhdSectorSize)
  return { tableOffset, tableEntries, neededEntries, blockSize, bitmapBytes }
}

type Must = (
  isRight: boolean,
  code:
    | 'IMAGE_HEADER_INVALID'
    | 'IMAGE_CHECKSUM_WRONG'
    | 'IMAGE_UNKNOWN_FEATURE'
    | 'IMAGE_OFFSET_OUT_OF_FILE'
    | 'IMAGE_OVERLAP'
    | 'IMAGE_TABLES_LIMIT'
    | 'IMAGE_SIZE_LIMIT',
  found: { readonly problem: string; readonly offset: number },
) => void

/** What the footer says about a dynamic image and must be right before its header is read. */
function checkFooter({ dataOffset, size, offset }: VhdFooter, must: Must): void {
  const place = {
    problem: `by the VHD footer the header stands at byte ${dataOffset}`,
    offset: offset + footerFields.data_offset.offset,
  }
  must(dataOffset % vhdSectorSize === 0 && dataOffset >= footerBytes, 'IMAGE_HEADER_INVALID', place)
  must(dataOffset + dynamicHeaderBytes <= offset, 'IMAGE_OFFSET_OUT_OF_FILE', place)
  must(size <= maximumDynamicSize, 'IMAGE_SIZE_LIMIT', {
    problem: 'the disk is larger than the 2040 GiB of a dynamic VHD',
    offset: offset + footerFields.current_size.offset,
  })
}

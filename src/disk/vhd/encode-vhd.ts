import { vhdChecksum } from './vhd-checksum.ts'
import { exactGeometry } from './vhd-geometry.ts'
import {
  type DynamicFieldName,
  defaultVhdBlockSize,
  diskTypes,
  dynamicCookie,
  dynamicFields,
  dynamicHeaderBytes,
  type FooterFieldName,
  fileFormatVersion,
  footerBytes,
  footerCookie,
  footerFields,
  noDataOffset,
  reservedFeature,
  uniqueIdOffset,
  vhdEpoch,
} from './vhd-layout.ts'

export interface VhdFooterValues {
  readonly type: 'fixed' | 'dynamic'
  readonly size: number
  readonly uniqueId: string
  readonly createdAt: Date
}

/** "imgw": nobody knows it, so QEMU goes by the geometry, which either says the exact size or stands for the field. */
const creatorApplication = 0x696d6777
const creatorVersion = 0x00010000
/** "Wi2k": the specification knows Windows and Macintosh. */
const creatorHostOs = 0x5769326b

export function encodeVhdFooter({ type, size, uniqueId, createdAt }: VhdFooterValues): Buffer {
  const footer = Buffer.alloc(footerBytes)
  const put = (field: FooterFieldName, value: bigint | number) => {
    const { offset, size: width } = footerFields[field]
    if (width === 8) footer.writeBigUInt64BE(BigInt(value), offset)
    else footer.writeUIntBE(Number(value), offset, width)
  }
  const { cylinders, heads, sectorsPerTrack } = exactGeometry(size)
  footer.write(footerCookie, 0, 'latin1')
  put('features', reservedFeature)
  put('file_format_version', fileFormatVersion)
  put('data_offset', type === 'fixed' ? noDataOffset : footerBytes)
  // A machine without a clock of its own is in 1970.
  put('time_stamp', Math.max(0, Math.floor((createdAt.getTime() - vhdEpoch) / 1000)))
  put('creator_application', creatorApplication)
  put('creator_version', creatorVersion)
  put('creator_host_os', creatorHostOs)
  put('original_size', size)
  put('current_size', size)
  put('cylinders', cylinders)
  put('heads', heads)
  put('sectors_per_track', sectorsPerTrack)
  put('disk_type', diskTypes[type])
  Buffer.from(uniqueId.replaceAll('-', ''), 'hex').copy(footer, uniqueIdOffset)
  put('checksum', vhdChecksum(footer, footerFields.checksum))
  return footer
}

export function encodeDynamicHeader(values: { tableOffset: number; tableEntries: number }): Buffer {
  const header = Buffer.alloc(dynamicHeaderBytes)
  const put = (field: DynamicFieldName, value: bigint | number) => {
    const { offset, size: width } = dynamicFields[field]
    if (width === 8) header.writeBigUInt64BE(BigInt(value), offset)
    else header.writeUInt32BE(Number(value), offset)
  }
  header.write(dynamicCookie, 0, 'latin1')
  put('data_offset', noDataOffset)
  put('table_offset', values.tableOffset)
  put('header_version', fileFormatVersion)
  put('max_table_entries', values.tableEntries)
  put('block_size', defaultVhdBlockSize)
  put('checksum', vhdChecksum(header, dynamicFields.checksum))
  return header
}

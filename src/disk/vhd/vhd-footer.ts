import type { AbortOptions } from '../../core/abort.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { DiskError } from '../errors.ts'
import { vhdChecksum } from './vhd-checksum.ts'
import { geometrySize, maximumGeometry, type VhdGeometry } from './vhd-geometry.ts'
import {
  diskTypes,
  type FooterFieldName,
  fileFormatVersion,
  footerBytes,
  footerCookie,
  footerFields,
  oldFooterBytes,
  sizeFieldCreators,
  uniqueIdOffset,
  vhdSectorSize,
} from './vhd-layout.ts'

/** What the footer of a VHD says, checked for what the format allows. */
export interface VhdFooter {
  readonly type: keyof typeof diskTypes
  /** Bytes of the guest's disk, whole sectors. */
  readonly size: number
  /** Where the header of a dynamic image stands. */
  readonly dataOffset: number
  readonly geometry: VhdGeometry
  readonly creator: string
  readonly uniqueId: string
  /** Where the footer begins: everything else lies before it. */
  readonly offset: number
}

/**
 * Reads the footer at the end of the file: at most two reads.
 * @throws DiskError `IMAGE_FORMAT_MISMATCH` without one, `IMAGE_TRUNCATED` when only the copy at the start is there;
 *   `IMAGE_CHECKSUM_WRONG`, `IMAGE_HEADER_INVALID`, `IMAGE_UNKNOWN_FEATURE` for another version or type
 */
export async function readVhdFooter(
  source: RandomAccessSource,
  options: AbortOptions = {},
): Promise<VhdFooter> {
  const tail = Buffer.alloc(Math.min(footerBytes, source.size))
  await source.read(tail, source.size - tail.length, options)
  const length = [footerBytes, oldFooterBytes].find((bytes) => startsWithCookie(tail.subarray(-bytes)))
  if (length !== undefined && length <= tail.length) {
    const footer = Buffer.concat([tail.subarray(-length)], footerBytes)
    return decodeFooter(footer, { name: source.name, offset: source.size - length, title: 'footer' })
  }
  const head = Buffer.alloc(footerCookie.length)
  await source.read(head, 0, options)
  if (!startsWithCookie(head)) {
    throw new DiskError('IMAGE_FORMAT_MISMATCH', `${source.name} is not a VHD: it has no footer.`)
  }
  throw new DiskError(
    'IMAGE_TRUNCATED',
    `${source.name} begins like a VHD, and does not end with its footer.`,
    {
      hint: 'It was not copied to its end, or something was added to it.',
    },
  )
}

/**
 * Reads the copy of the footer at the start of a dynamic image, which QEMU goes by.
 * @throws DiskError as `readVhdFooter`; `IMAGE_COPIES_DIFFER` when it says something else
 */
export async function checkFooterCopy(
  source: RandomAccessSource,
  footer: VhdFooter,
  options: AbortOptions = {},
): Promise<void> {
  const { name } = source
  const bytes = Buffer.alloc(footerBytes)
  await source.read(bytes, 0, options)
  if (!startsWithCookie(bytes)) {
    throw new DiskError(
      'IMAGE_HEADER_INVALID',
      `${name}: the copy of the VHD footer at the start is missing.`,
      {
        details: { offset: 0 },
      },
    )
  }
  const copy = decodeFooter(bytes, { name, offset: 0, title: 'copy of the footer' })
  const said = ({ offset: _, ...values }: VhdFooter) => JSON.stringify(values)
  if (said(copy) === said(footer)) return
  throw new DiskError('IMAGE_COPIES_DIFFER', `${name}: the VHD footer and its copy at the start differ.`, {
    details: { offset: 0 },
  })
}

/** The size that QEMU gives the disk where it differs from `size`; null where all programs agree. */
export function sizeByGeometry({ geometry, creator, size }: VhdFooter): number | null {
  if (sizeFieldCreators.includes(creator)) return null
  const bytes = geometrySize(geometry)
  return bytes === size || bytes === geometrySize(maximumGeometry) ? null : bytes
}

/** What to do with an image that is only the difference to another one. */
export const vhdDifferenceHint =
  'Make one image of it and the other where both are: Convert-VHD in Hyper-V, or VBoxManage clonemedium disk NAME.vhd NEW.vhd.'

interface FooterPlace {
  readonly name: string
  readonly offset: number
  readonly title: string
}

function decodeFooter(bytes: Buffer, { name, offset, title }: FooterPlace): VhdFooter {
  const at = (field: FooterFieldName) => ({ offset: offset + footerFields[field].offset, field })
  const number = (field: FooterFieldName) => {
    const { offset: start, size } = footerFields[field]
    return size === 8 ? Number(bytes.readBigUInt64BE(start)) : bytes.readUIntBE(start, size)
  }
  if (number('checksum') !== vhdChecksum(bytes, footerFields.checksum)) {
    throw new DiskError('IMAGE_CHECKSUM_WRONG', `${name}: the checksum of the VHD ${title} is wrong.`, {
      details: at('checksum'),
    })
  }
  if (number('file_format_version') >>> 16 !== fileFormatVersion >>> 16) {
    const version = number('file_format_version') >>> 16
    throw new DiskError(
      'IMAGE_UNKNOWN_FEATURE',
      `${name} is VHD version ${version}; only version 1 is read.`,
      {
        details: at('file_format_version'),
      },
    )
  }
  const type = (['fixed', 'dynamic', 'differencing'] as const).find(
    (candidate) => diskTypes[candidate] === number('disk_type'),
  )
  if (type === undefined) {
    throw new DiskError(
      'IMAGE_UNKNOWN_FEATURE',
      `${name} is a VHD of the unknown disk type ${number('disk_type')}.`,
      { details: at('disk_type') },
    )
  }
  const size = number('current_size')
  if (!Number.isSafeInteger(size) || size % vhdSectorSize !== 0) {
    throw new DiskError('IMAGE_HEADER_INVALID', `${name}: the size in the VHD ${title} is ${size}.`, {
      details: at('current_size'),
    })
  }
  const { creator_application } = footerFields
  return {
    type,
    size,
    dataOffset: number('data_offset'),
    geometry: {
      cylinders: number('cylinders'),
      heads: number('heads'),
      sectorsPerTrack: number('sectors_per_track'),
    },
    creator: bytes.toString('latin1', creator_application.offset, creator_application.offset + 4),
    uniqueId: bytes.toString('hex', uniqueIdOffset, uniqueIdOffset + 16),
    offset,
  }
}

function startsWithCookie(bytes: Buffer): boolean {
  return bytes.toString('latin1', 0, footerCookie.length) === footerCookie
}

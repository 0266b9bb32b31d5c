import type { AbortOptions } from '../../core/abort.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { isZero } from '../../transfer/zeros.ts'
import { DiskError } from '../errors.ts'
import { parseDescriptor, type VmdkDescriptor } from './parse-descriptor.ts'
import type { SparseHeader } from './vmdk-header.ts'
import { maximumDescriptorBytes } from './vmdk-layout.ts'

/**
 * The descriptor inside a sparse extent, at most 1 MiB.
 * @throws DiskError `IMAGE_HEADER_INVALID` where there is none or it is not well formed, `IMAGE_TRUNCATED`
 */
export async function readEmbeddedDescriptor(
  source: RandomAccessSource,
  { descriptorOffset, descriptorSize }: SparseHeader,
  options: AbortOptions = {},
): Promise<VmdkDescriptor> {
  const { name } = source
  const text = Buffer.alloc(descriptorSize)
  const filled = await source.read(text, descriptorOffset, options)
  if (filled < text.length) {
    throw new DiskError('IMAGE_TRUNCATED', `${name} ends inside its VMDK descriptor.`, {
      details: { offset: descriptorOffset },
    })
  }
  if (isZero(text)) {
    throw new DiskError('IMAGE_HEADER_INVALID', `${name} has no VMDK descriptor: it is a part of a disk.`, {
      hint: 'Open the disk by the file with its descriptor, a short text.',
      details: { offset: descriptorOffset },
    })
  }
  return parseDescriptor({ text, name, start: descriptorOffset })
}

/**
 * The descriptor that is a file of its own, at most 1 MiB.
 * @throws DiskError `IMAGE_HEADER_INVALID`
 */
export async function readTextDescriptor(
  source: RandomAccessSource,
  options: AbortOptions = {},
): Promise<VmdkDescriptor> {
  const { name } = source
  if (source.size > maximumDescriptorBytes) {
    throw new DiskError('IMAGE_HEADER_INVALID', `${name} begins like a VMDK descriptor and is far longer.`)
  }
  const text = Buffer.alloc(source.size)
  await source.read(text, 0, options)
  const end = text.indexOf(0)
  if (end >= 0 && !isZero(text, end + remainderLength(text, end))) {
    throw new DiskError('IMAGE_HEADER_INVALID', `${name}: something follows the VMDK descriptor.`, {
      details: { offset: end },
    })
  }
  return parseDescriptor({ text, name, start: 0 })
}

/**
 * QEMU writes a new CID over the old one with as few of its eight digits as it takes (`vmdk_write_cid`): the text gets shorter by
 * up to seven bytes, its NUL takes the place of one, and the others stay: they are what the text ends with.
 */
function remainderLength(text: Buffer, end: number): number {
  for (let length = 7; length > 1; length -= 1) {
    const remainder = text.subarray(end + 1, end + length)
    if (remainder.equals(text.subarray(end - remainder.length, end))) return length
  }
  return 1
}

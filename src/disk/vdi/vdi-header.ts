import type { AbortOptions } from '../../core/abort.ts'
import { roundUp } from '../../core/bytes.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { blockEntryBytes } from '../blocks/block-map.ts'
import { DiskError } from '../errors.ts'
import {
  maximumHeaderBytes,
  maximumVdiBlocks,
  minimumHeaderBytes,
  type VdiFieldName,
  vdiBlockSize,
  vdiFields,
  vdiHeaderEnd,
  vdiHeaderStart,
  vdiSectorSize,
  vdiSignature,
  vdiTypes,
  vdiVersion,
} from './vdi-layout.ts'

/** What a VDI header says, checked for what the format allows. */
export interface VdiHeader {
  readonly type: 'dynamic' | 'fixed' | 'undo' | 'differencing'
  /** Bytes of the guest's disk, whole sectors. */
  readonly size: number
  readonly mapOffset: number
  readonly dataOffset: number
  /** Entries of the map. */
  readonly blocks: number
  /** Blocks of the disk: what is read of the map. */
  readonly neededBlocks: number
  /** Blocks of the file by the header's count. */
  readonly allocatedBlocks: number
  /** Whether it names an image that it depends on. */
  readonly hasParent: boolean
}

/**
 * Reads the header: one read.
 * @throws DiskError `IMAGE_FORMAT_MISMATCH` without the signature, `IMAGE_HEADER_INVALID` naming field and byte offset,
 *   `IMAGE_UNKNOWN_FEATURE` for another version or type, `IMAGE_TRUNCATED`
 */
export async function readVdiHeader(
  source: RandomAccessSource,
  options: AbortOptions = {},
): Promise<VdiHeader> {
  const { name } = source
  const bytes = Buffer.alloc(vdiHeaderEnd)
  const available = await source.read(bytes, 0, options)
  const field = (fieldName: VdiFieldName): number => {
    const { offset, size } = vdiFields[fieldName]
    return size === 8 ? Number(bytes.readBigUInt64LE(offset)) : bytes.readUInt32LE(offset)
  }
  const require = (isRight: boolean, fieldName: VdiFieldName, problem = `is ${field(fieldName)}`): void => {
    if (isRight) return
    throw new DiskError('IMAGE_HEADER_INVALID', `${name}: the VDI header field ${fieldName} ${problem}.`, {
      details: { field: fieldName, offset: vdiFields[fieldName].offset },
    })
  }

  if (available < vdiFields.version.offset || field('signature') !== vdiSignature) {
    throw new DiskError('IMAGE_FORMAT_MISMATCH', `${name} is not a VDI image: it lacks the signature.`)
  }
  if (available < vdiHeaderStart + minimumHeaderBytes) {
    throw new DiskError('IMAGE_TRUNCATED', `${name} ends inside its VDI header.`, {
      details: { size: available },
    })
  }
  if (field('version') !== vdiVersion) {
    const version = `${bytes.readUInt16LE(0x46)}.${bytes.readUInt16LE(0x44)}`
    throw new DiskError(
      'IMAGE_UNKNOWN_FEATURE',
      `${name} is VDI version ${version}; only version 1.1 is read.`,
      { details: { offset: vdiFields.version.offset } },
    )
  }
  const type = typeOf(field('type'))
  if (type === undefined) {
    throw new DiskError(
      'IMAGE_UNKNOWN_FEATURE',
      `${name} is a VDI image of the unknown type ${field('type')}.`,
      {
        details: { offset: vdiFields.type.offset },
      },
    )
  }
  const [mapOffset, dataOffset, blocks] = [field('offBlocks'), field('offData'), field('cBlocks')]
  require(field('cbHeader') >= minimumHeaderBytes && field('cbHeader') <= maximumHeaderBytes, 'cbHeader')
  require(field('cbSector') === vdiSectorSize, 'cbSector')
  require(field('cbBlock') === vdiBlockSize, 'cbBlock', `is ${field('cbBlock')}; only 1 MiB is read`)
  require(field('cbBlockExtra') === 0, 'cbBlockExtra')
  require(mapOffset % vdiSectorSize === 0 && mapOffset >= vdiHeaderStart + minimumHeaderBytes, 'offBlocks')
  require(dataOffset % vdiSectorSize === 0, 'offData')
  require(Number.isSafeInteger(field('cbDisk') + vdiSectorSize), 'cbDisk', 'is too large')
  require(blocks <= maximumVdiBlocks, 'cBlocks')
  // VBoxManage convertfromraw leaves odd sizes; QEMU rounds them up as well.
  const size = roundUp(field('cbDisk'), vdiSectorSize)
  const neededBlocks = Math.ceil(size / vdiBlockSize)
  require(blocks >=
    neededBlocks, 'cBlocks', `is ${blocks}, and a disk of this size has ${neededBlocks} blocks`)
  require(field('cBlocksAllocated') <= blocks, 'cBlocksAllocated')
  const mapEnd = mapOffset + blocks * blockEntryBytes
  if (mapEnd > dataOffset) {
    throw new DiskError('IMAGE_OVERLAP', `${name}: the map of the VDI image lies on its data.`, {
      details: { offset: vdiFields.offData.offset },
    })
  }
  if (mapEnd > source.size) {
    throw new DiskError('IMAGE_OFFSET_OUT_OF_FILE', `${name}: the map of the VDI image leaves the file.`, {
      details: { offset: vdiFields.offBlocks.offset },
    })
  }
  const links = bytes.subarray(vdiFields.uuidLinkage.offset, vdiFields.uuidParentModify.offset + 16)
  return {
    type,
    size,
    mapOffset,
    dataOffset,
    blocks,
    neededBlocks,
    allocatedBlocks: field('cBlocksAllocated'),
    hasParent: links.some((byte) => byte !== 0),
  }
}

function typeOf(value: number): VdiHeader['type'] | undefined {
  return (['dynamic', 'fixed', 'undo', 'differencing'] as const).find((name) => vdiTypes[name] === value)
}

/** Whether the image is only the difference to another one. */
export function isVdiDifference({ type, hasParent }: VdiHeader): boolean {
  return hasParent || type === 'undo' || type === 'differencing'
}

/** What to do with such an image. */
export const vdiDifferenceHint =
  'Make one image of it and the other where VirtualBox has both: VBoxManage clonemedium disk NAME.vdi NEW.vdi.'

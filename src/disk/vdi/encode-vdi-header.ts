import {
  type VdiFieldName,
  vdiBlockSize,
  vdiFields,
  vdiHeaderEnd,
  vdiSectorSize,
  vdiSignature,
  vdiTitle,
  vdiTypes,
  vdiVersion,
  writtenHeaderBytes,
} from './vdi-layout.ts'

export interface VdiIds {
  readonly image: string
  readonly modification: string
}

export interface VdiHeaderValues {
  readonly type: 'dynamic' | 'fixed'
  readonly size: number
  readonly mapOffset: number
  readonly dataOffset: number
  /** Blocks in the file. */
  readonly allocated: number
  readonly ids: VdiIds
}

/** The header as VirtualBox writes it, without a geometry: VirtualBox chooses one by itself then. */
export function encodeVdiHeader(values: VdiHeaderValues): Buffer {
  const { type, size, mapOffset, dataOffset, allocated, ids } = values
  const header = Buffer.alloc(vdiHeaderEnd)
  const put = (field: VdiFieldName, value: number) => header.writeUInt32LE(value, vdiFields[field].offset)
  header.write(vdiTitle, 0, 'latin1')
  put('signature', vdiSignature)
  put('version', vdiVersion)
  put('cbHeader', writtenHeaderBytes)
  put('type', vdiTypes[type])
  put('offBlocks', mapOffset)
  put('offData', dataOffset)
  put('cbSector', vdiSectorSize)
  header.writeBigUInt64LE(BigInt(size), vdiFields.cbDisk.offset)
  put('cbBlock', vdiBlockSize)
  put('cBlocks', Math.ceil(size / vdiBlockSize))
  put('cBlocksAllocated', allocated)
  uuidBytes(ids.image).copy(header, vdiFields.uuidCreate.offset)
  uuidBytes(ids.modification).copy(header, vdiFields.uuidModify.offset)
  put('lchsSector', vdiSectorSize)
  return header
}

/** The first three groups of a UUID are numbers, and stored like the others. */
function uuidBytes(uuid: string): Buffer {
  const bytes = Buffer.from(uuid.replaceAll('-', ''), 'hex')
  bytes.subarray(0, 4).reverse()
  bytes.subarray(4, 6).reverse()
  bytes.subarray(6, 8).reverse()
  return bytes
}

import { MiB } from '../../src/core/bytes.ts'
import { type VdiFieldName, vdiFields, vdiSignature } from '../../src/disk/vdi/vdi-layout.ts'

/** A small valid VDI image in memory, made from the description of the format and not by our own writer, to be spoilt. */
export interface VdiSketch {
  bytes: Buffer
  readonly mapOffset: number
  readonly dataOffset: number
}

export interface VdiSketchOptions {
  /** 1 dynamic, 2 fixed, 3 undo, 4 differencing. */
  type?: number
  /** Bytes of the disk. */
  size?: number
  /** The entries of the map; by default the disk's last block, which is short, is the only one in the file. */
  map?: readonly number[]
  mapOffset?: number
  dataOffset?: number
  /** What the file holds from the data offset on; as much of the blocks as the disk needs by default. */
  data?: Buffer
}

export const free = 0xffffffff
export const discarded = 0xfffffffe

export function sketchVdi(options: VdiSketchOptions = {}): VdiSketch {
  const {
    type = 1,
    size = 2 * MiB + 5 * 512,
    map = [free, free, 0],
    mapOffset = 0x200,
    dataOffset = 0x400,
  } = options
  const allocated = map.filter((entry) => entry < discarded)
  const data = options.data ?? contentOf(map, size)
  const sketch = { bytes: Buffer.alloc(dataOffset + data.length), mapOffset, dataOffset }
  sketch.bytes.write('<<< A disk image >>>\n', 0, 'latin1')
  setVdiField(sketch, 'signature', vdiSignature)
  setVdiField(sketch, 'version', 0x00010001)
  setVdiField(sketch, 'cbHeader', 0x180)
  setVdiField(sketch, 'type', type)
  setVdiField(sketch, 'offBlocks', mapOffset)
  setVdiField(sketch, 'offData', dataOffset)
  setVdiField(sketch, 'cbSector', 512)
  setVdiField(sketch, 'cbDisk', size)
  setVdiField(sketch, 'cbBlock', MiB)
  setVdiField(sketch, 'cBlocks', map.length)
  setVdiField(sketch, 'cBlocksAllocated', allocated.length)
  sketch.bytes.fill(0x5a, vdiFields.uuidCreate.offset, vdiFields.uuidLinkage.offset)
  map.forEach((entry, index) => {
    setMapEntry(sketch, index, entry)
  })
  data.copy(sketch.bytes, dataOffset)
  return sketch
}

/** Writes a header field, whatever it does to the image; of a UUID the first 4 bytes. */
export function setVdiField({ bytes }: VdiSketch, name: VdiFieldName, value: number | bigint): void {
  const { offset, size } = vdiFields[name]
  if (size === 8) bytes.writeBigUInt64LE(BigInt(value), offset)
  else bytes.writeUInt32LE(Number(value), offset)
}

export function setMapEntry({ bytes, mapOffset }: VdiSketch, index: number, entry: number): void {
  bytes.writeUInt32LE(entry, mapOffset + index * 4)
}

/** Each block of the disk full of its own letter. */
function contentOf(map: readonly number[], size: number): Buffer {
  const stored = map.flatMap((entry, index) => (entry < discarded ? [{ entry, index }] : []))
  const lengthOf = (index: number) => Math.max(0, Math.min(MiB, size - index * MiB))
  const data = Buffer.alloc(Math.max(0, ...stored.map(({ entry, index }) => entry * MiB + lengthOf(index))))
  for (const { entry, index } of stored) {
    data.fill(65 + index, entry * MiB, entry * MiB + lengthOf(index))
  }
  return data
}

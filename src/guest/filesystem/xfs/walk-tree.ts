import type { AbortOptions } from '../../../core/abort.ts'
import { throwIfCancelled } from '../../../core/abort.ts'
import type { Disk } from '../../../disk/disk.ts'
import { damagedXfs } from './damaged-xfs.ts'
import { blockOffset, type XfsGeometry } from './geometry.ts'

/** A kind of B+tree: its magic numbers without and with checksums, and how large its parts are. */
export interface TreeKind {
  readonly magics: readonly [string, string]
  /** Trees within a group point to blocks of the group, with four bytes; the others to any, with eight. */
  readonly isShort: boolean
  readonly keyBytes: number
  readonly recordBytes: number
}

export const inodeTree: TreeKind = { magics: ['IABT', 'IAB3'], isShort: true, keyBytes: 4, recordBytes: 16 }
export const freeTree: TreeKind = { magics: ['ABTB', 'AB3B'], isShort: true, keyBytes: 8, recordBytes: 8 }
export const extentTree: TreeKind = { magics: ['BMAP', 'BMA3'], isShort: false, keyBytes: 8, recordBytes: 16 }

const maximumLevels = 12

/**
 * The records of a B+tree in order: down its left side, then from leaf to leaf.
 * @param root a block's number; of a short tree with its group's in front
 */
export async function* walkTree(
  disk: Disk,
  geometry: XfsGeometry,
  kind: TreeKind,
  root: number,
  options: AbortOptions,
): AsyncGenerator<Buffer, void, undefined> {
  const { blockSize, hasChecksums, groupBits, blocks } = geometry
  const { isShort, keyBytes, recordBytes } = kind
  const header = isShort ? (hasChecksums ? 56 : 16) : hasChecksums ? 72 : 24
  const group = isShort ? Math.floor(root / 2 ** groupBits) * 2 ** groupBits : 0
  const pointer = (block: Buffer, at: number): number =>
    isShort ? block.readUInt32BE(at) : Number(block.readBigUInt64BE(at))
  const none = isShort ? 0xffff_ffff : Number(0xffff_ffff_ffff_ffffn)
  const block = Buffer.alloc(blockSize)
  let number = root
  let level: number | null = null
  for (let visited = 0; visited <= blocks; visited += 1) {
    throwIfCancelled(options.signal)
    await disk.read(block, blockOffset(geometry, number), options)
    const found = block.readUInt16BE(4)
    const count = block.readUInt16BE(6)
    const isExpected = level === null ? found < maximumLevels : found === level
    if (block.toString('latin1', 0, 4) !== kind.magics[hasChecksums ? 1 : 0] || !isExpected) {
      throw damagedXfs(`block ${number} is not the part of a tree that it should be`)
    }
    level = found
    if (level > 0) {
      const capacity = Math.floor((blockSize - header) / (keyBytes + (isShort ? 4 : 8)))
      if (count === 0 || count > capacity) throw damagedXfs(`block ${number} has ${count} pointers`)
      number = group + pointer(block, header + capacity * keyBytes)
      level -= 1
      continue
    }
    if (header + count * recordBytes > blockSize) throw damagedXfs(`block ${number} has ${count} records`)
    for (let index = 0; index < count; index += 1) {
      const at = header + index * recordBytes
      yield Buffer.from(block.subarray(at, at + recordBytes))
    }
    const next = pointer(block, isShort ? 12 : 16)
    if (next === none) return
    number = group + next
  }
  throw damagedXfs('a tree runs in a circle')
}

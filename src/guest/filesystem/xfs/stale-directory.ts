import { damagedXfs } from './damaged-xfs.ts'
import type { XfsGeometry } from './geometry.ts'

/** Both kinds of directory blocks that hold names, without and with checksums; "Directories". */
const blockMagics = new Set(['XD2B', 'XDB3'])
const dataMagics = new Set(['XD2D', 'XDD3'])

/**
 * The bytes of a directory block that are left of removed names: what is between the ends of an unused entry, and what fills up a
 * used one.
 * @returns null when it is a block of another kind
 */
export function staleOfDirectoryBlock(
  block: Buffer,
  { hasChecksums, hasFileTypes }: XfsGeometry,
): [number, number][] | null {
  const magic = block.toString('latin1', 0, 4)
  if (!blockMagics.has(magic) && !dataMagics.has(magic)) return null
  const stale: [number, number][] = []
  const end = blockMagics.has(magic) ? endOfEntries(block) : block.length
  for (let at = hasChecksums ? 64 : 16; at < end; ) {
    const isUnused = block.readUInt16BE(at) === 0xffff
    const length = isUnused
      ? block.readUInt16BE(at + 2)
      : Math.ceil((8 + 1 + block.readUInt8(at + 8) + (hasFileTypes ? 1 : 0) + 2) / 8) * 8
    if (length < 8 || length % 8 !== 0 || at + length > end)
      throw damagedXfs('a directory has an entry that leaves it')
    const used = isUnused ? 4 : 9 + block.readUInt8(at + 8) + (hasFileTypes ? 1 : 0)
    if (used < length - 2) stale.push([at + used, at + length - 2])
    at += length
  }
  return stale
}

/** A directory of one block has its index behind the entries, and the number of its records at its end. */
function endOfEntries(block: Buffer): number {
  const end = block.length - 8 - block.readUInt32BE(block.length - 8) * 8
  if (end < 64) throw damagedXfs('the index of a directory is larger than its block')
  return end
}

import type { AbortOptions } from '../core/abort.ts'
import { KiB } from '../core/bytes.ts'
import type { RandomAccessSource } from '../transfer/byte-source.ts'

/** A qcow2 L2 table of any cluster size is a whole number of blocks, or lies inside one. */
export const metadataBlockSize = 64 * KiB
const maximumBlocks = 64

/** Gives the block of the file that starts at `position`, a multiple of `metadataBlockSize`. */
export type ReadMetadataBlock = (position: number, options: AbortOptions) => Promise<Buffer>

/**
 * The blocks of the file that hold tables, the most recently used 4 MiB of them: whole blocks instead of tables, so
 * that small tables are fetched together and large ones piece by piece.
 */
export function metadataCache(source: RandomAccessSource): ReadMetadataBlock {
  const blocks = new Map<number, Promise<Buffer>>()

  async function load(position: number, options: AbortOptions): Promise<Buffer> {
    const block = Buffer.alloc(Math.min(metadataBlockSize, source.size - position))
    await source.read(block, position, options)
    return block
  }

  return (position, options) => {
    const known = blocks.get(position)
    const block = known ?? load(position, options)
    blocks.delete(position)
    blocks.set(position, block)
    if (known) return known
    // A failed or cancelled read must not be served to the next one who asks.
    block.catch(() => {
      if (blocks.get(position) === block) blocks.delete(position)
    })
    for (const oldest of blocks.keys()) {
      if (blocks.size <= maximumBlocks) break
      blocks.delete(oldest)
    }
    return block
  }
}

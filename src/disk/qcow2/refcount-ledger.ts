import { type Qcow2Geometry, refcountBytes } from './qcow2-geometry.ts'

/** A refcount block that no later cluster can change any more. */
export interface FinishedBlock {
  readonly index: number
  readonly bytes: Buffer
}

/**
 * Counts the references to the clusters of a file that grows. Only blocks that may still change are kept, so memory
 * does not follow the file's size.
 */
export interface RefcountLedger {
  /** One more reference to every cluster that holds a byte of the range. */
  add(position: number, length: number): void
  /** The blocks whose clusters all lie before `position`, each given once. */
  finishedBefore(position: number): FinishedBlock[]
  /** All blocks that are left. */
  rest(): FinishedBlock[]
}

export function refcountLedger({ clusterSize, refcountsPerBlock }: Qcow2Geometry): RefcountLedger {
  const blocks = new Map<number, Buffer>()
  let given = 0

  function take(end: number): FinishedBlock[] {
    const taken: FinishedBlock[] = []
    for (; given < end; given += 1) {
      taken.push({ index: given, bytes: blocks.get(given) ?? Buffer.alloc(clusterSize) })
      blocks.delete(given)
    }
    return taken
  }

  return {
    add(position, length) {
      const last = Math.floor((position + length - 1) / clusterSize)
      for (let cluster = Math.floor(position / clusterSize); cluster <= last; cluster += 1) {
        const index = Math.floor(cluster / refcountsPerBlock)
        let block = blocks.get(index)
        if (!block) {
          block = Buffer.alloc(clusterSize)
          blocks.set(index, block)
        }
        const at = (cluster % refcountsPerBlock) * refcountBytes
        block.writeUInt16BE(block.readUInt16BE(at) + 1, at)
      }
    },
    finishedBefore(position) {
      const end = Math.floor(position / clusterSize / refcountsPerBlock)
      return end > given ? take(end) : []
    },
    rest() {
      return take(Math.max(-1, ...blocks.keys()) + 1)
    },
  }
}

import { tableEntry } from '../qcow2/qcow2-layout.ts'
import { clusterUse } from './cluster-references.ts'
import { checkBudget, claimTable, type TableWalk } from './table-walk.ts'

/** "Refcount table entry": bits 0 to 8. */
const reservedLow = 0x1ff

/** Where each refcount block lies in the file, 0 where there is none. */
export type RefcountTable = Float64Array

/** Reads the refcount table, at most 8 MiB, and enters the blocks; null when it cannot be used. */
export async function readRefcountTable(walk: TableWalk): Promise<RefcountTable | null> {
  const { header, fileSize, reader, findings } = walk
  const { clusterSize, refcountTableOffset: start } = header
  const tableBytes = header.refcountTableClusters * clusterSize
  const view = await reader.read(start, tableBytes)
  if (!view || !claimTable(walk, start, tableBytes)) {
    checkBudget(walk)
    return null
  }
  const table = new Float64Array(tableBytes / tableEntry.bytes)
  for (let index = 0; index < table.length; index += 1) {
    const at = index * tableEntry.bytes
    const high = view.getUint32(at)
    const low = view.getUint32(at + 4)
    if ((high | low) === 0) continue
    const place = start + at
    // Unlike all other entries this one uses bits 56 to 63 as well.
    const block = high * 2 ** 32 + ((low & ~reservedLow) >>> 0)
    if (low & reservedLow || block % clusterSize !== 0) {
      findings.refuse('qcow2.refcount_blocks', 'IMAGE_ENTRY_INVALID', place, () => {
        return `The refcount table entry at byte ${place} is misaligned or sets reserved bits.`
      })
    } else if (block + clusterSize > fileSize) {
      findings.refuse('qcow2.refcount_blocks', 'IMAGE_OFFSET_OUT_OF_FILE', place, () => {
        return `The refcount table entry at byte ${place} points to byte ${block} of a file of ${fileSize} bytes.`
      })
    } else if (claimTable(walk, block, clusterSize)) table[index] = block
  }
  return table
}

/**
 * Compares every refcount with the references that were found, with the verdict of `qemu-img check`: a count too low
 * (or a "copied" flag that disagrees) is an error, since writing would overwrite data in use; one too high only
 * wastes space. In an image that says its refcounts may be old, neither matters.
 */
export async function checkRefcounts(walk: TableWalk, table: RefcountTable): Promise<void> {
  const { header, fileSize, reader, references } = walk
  const { clusterSize } = header
  const countsPerBlock = (clusterSize * 8) / 2 ** header.refcountOrder
  const clusters = Math.ceil(fileSize / clusterSize)
  const readCount = countReader(header.refcountOrder)
  const leaks = { clusters: 0, first: 0 }
  for (let index = 0; index < table.length; index += 1) {
    const block = table[index] ?? 0
    const first = index * countsPerBlock
    if (block === 0 || first >= clusters) continue
    const view = await reader.read(block, clusterSize)
    if (!view) return void checkBudget(walk)
    const end = Math.min(countsPerBlock, clusters - first)
    for (let at = 0; at < end; at += 1) {
      const counted = readCount(view, at)
      const cluster = first + at
      const found = references.count(cluster)
      if (counted < found) reportWrong(walk, cluster, counted, found)
      else if (found > 0) checkCopied(walk, cluster, counted)
      if (counted > found) {
        if (leaks.clusters === 0) leaks.first = cluster
        leaks.clusters += 1
      }
    }
  }
  for (const cluster of references.clusters()) {
    if (table[Math.floor(cluster / countsPerBlock)]) continue
    reportWrong(walk, cluster, 0, references.count(cluster))
  }
  if (leaks.clusters === 0) return
  walk.findings.warn('qcow2.refcounts', 'IMAGE_REFCOUNT_LEAK', leaks.first * clusterSize, () => {
    return `${leaks.clusters} clusters are counted as used and are not.`
  })
}

function checkCopied(walk: TableWalk, cluster: number, counted: number): void {
  const { references } = walk
  const use = references.use(cluster)
  if (!references.isActive(cluster) || (use !== clusterUse.l2Table && use !== clusterUse.data)) return
  if (references.isCopied(cluster) === (counted === 1)) return
  refuseUnlessDirty(walk, cluster * walk.header.clusterSize, () => {
    return `Cluster ${cluster} has refcount ${counted}, and the entry that refers to it says otherwise.`
  })
}

function reportWrong(walk: TableWalk, cluster: number, counted: number, found: number): void {
  refuseUnlessDirty(walk, cluster * walk.header.clusterSize, () => {
    return `Cluster ${cluster} has refcount ${counted} and is referred to ${found} times.`
  })
}

/** Reports a refcount, or a flag that speaks of one, by its place in the file. */
export function refuseUnlessDirty(
  { header, findings }: TableWalk,
  offset: number,
  message: () => string,
): void {
  const outcome = header.dirty ? 'warning' : 'refused'
  findings.add('qcow2.refcounts', { outcome, code: 'IMAGE_REFCOUNT_WRONG', offset, message })
}

/** "Refcount block": counts of 2^order bits; those narrower than a byte begin at its least significant bit. */
function countReader(order: number): (block: DataView, index: number) => number {
  switch (order) {
    case 3:
      return (block, index) => block.getUint8(index)
    case 4:
      return (block, index) => block.getUint16(index * 2)
    case 5:
      return (block, index) => block.getUint32(index * 4)
    case 6:
      return (block, index) => Number(block.getBigUint64(index * 8))
    default: {
      const bits = 2 ** order
      const perByte = 8 / bits
      const mask = 2 ** bits - 1
      return (block, index) =>
        (block.getUint8(Math.floor(index / perByte)) >>> ((index % perByte) * bits)) & mask
    }
  }
}

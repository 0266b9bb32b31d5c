/** What a cluster of the file is used for. Only one use of a cluster may be made. */
export const clusterUse = { table: 1, l2Table: 2, data: 3, compressed: 4 } as const
export type ClusterUse = (typeof clusterUse)[keyof typeof clusterUse]

/** How one reference uses a cluster. */
export interface Reference {
  readonly use: ClusterUse
  /** From the active layer, in which only compressed clusters may share a cluster of the file. */
  readonly active: boolean
  /** The flag of the referring entry: the refcount is exactly one. */
  readonly copied: boolean
  /** How many references stand behind this one: a table that several snapshots share counts for each. */
  readonly weight: number
}

export interface ClusterReferences {
  /** Gives false when the cluster is in use in a way that this reference may not share. */
  add(cluster: number, reference: Reference): boolean
  count(cluster: number): number
  use(cluster: number): ClusterUse | 0
  isActive(cluster: number): boolean
  isCopied(cluster: number): boolean
  /** The clusters that are referred to, ascending, by pages of 32768; a page may be added to while it is walked. */
  clusters(): Iterable<number>
  /** Whether memory ran out, so that references have been dropped. */
  readonly isFull: boolean
}

const pageBits = 15
const pageClusters = 2 ** pageBits
const pageBytes = pageClusters * 2

/** Bits of a cluster's word: use, active, copied, count. A count that does not fit is kept in a map beside. */
const useMask = 0b111
const activeBit = 0b1000
const copiedBit = 0b1_0000
const countShift = 5
const maximumCount = 2 ** (16 - countShift) - 1

/** Counts references to clusters in two bytes each, for the parts of the file that are referred to at all. */
export function clusterReferences(memoryBytes: number): ClusterReferences {
  const maximumPages = Math.max(1, Math.floor(memoryBytes / pageBytes))
  const pages = new Map<number, Uint16Array>()
  /** A cluster of 64 KiB holds thousands of references only when all are tiny compressed clusters. */
  const beyond = new Map<number, number>()
  let isFull = false
  let lastNumber = -1
  let lastPage: Uint16Array | undefined

  function pageOf(cluster: number): Uint16Array | undefined {
    const number = Math.floor(cluster / pageClusters)
    if (number !== lastNumber) {
      lastNumber = number
      lastPage = pages.get(number)
    }
    return lastPage
  }

  function createPage(): Uint16Array | undefined {
    if (pages.size >= maximumPages) {
      isFull = true
      return undefined
    }
    lastPage = new Uint16Array(pageClusters)
    pages.set(lastNumber, lastPage)
    return lastPage
  }

  function word(cluster: number): number {
    return pageOf(cluster)?.[cluster % pageClusters] ?? 0
  }

  function increase(cluster: number, before: number, weight: number): number {
    const total = before + weight
    if (total < maximumCount) return total
    beyond.set(cluster, (before < maximumCount ? before : (beyond.get(cluster) ?? 0)) + weight)
    return maximumCount
  }

  return {
    get isFull() {
      return isFull
    },
    add(cluster, { use, active, copied, weight }) {
      const page = pageOf(cluster) ?? createPage()
      if (!page) return true
      const index = cluster % pageClusters
      const before = page[index] ?? 0
      const usedAs = before & useMask
      if (usedAs !== 0) {
        if (usedAs !== use || use === clusterUse.table) return false
        if (active && before & activeBit && use !== clusterUse.compressed) return false
      }
      const flags = (before & (activeBit | copiedBit)) | (active ? activeBit : 0) | (copied ? copiedBit : 0)
      page[index] = use | flags | (increase(cluster, before >>> countShift, weight) << countShift)
      return true
    },
    count(cluster) {
      const stored = word(cluster) >>> countShift
      return stored === maximumCount ? (beyond.get(cluster) ?? stored) : stored
    },
    use: (cluster) => (word(cluster) & useMask) as ClusterUse | 0,
    isActive: (cluster) => (word(cluster) & activeBit) !== 0,
    isCopied: (cluster) => (word(cluster) & copiedBit) !== 0,
    *clusters() {
      for (const number of [...pages.keys()].sort((a, b) => a - b)) {
        const page = pages.get(number)
        for (let index = 0; page && index < pageClusters; index += 1) {
          if (page[index] !== 0) yield number * pageClusters + index
        }
      }
    },
  }
}

/** Which sectors of a file hold tables: a bit for each, for the parts of the file where there are any. */
export interface SectorClaims {
  /** Gives false when one of the sectors was claimed before. */
  claim(first: number, count: number): boolean
  isClaimed(first: number, count: number): boolean
  /** The sector after the last one claimed. */
  readonly end: number
  /** Whether memory ran out, so that claims have been dropped. */
  readonly isFull: boolean
}

const pageBits = 12
const pageSectors = 2 ** (pageBits + 3)
const pageBytes = 2 ** pageBits

export function sectorClaims(memoryBytes: number): SectorClaims {
  const maximumPages = Math.max(1, Math.floor(memoryBytes / pageBytes))
  const pages = new Map<number, Uint8Array>()
  let isFull = false
  let end = 0

  function pageOf(sector: number): Uint8Array | undefined {
    const number = Math.floor(sector / pageSectors)
    const page = pages.get(number)
    if (page) return page
    if (pages.size >= maximumPages) {
      isFull = true
      return undefined
    }
    const fresh = new Uint8Array(pageBytes)
    pages.set(number, fresh)
    return fresh
  }

  function isClaimed(first: number, count: number): boolean {
    for (let sector = first; sector < first + count; ) {
      const page = pages.get(Math.floor(sector / pageSectors))
      const at = sector % pageSectors
      const to = Math.min(pageSectors, at + first + count - sector)
      if (page) {
        for (let bit = at; bit < to; ) {
          const byte = page[bit >>> 3] ?? 0
          if (byte === 0) bit = (bit | 7) + 1
          else if (byte & (1 << (bit & 7))) return true
          else bit += 1
        }
      }
      sector += to - at
    }
    return false
  }

  return {
    get isFull() {
      return isFull
    },
    get end() {
      return end
    },
    isClaimed,
    claim(first, count) {
      if (isClaimed(first, count)) return false
      for (let sector = first; sector < first + count; sector += 1) {
        const page = pageOf(sector)
        if (!page) return true
        const at = sector % pageSectors
        page[at >>> 3] = (page[at >>> 3] ?? 0) | (1 << (at & 7))
      }
      end = Math.max(end, first + count)
      return true
    },
  }
}

/** Which parts of a file hold grains of one size, wherever they begin. */
export interface GrainClaims {
  /** Gives false when a grain that was claimed before shares a sector with the one at `first`. */
  claim(first: number): boolean
  /** Whether memory ran out, so that claims have been dropped. */
  readonly isFull: boolean
}

const pageSlots = 2 ** 15
const pageBytes = pageSlots * 2

/**
 * Two bytes for each grain: the file is cut into slots as long as a grain, in each of which at most one grain can begin, and
 * where in its slot it begins is all that is kept (0 for nowhere, else one more). Only the slot before and the slot behind
 * can hold a grain that overlaps.
 */
export function grainClaims(grainSectors: number, memoryBytes: number): GrainClaims {
  const maximumPages = Math.max(1, Math.floor(memoryBytes / pageBytes))
  const pages = new Map<number, Uint16Array>()
  let isFull = false

  /** Where in a slot a grain begins, and one more; 0 for nowhere. */
  function start(slot: number): number {
    return pages.get(Math.floor(slot / pageSlots))?.[slot % pageSlots] ?? 0
  }

  return {
    get isFull() {
      return isFull
    },
    claim(first) {
      const slot = Math.floor(first / grainSectors)
      const within = (first % grainSectors) + 1
      if (start(slot) !== 0 || start(slot - 1) > within) return false
      const behind = start(slot + 1)
      if (behind !== 0 && behind < within) return false
      const number = Math.floor(slot / pageSlots)
      let page = pages.get(number)
      if (!page) {
        if (pages.size >= maximumPages) {
          isFull = true
          return true
        }
        page = new Uint16Array(pageSlots)
        pages.set(number, page)
      }
      page[slot % pageSlots] = within
      return true
    },
  }
}

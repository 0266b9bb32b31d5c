import type { AbortOptions } from '../../core/abort.ts'
import type { Disk, Extent } from '../disk.ts'
import { mergeExtents } from '../merge-extents.ts'
import type { ClusterMap } from './cluster-map.ts'
import type { DecodeRun } from './decode-entries.ts'

export interface Qcow2ExtentsOptions extends AbortOptions {
  size: number
  map: ClusterMap
  decodeRun: DecodeRun
  backing: Disk | null
}

/**
 * The extents of an image, neighbours of one kind joined. Absent L2 tables cost a glance at the L1 table each. What
 * is not allocated is what the backing file says, or zero.
 */
export function qcow2Extents(options: Qcow2ExtentsOptions): AsyncGenerator<Extent, void, undefined> {
  return mergeExtents(pieces(options))
}

async function* pieces(options: Qcow2ExtentsOptions): AsyncGenerator<Extent, void, undefined> {
  const { size, map, decodeRun, backing, signal } = options
  const below = backing ? backingExtents(backing, { signal }) : null
  try {
    for (let position = 0; position < size; ) {
      const page = await map.pageAt(position, { signal })
      while (position < page.end) {
        const { kind, length } = decodeRun(page, position, page.end)
        if (kind === 'unallocated' && below) yield* below.within(position, position + length)
        else {
          const stored = kind === 'data' || kind === 'compressed'
          yield { offset: position, length, kind: stored ? 'data' : 'zero' }
        }
        position += length
      }
    }
  } finally {
    await below?.close()
  }
}

interface BackingExtents {
  /** The extents of a range that begins at or after the end of the one before. */
  within(start: number, end: number): AsyncGenerator<Extent, void, undefined>
  close(): Promise<void>
}

/** Walks the backing file's extents once, alongside the overlay's; beyond its end everything is zero. */
function backingExtents(backing: Disk, options: AbortOptions): BackingExtents {
  const iterator = backing.extents(options)[Symbol.asyncIterator]()
  let extent: Extent = { offset: 0, length: 0, kind: 'zero' }

  async function advanceTo(position: number): Promise<void> {
    while (extent.offset + extent.length <= position) {
      const next = await iterator.next()
      extent = next.done ? { offset: position, length: Number.POSITIVE_INFINITY, kind: 'zero' } : next.value
    }
  }

  return {
    async *within(start, end) {
      for (let position = start; position < end; ) {
        await advanceTo(position)
        const stop = Math.min(end, extent.offset + extent.length)
        yield { offset: position, length: stop - position, kind: extent.kind }
        position = stop
      }
    },
    async close() {
      await iterator.return?.()
    },
  }
}

import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { streamByReading } from '../../transfer/stream-by-reading.ts'

/** Bytes that stand in for those of a file from `start` to `end`; null for zeros. */
export interface Patch {
  readonly start: number
  readonly end: number
  readonly bytes: Uint8Array | null
}

/**
 * A view of the source with patches laid over it, each over those before, and zeros behind its end up to `size`. The
 * source itself stays as it is. Closing the view closes the source.
 */
export function patchedSource(
  source: RandomAccessSource,
  { patches, size }: { patches: readonly Patch[]; size: number },
): RandomAccessSource {
  const visible = visibleParts(patches)

  async function read(
    target: Uint8Array,
    position: number,
    options?: Parameters<RandomAccessSource['read']>[2],
  ): Promise<number> {
    const length = Math.max(0, Math.min(target.length, size - position))
    const end = position + length
    const wanted = target.subarray(0, length)
    const filled = position < source.size ? await source.read(wanted, position, options) : 0
    wanted.fill(0, filled)
    for (let index = firstEndingAfter(visible, position); index < visible.length; index += 1) {
      const part = visible[index]
      if (!part || part.start >= end) break
      const [from, to] = [Math.max(position, part.start), Math.min(end, part.end)]
      if (part.bytes) wanted.set(part.bytes.subarray(from - part.start, to - part.start), from - position)
      else wanted.fill(0, from - position, to - position)
    }
    return length
  }

  return {
    name: source.name,
    size,
    read,
    stream: (options) => streamByReading({ name: source.name, size, read }, options),
    close: () => source.close(),
  }
}

/** What can be seen of patches laid one over the other: in order, apart from each other. */
function visibleParts(patches: readonly Patch[]): Patch[] {
  const visible: Patch[] = []
  for (const patch of patches) {
    const first = firstEndingAfter(visible, patch.start)
    let last = first
    const replaced: Patch[] = []
    for (let part = visible[last]; part && part.start < patch.end; part = visible[last]) {
      if (part.start < patch.start) replaced.push(partOf(part, part.start, patch.start))
      last += 1
      if (part.end <= patch.end) continue
      replaced.push(partOf(part, patch.end, part.end))
      break
    }
    const before = replaced.filter(({ start }) => start < patch.start)
    const behind = replaced.filter(({ start }) => start >= patch.end)
    visible.splice(first, last - first, ...before, patch, ...behind)
  }
  return visible
}

function partOf({ start, bytes }: Patch, from: number, to: number): Patch {
  return { start: from, end: to, bytes: bytes?.subarray(from - start, to - start) ?? null }
}

/** Number of the first part that ends after `position`. */
function firstEndingAfter(parts: readonly Patch[], position: number): number {
  let low = 0
  let high = parts.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((parts[middle]?.end ?? 0) > position) high = middle
    else low = middle + 1
  }
  return low
}

import type { Disk, Extent } from '../../src/disk/disk.ts'

/** A large disk with one run of data. */
export function sparseDisk(size: number, offset: number, data: Buffer): Disk {
  const end = offset + data.length
  const extents: Extent[] = [
    { offset: 0, length: offset, kind: 'zero' },
    { offset, length: data.length, kind: 'data' },
    { offset: end, length: size - end, kind: 'zero' },
  ]
  return {
    size,
    extents: () => listed(extents.filter(({ length }) => length > 0)),
    async read(target, at) {
      target.fill(0)
      const from = Math.max(at, offset)
      if (from < Math.min(at + target.length, end)) {
        target.set(data.subarray(from - offset, at + target.length - offset), from - at)
      }
    },
    close: async () => undefined,
  }
}

/** The extents of a disk, as its `extents` gives them. */
export async function* listed(extents: Extent[]): AsyncGenerator<Extent> {
  yield* extents
}

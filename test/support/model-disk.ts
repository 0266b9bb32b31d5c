import fc from 'fast-check'
import type { Disk, Extent } from '../../src/disk/disk.ts'

/** A disk beside what it holds, so that every wrapper can be compared with the obvious computation. */
export interface ModelDisk {
  readonly disk: Disk
  readonly bytes: Buffer
}

/** A small disk of runs in random places, its data without a zero byte. */
export const modelDisks: fc.Arbitrary<ModelDisk> = fc
  .array(
    fc.record({
      length: fc.integer({ min: 1, max: 300 }),
      kind: fc.constantFrom<'data' | 'zero'>('data', 'zero'),
    }),
    {
      maxLength: 12,
    },
  )
  .map((runs) => modelDisk(runs))

export function modelDisk(runs: readonly { length: number; kind: 'data' | 'zero' }[]): ModelDisk {
  const extents: Extent[] = []
  let size = 0
  for (const { length, kind } of runs) {
    extents.push({ offset: size, length, kind })
    size += length
  }
  const bytes = Buffer.alloc(size)
  for (const { offset, length, kind } of extents) {
    if (kind === 'data') for (let i = offset; i < offset + length; i += 1) bytes[i] = (i % 255) + 1
  }
  return { bytes, disk: diskOf(bytes, extents) }
}

function diskOf(bytes: Buffer, extents: readonly Extent[]): Disk {
  return {
    size: bytes.length,
    async *extents() {
      yield* extents
    },
    async read(target, offset) {
      if (offset < 0 || offset + target.length > bytes.length) throw new RangeError('read outside the model')
      target.set(bytes.subarray(offset, offset + target.length))
    },
    close: async () => undefined,
  }
}

/** All bytes of a disk, read in pieces of `piece`. */
export async function readAll(disk: Disk, piece = disk.size): Promise<Buffer> {
  const bytes = Buffer.alloc(disk.size, 0xee)
  for (let offset = 0; offset < disk.size; offset += piece) {
    await disk.read(bytes.subarray(offset, offset + piece), offset)
  }
  return bytes
}

/** What is wrong with the extents of a disk that holds `bytes`: gaps, empty runs, data called zero. */
export async function extentProblems(disk: Disk, bytes: Buffer): Promise<string[]> {
  const problems: string[] = []
  let position = 0
  for await (const { offset, length, kind } of disk.extents()) {
    if (offset !== position) problems.push(`run at ${offset} instead of ${position}`)
    if (length <= 0) problems.push(`run of ${length} bytes at ${offset}`)
    position = offset + length
    const held = bytes.subarray(offset, position)
    if (kind === 'zero' && held.some((byte) => byte !== 0)) problems.push(`data in the zero run at ${offset}`)
  }
  if (position !== disk.size) problems.push(`runs end at ${position} instead of ${disk.size}`)
  return problems
}

/** Bytes in data runs. */
export async function dataLength(disk: Disk): Promise<number> {
  let sum = 0
  for await (const { length, kind } of disk.extents()) if (kind === 'data') sum += length
  return sum
}

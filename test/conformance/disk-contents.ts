import { open } from 'node:fs/promises'
import fc from 'fast-check'
import { GiB, KiB, MiB, TiB } from '../../src/core/bytes.ts'
import { collectDataRuns } from '../../src/disk/data-runs.ts'
import type { Disk, Extent } from '../../src/disk/disk.ts'
import { mergeExtents } from '../../src/disk/merge-extents.ts'
import { noiseOf } from '../disk/qcow2/sample-content.ts'

/** Bytes at their place on a disk; zeros among them are stored as data all the same. */
export interface Piece {
  readonly offset: number
  readonly bytes: Uint8Array
}

/** What a disk of the suite holds: `size` bytes, zero but for the pieces, which are in order and do not overlap. */
export interface DiskContent {
  readonly size: number
  readonly pieces: readonly Piece[]
}

const sector = 512

const filled = (offset: number, length: number, byte: number): Piece => ({
  offset,
  bytes: Buffer.alloc(length, byte),
})
const noise = (offset: number, length: number): Piece => ({ offset, bytes: noiseOf(length, offset) })
const text = (offset: number, length: number): Piece => ({
  offset,
  bytes: Buffer.alloc(length, 'the guest wrote this line\n'),
})

/** One disk for each thing a writer or a reader may get wrong. */
export const diskContents = {
  'one sector': { size: sector, pieces: [filled(0, sector, 1)] },
  'nothing but zeros': { size: 5 * MiB, pieces: [] },
  'zeros stored as data': { size: 5 * MiB, pieces: [filled(0, 5 * MiB, 0)] },
  'data everywhere': { size: 5 * MiB, pieces: [noise(0, 5 * MiB)] },
  'data in the first sector only': { size: 5 * MiB, pieces: [filled(0, sector, 2)] },
  'data in the last sector only': {
    size: 5 * MiB + 3 * sector,
    pieces: [filled(5 * MiB + 2 * sector, sector, 3)],
  },
  'no whole number of sectors': { size: 2 * MiB + 1000, pieces: [text(MiB, 300), text(2 * MiB + 600, 400)] },
  'data and holes, and an odd size': {
    size: 37 * MiB + 5 * sector,
    pieces: [
      text(0, 70 * KiB),
      noise(MiB, 300 * KiB),
      filled(MiB + 300 * KiB, 200 * KiB, 0),
      text(MiB + 500 * KiB, 5000),
      noise(2 * MiB + 777, 12_345),
      ...Array.from({ length: 20 }, (_, index) => filled(3 * MiB + index * 50_001, 1, 0xa5)),
      text(34 * MiB - 1000, 2000),
      text(37 * MiB + 4 * sector, sector),
    ],
  },
} as const satisfies Readonly<Record<string, DiskContent>>

/** A disk far larger than any memory or disk of the machine that runs the tests, with little on it. */
export const sparseContent: DiskContent = {
  size: TiB,
  pieces: [
    filled(0, 64 * KiB, 4),
    filled(900 * GiB + 64 * KiB, 200 * KiB, 5),
    filled(TiB - sector, sector, 6),
  ],
}

/** Disks of any allocation, up to 80 MiB with some hundred KiB on them. */
export const randomContents: fc.Arbitrary<DiskContent> = fc
  .record({
    sectors: fc.integer({ min: 1, max: 160_000 }),
    runs: fc.array(
      fc.record({
        at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
        length: fc.integer({ min: 1, max: 100_000 }),
        filling: fc.constantFrom('noise', 'text', 'zero'),
      }),
      { maxLength: 8 },
    ),
  })
  .map(({ sectors, runs }) => {
    const size = sectors * sector
    const pieces: Piece[] = []
    let free = 0
    for (const { at, length, filling } of runs.toSorted((a, b) => a.at - b.at)) {
      const offset = Math.max(free, Math.floor(at * size))
      const fits = Math.min(length, size - offset)
      if (fits === 0) continue
      pieces.push({ noise, text, zero: (o: number, l: number) => filled(o, l, 0) }[filling](offset, fits))
      free = offset + fits
    }
    return { size, pieces: pieces.map(withoutBootRecord) }
  })

/** Noise must not happen to be signed like a partition table, which the safety checks would look into. */
function withoutBootRecord(piece: Piece): Piece {
  const at = sector - 1 - piece.offset
  const bytes = Buffer.from(piece.bytes)
  if (at >= 0 && bytes[at] === 0xaa) bytes[at] = 0
  return { offset: piece.offset, bytes }
}

/** The disk with this content; exactly the pieces are data. */
export function diskOf({ size, pieces }: DiskContent): Disk {
  return {
    size,
    extents: () => mergeExtents(extentsOf(size, pieces)),
    async read(target, offset) {
      if (offset < 0 || offset + target.length > size)
        throw new RangeError(`A read at ${offset} leaves the disk.`)
      target.fill(0)
      for (const { offset: start, bytes } of pieces) {
        const from = Math.max(start, offset)
        const to = Math.min(start + bytes.length, offset + target.length)
        if (from < to) target.set(bytes.subarray(from - start, to - start), from - offset)
      }
    },
    close: async () => undefined,
  }
}

function* extentsOf(size: number, pieces: readonly Piece[]): Generator<Extent, void, undefined> {
  let position = 0
  for (const { offset, bytes } of pieces) {
    if (offset > position) yield { offset: position, length: offset - position, kind: 'zero' }
    yield { offset, length: bytes.length, kind: 'data' }
    position = offset + bytes.length
  }
  if (position < size) yield { offset: position, length: size - position, kind: 'zero' }
}

/** Writes the content as a sparse raw file, for programs to compare with; none of our own writers takes part. */
export async function writeReference({ size, pieces }: DiskContent, path: string): Promise<void> {
  await using file = await open(path, 'wx')
  await file.truncate(size)
  for (const { offset, bytes } of pieces) await file.write(bytes, 0, bytes.length, offset)
}

/**
 * What is wrong with a disk that should hold the content and nothing behind it, in words; empty when all is right. Every
 * part that either of them calls data is compared, and of a small disk everything, whatever its extents say.
 */
export async function diskProblems(disk: Disk, content: DiskContent): Promise<string[]> {
  const problems: string[] = []
  let position = 0
  for await (const { offset, length } of disk.extents()) {
    if (offset !== position || length <= 0)
      problems.push(`extent of ${length} bytes at ${offset}, not ${position}`)
    position = offset + length
  }
  if (position !== disk.size) problems.push(`extents end at ${position} of ${disk.size}`)
  if (disk.size < content.size) return [...problems, `size ${disk.size} instead of ${content.size}`]
  const expected = diskOf({ ...content, size: disk.size })
  const whole: Extent[] = [{ offset: 0, length: disk.size, kind: 'data' }]
  const isSmall = disk.size <= 8 * MiB
  for (const { extents } of isSmall ? [{ extents: () => whole }] : [expected, disk]) {
    problems.push(...(await compareRuns(disk, expected, extents)))
  }
  for await (const { offset, length, kind } of disk.extents()) {
    if (kind === 'data' || isSmall) continue
    const sample = Buffer.alloc(Math.min(length, 4 * KiB), 0xee)
    await disk.read(sample, offset + Math.floor((length - sample.length) / 2))
    if (sample.some((byte) => byte !== 0)) problems.push(`data in the zero extent at ${offset}`)
  }
  return problems
}

async function compareRuns(
  disk: Disk,
  expected: Disk,
  extents: () => Iterable<Extent> | ReturnType<Disk['extents']>,
) {
  const problems: string[] = []
  const listed = {
    ...expected,
    extents: async function* () {
      yield* extents()
    },
  }
  const { bounds } = await collectDataRuns(listed, { alignment: sector })
  const piece = MiB + 5 * sector
  const [held, wanted] = [Buffer.alloc(piece), Buffer.alloc(piece)]
  for (let index = 0; index < bounds.length; index += 2) {
    const end = bounds[index + 1] ?? 0
    for (let offset = bounds[index] ?? 0; offset < end; offset += piece) {
      const length = Math.min(piece, end - offset)
      await disk.read(held.subarray(0, length), offset)
      await expected.read(wanted.subarray(0, length), offset)
      if (held.compare(wanted, 0, length, 0, length) !== 0) problems.push(`other bytes from ${offset} on`)
    }
  }
  return problems
}

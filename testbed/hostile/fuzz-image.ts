import fc from 'fast-check'
import type { Disk } from '../../src/disk/disk.ts'
import { DiskError } from '../../src/disk/errors.ts'
import { type DiskFormat, formatReader, isDiskFormat } from '../../src/disk/format-readers.ts'
import { readPartitionTable } from '../../src/disk/partition/read-partition-table.ts'
import { probeFormat } from '../../src/disk/probe.ts'
import { checkImage } from '../../src/disk/safety/check-image.ts'
import type { RandomAccessSource } from '../../src/transfer/byte-source.ts'
import type { FuzzTarget } from './fuzz-target.ts'
import { type FuzzFormat, fuzzTargets } from './fuzz-targets.ts'
import { guardedSource } from './guarded-source.ts'
import { type Mutation, mutate, mutations } from './mutations.ts'

export interface FuzzOptions {
  runs: number
  /** Repeats the cases of an earlier run; printed by every failure. */
  seed?: number
  /** With the seed: the one case of that run, printed by every failure. */
  path?: string
  /** Called with each image before anything reads it. */
  onCase?: (fuzzCase: FuzzCase) => void
}

/** One image of a run: a seed, by a number that is taken modulo how many there are, and what is changed in it. */
export interface FuzzCase {
  readonly start: number
  readonly changes: readonly Mutation[]
  readonly reseal: boolean
}

/** CPU time of one case; a hang shows here and not in the wall time of a busy machine. */
const maximumSeconds = 1
/** The disks of all seeds fit in; made once, or the memory of so many short cases would say nothing. */
const target = Buffer.alloc(2 ** 20)

/**
 * Spoils small valid images in `runs` ways and puts each through everything that reads images: nothing may throw
 * anything but the errors of the disk room, read outside the source, or take longer than a second. What the safety
 * checks accept, the reader must read.
 * @throws Error of fast-check with the seed and the smallest case that fails
 */
export async function fuzzImages(format: FuzzFormat, options: FuzzOptions): Promise<void> {
  const { runs, seed, path, onCase } = options
  const fuzzTarget: FuzzTarget = fuzzTargets[format]
  const makeImage = imageMaker(fuzzTarget)
  const cases: fc.Arbitrary<FuzzCase> = fc.record({
    start: fc.nat({ max: 99 }),
    changes: mutations,
    reseal: fc.boolean(),
  })
  const property = fc.asyncProperty(cases, async (fuzzCase) => {
    onCase?.(fuzzCase)
    const bytes = makeImage(fuzzCase)
    const before = process.cpuUsage()
    await examine(bytes, fuzzTarget)
    const { user, system } = process.cpuUsage(before)
    if (user + system > maximumSeconds * 1e6)
      throw new Error(`It took ${(user + system) / 1e6} s of CPU time.`)
  })
  await fc.assert(property, {
    numRuns: runs,
    ...(seed === undefined ? {} : { seed }),
    ...(path === undefined ? {} : { path }),
  })
}

/** Makes the image of a case, valid until the next one is made. */
export function imageMaker({ seeds: makeSeeds, reseal }: FuzzTarget): (fuzzCase: FuzzCase) => Buffer {
  const seeds = makeSeeds()
  const room = Buffer.alloc(Math.max(...seeds.map(({ bytes }) => bytes.length)))
  return ({ start, changes, reseal: isResealed }) => {
    const seed = seeds[start % seeds.length]
    if (!seed) throw new Error('There are no seeds.')
    const bytes = mutate(seed, changes, room)
    if (isResealed) reseal?.(bytes)
    return bytes
  }
}

async function examine(bytes: Buffer, fuzzTarget: FuzzTarget): Promise<void> {
  const source = guardedSource(bytes)
  await probeFormat(source)
  await readPartitionTable(source)
  const { format, open, openWithOtherFiles } = fuzzTarget
  await compare(bytes, {
    format,
    allowOtherFiles: false,
    open: open ?? (async (image) => (await formatReader(diskFormatOf(fuzzTarget))).open(image, {})),
  })
  if (openWithOtherFiles) await compare(bytes, { format, allowOtherFiles: true, open: openWithOtherFiles })
}

function diskFormatOf({ format }: FuzzTarget): DiskFormat {
  if (isDiskFormat(format)) return format
  throw new Error(`${format} has no reader of its own, and its target does not open it.`)
}

interface WayToRead {
  format: string
  allowOtherFiles: boolean
  open(source: RandomAccessSource): Promise<Disk>
}

async function compare(bytes: Buffer, { format, allowOtherFiles, open }: WayToRead): Promise<void> {
  const verdict = await checkImage(guardedSource(bytes), { allowOtherFiles })
  const problem = await readAll(() => open(guardedSource(bytes)))
  // Compressed data are not looked at before they are read.
  if (verdict.accepted && verdict.format === format && problem && problem.code !== 'IMAGE_CLUSTER_DAMAGED') {
    throw new Error(
      `The safety checks accept it and the reader refuses it: ${problem.code} ${problem.message}`,
    )
  }
}

/** Reads the image, whatever the checks say; gives the error that stopped it. */
async function readAll(open: () => Promise<Disk>): Promise<DiskError | null> {
  try {
    const disk = await open()
    const read = (offset: number, length: number) =>
      disk.read(target.subarray(0, Math.min(length, disk.size - offset)), offset)
    let seen = 0
    let position = 0
    for await (const { offset, length, kind } of disk.extents()) {
      if (offset !== position || length <= 0) throw new Error(`An extent of ${length} bytes at ${offset}.`)
      position = offset + length
      if (position > disk.size) throw new Error('An extent leaves the disk.')
      if (kind === 'data' && seen < 16) await read(offset, Math.min(length, 4096))
      seen += 1
      if (seen > 10_000) break
    }
    await read(0, target.length)
    await read(Math.max(0, disk.size - 4096), 4096)
    await disk.close()
    return null
  } catch (error) {
    if (error instanceof DiskError) return error
    throw error
  }
}

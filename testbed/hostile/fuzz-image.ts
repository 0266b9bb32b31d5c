import fc from 'fast-check'
import { DiskError } from '../../src/disk/errors.ts'
import { memoryDisk } from '../../src/disk/memory-disk.ts'
import { readPartitionTable } from '../../src/disk/partition/read-partition-table.ts'
import { probeFormat } from '../../src/disk/probe.ts'
import { type OpenQcow2Options, openQcow2 } from '../../src/disk/qcow2/qcow2-reader.ts'
import { checkImage } from '../../src/disk/safety/check-image.ts'
import { type FuzzFormat, fuzzSeeds, resealGpt } from './fuzz-seeds.ts'
import { guardedSource } from './guarded-source.ts'
import { mutate, mutations } from './mutations.ts'

export interface FuzzOptions {
  runs: number
  /** Repeats the cases of an earlier run; printed by every failure. */
  seed?: number
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
export async function fuzzImages(format: FuzzFormat, { runs, seed }: FuzzOptions): Promise<void> {
  const seeds = fuzzSeeds(format)
  const cases = fc.record({
    start: fc.nat({ max: seeds.length - 1 }),
    changes: mutations,
    reseal: fc.boolean(),
  })
  const property = fc.asyncProperty(cases, async ({ start, changes, reseal }) => {
    const image = seeds[start]
    if (!image) return
    const bytes = mutate(image, changes)
    if (format === 'gpt' && reseal) resealGpt(bytes)
    const before = process.cpuUsage()
    await examine(bytes)
    const { user, system } = process.cpuUsage(before)
    if (user + system > maximumSeconds * 1e6)
      throw new Error(`It took ${(user + system) / 1e6} s of CPU time.`)
  })
  await fc.assert(property, { numRuns: runs, ...(seed === undefined ? {} : { seed }) })
}

async function examine(bytes: Buffer): Promise<void> {
  const source = guardedSource(bytes)
  await probeFormat(source)
  await readPartitionTable(source)
  for (const allowOtherFiles of [false, true]) await compare(bytes, allowOtherFiles)
}

async function compare(bytes: Buffer, allowOtherFiles: boolean): Promise<void> {
  const verdict = await checkImage(guardedSource(bytes), { allowOtherFiles })
  const problem = await readAll(bytes, allowOtherFiles ? otherFiles : {})
  // Data in compressed clusters are not looked at before they are read.
  if (verdict.accepted && verdict.format === 'qcow2' && problem && problem.code !== 'IMAGE_CLUSTER_DAMAGED') {
    throw new Error(
      `The safety checks accept it and the reader refuses it: ${problem.code} ${problem.message}`,
    )
  }
}

/** Whatever the name: a backing file of zeros, and a data file of zeros that is as long as any disk. */
const otherFiles: OpenQcow2Options = {
  openBacking: async () => memoryDisk(Buffer.alloc(4096)),
  openDataFile: async () => ({
    ...guardedSource(Buffer.alloc(0), 'disk.raw'),
    size: Number.MAX_SAFE_INTEGER,
    read: async (target) => target.fill(0).length,
  }),
}

/** Reads the image as qcow2, whatever the checks say; gives the error that stopped it. */
async function readAll(bytes: Buffer, options: OpenQcow2Options): Promise<DiskError | null> {
  try {
    const disk = await openQcow2(guardedSource(bytes), options)
    let seen = 0
    for await (const extent of disk.extents()) {
      if (extent.offset + extent.length > disk.size) throw new Error('An extent leaves the disk.')
      seen += 1
      if (seen > 10_000) break
    }
    const first = target.subarray(0, Math.min(disk.size, target.length))
    await disk.read(first, 0)
    await disk.read(first.subarray(0, Math.min(first.length, 4096)), disk.size - Math.min(first.length, 4096))
    await disk.close()
    return null
  } catch (error) {
    if (error instanceof DiskError) return error
    throw error
  }
}

/**
 * `node testbed/fuzz.ts [--seconds 20] [--seed N]`: good images with flipped bytes, through the door every untrusted
 * image comes in by, and through each reader behind it. An input may be read or refused; it must not crash, take
 * longer than a second, or make memory grow. Every input follows from its number alone, so a failure can be repeated.
 */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ImagewrightError } from '../src/core/errors.ts'
import { runProgram } from '../src/core/program.ts'
import type { Disk } from '../src/disk/disk.ts'
import { openCheckedDisk } from '../src/disk/open-disk.ts'
import { readPartitionTable } from '../src/disk/partition/read-partition-table.ts'
import { openQcow2 } from '../src/disk/qcow2/qcow2-reader.ts'
import { openRaw } from '../src/disk/raw/raw-reader.ts'
import { openExt4 } from '../src/guest/filesystem/ext4/open-ext4.ts'
import { probeFilesystem } from '../src/guest/filesystem/probe-filesystem.ts'
import type { RandomAccessSource } from '../src/transfer/byte-source.ts'
import { buildTinyGuest } from './tiny-guest.ts'

interface Target {
  readonly name: string
  readonly good: Buffer
  /** Of the same length: the input is made here, so that memory measured is memory the readers took. */
  readonly scratch: Buffer
  /** Where flips hurt most: metadata first. Bytes. */
  readonly hot: number
  /** How many runs one input of the others costs. */
  readonly every: number
  run(source: RandomAccessSource): Promise<void>
}

const slowest = 1_000
const memoryLimit = 256 * 1024 * 1024
/** Of what is read of one input. */
const readLimit = 4 * 1024 * 1024

const { values } = parseArgs({
  options: { seconds: { type: 'string', default: '20' }, seed: { type: 'string' } },
})
process.exitCode = await fuzz()

async function fuzz(): Promise<number> {
  const work = await mkdtemp(join(tmpdir(), 'imagewright-fuzz-'))
  try {
    const targets = await makeTargets(work)
    const only = values.seed === undefined ? null : Number(values.seed)
    const deadline = Date.now() + Number(values.seconds) * 1000
    const failures: string[] = []
    const counts = new Map<string, number>()
    for (let seed = only ?? 0; Date.now() < deadline; seed += 1) {
      for (const target of targets.filter(({ every }) => only !== null || seed % every === 0)) {
        const failure = await tryInput(target, seed)
        counts.set(target.name, (counts.get(target.name) ?? 0) + 1)
        if (failure) failures.push(`${target.name}, --seed ${seed}: ${failure}`)
      }
      if (only !== null || failures.length >= 10) break
    }
    for (const failure of failures) console.error(failure)
    const peak = Math.round(process.resourceUsage().maxRSS / 1024)
    for (const [name, count] of counts) console.log(`${String(count).padStart(8)}  ${name}`)
    console.log(`fuzz: ${failures.length} failures, peak memory ${peak} MiB`)
    return failures.length === 0 && peak * 1024 * 1024 < memoryLimit ? 0 : 1
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/** What was wrong with how an input was treated; null when it was read or refused as it should be. */
async function tryInput(target: Target, seed: number): Promise<string | null> {
  const started = performance.now()
  try {
    await target.run(memorySource(mutate(target, randomNumbers(seed))))
  } catch (error) {
    if (!(error instanceof ImagewrightError)) return error instanceof Error ? `${error.stack}` : String(error)
    // Our own limits are refusals; a hint that a program failed means that we let the input through to it.
    if (error.code === 'PROGRAM_FAILED') return error.message
  }
  const elapsed = performance.now() - started
  return elapsed > slowest * (target.every > 1 ? 5 : 1) ? `took ${Math.round(elapsed)} ms` : null
}

async function makeTargets(work: string): Promise<Target[]> {
  const guest = join(work, 'guest.raw')
  await buildTinyGuest(guest, { size: 8 * 1024 * 1024, label: 'gpt' })
  const guestBytes = await readFile(guest)
  const filesystem = guestBytes.subarray(2 * 1024 * 1024, 7 * 1024 * 1024)

  const small = join(work, 'small.raw')
  const content = Buffer.alloc(1024 * 1024)
  for (let at = 0; at < content.length; at += 128 * 1024) content.fill('some content ', at, at + 40_000)
  await writeFile(small, content)
  const variants = {
    'qcow2 v2': '-o compat=0.10,cluster_size=4096',
    'qcow2 v3': '-o cluster_size=512,lazy_refcounts=on',
    'qcow2 zlib': '-c -o cluster_size=4096',
    'qcow2 zstd': '-c -o compression_type=zstd',
    'qcow2 extended L2': '-o extended_l2=on,cluster_size=16384',
  }
  const targets: Target[] = []
  const add = (target: Omit<Target, 'scratch'>) =>
    targets.push({ ...target, scratch: Buffer.alloc(target.good.length) })
  for (const [name, options] of Object.entries(variants)) {
    const path = join(work, 'variant.qcow2')
    const programArguments = ['convert', '-f', 'raw', '-O', 'qcow2', ...options.split(' '), small, path]
    await runProgram('qemu-img', programArguments, { timeout: 60_000, package: 'qemu-utils' })
    const good = await readFile(path)
    add({ name: `${name}, checked`, good, hot: 0x70, every: 1, run: readChecked })
    add({ name: `${name}, reader`, good, hot: 0x70, every: 1, run: readQcow2 })
  }
  add({ name: 'partition table', good: guestBytes, hot: 34 * 512, every: 1, run: readPartitions })
  add({
    name: 'ext4',
    good: filesystem,
    hot: 16 * 1024,
    every: 50,
    run: (source) => readExt4(source, work),
  })
  return targets
}

async function readChecked(source: RandomAccessSource): Promise<void> {
  await using checked = await openCheckedDisk(source)
  await readThrough(checked.disk)
}

async function readQcow2(source: RandomAccessSource): Promise<void> {
  const disk = await openQcow2(source, {})
  try {
    await readThrough(disk)
  } finally {
    await disk.close()
  }
}

async function readPartitions(source: RandomAccessSource): Promise<void> {
  const disk = await openRaw(source)
  await readPartitionTable(disk, {})
  await readChecked(source)
}

async function readExt4(source: RandomAccessSource, workFolder: string): Promise<void> {
  const disk = await openRaw(source)
  if ((await probeFilesystem(disk))?.type !== 'ext4') return
  const filesystem = await openExt4(disk, { workFolder })
  try {
    for (const { name, kind } of await filesystem.list('/etc')) {
      if (kind === 'file') await filesystem.read(`/etc/${name}`)
    }
    await readThrough(await filesystem.scrubbed())
  } finally {
    await filesystem.close()
  }
}

async function readThrough(disk: Disk): Promise<void> {
  let left = readLimit
  const target = new Uint8Array(64 * 1024)
  for await (const { offset, length, kind } of disk.extents()) {
    if (kind === 'zero') continue
    for (let at = offset; at < offset + length && left > 0; at += target.length) {
      const chunk = target.subarray(0, Math.min(target.length, offset + length - at))
      await disk.read(chunk, at)
      left -= chunk.length
    }
    if (left <= 0) return
  }
}

/** The good image with one to eight changes, most of them where the metadata is, some of them numbers that are far too large. */
function mutate({ good, scratch: bytes, hot }: Target, random: () => number): Buffer {
  good.copy(bytes)
  const changes = 1 + Math.floor(random() * 8)
  for (let change = 0; change < changes; change += 1) {
    const range = random() < 0.6 ? hot : random() < 0.7 ? Math.min(bytes.length, 64 * 1024) : bytes.length
    const at = Math.floor(random() * (range - 8))
    const kind = random()
    if (kind < 0.4) bytes[at] = Math.floor(random() * 256)
    else if (kind < 0.6) bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << Math.floor(random() * 8)), at)
    else if (kind < 0.8) bytes.writeUInt32BE(Math.floor(random() * 2 ** 32), at & ~3)
    else if (kind < 0.9) bytes.fill(0xff, at & ~7, (at & ~7) + 8)
    else bytes.copy(bytes, at, Math.floor(random() * range), Math.floor(random() * range) + 64)
  }
  return random() < 0.1 ? bytes.subarray(0, Math.floor(random() * bytes.length)) : bytes
}

function memorySource(bytes: Buffer): RandomAccessSource {
  return {
    name: 'input',
    size: bytes.length,
    async read(target, position) {
      // A reader that asks for more than the file may hold has trusted a number of it.
      if (!Number.isSafeInteger(position) || position < 0) throw new Error(`read at ${position}`)
      return bytes.copy(target, 0, position)
    },
    async *stream({ start = 0, end = bytes.length } = {}) {
      yield bytes.subarray(start, end)
    },
    close: async () => undefined,
  }
}

/** Mulberry32: small, fast, and the same on every machine. */
function randomNumbers(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

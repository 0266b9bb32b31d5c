import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { KiB, MiB } from '../../../src/core/bytes.ts'
import { runProgram } from '../../../src/core/program.ts'
import { openCheckedDisk } from '../../../src/disk/open-disk.ts'
import { type Patch, patchedSource } from '../../../src/disk/vhdx/patched-source.ts'
import { replayLog } from '../../../src/disk/vhdx/replay-log.ts'
import { readVhdxHeader } from '../../../src/disk/vhdx/vhdx-header.ts'
import { openFileSource } from '../../../src/transfer/file-source.ts'
import { type LogEntrySketch, writeLog } from '../../../testbed/hostile/vhdx-log-sketch.ts'
import { regionPlace, sketchVhdx } from '../../../testbed/hostile/vhdx-sketch.ts'
import { memorySource } from '../../support/memory-source.ts'
import { qemuImg, qemuImgSame } from '../../support/qemu-img.ts'
import { describeWith } from '../../support/requirements.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'

const sector = 4 * KiB

/** A log of random changes to the last 256 KiB of an image, which are of no use to anybody, any of them the tail. */
const logs = fc.record({
  start: fc.nat({ max: 255 }).map((index) => index * sector),
  entries: fc.array(
    fc.record({
      changes: fc.array(
        fc.record({
          at: fc.nat({ max: 51 }),
          zeros: fc.option(fc.integer({ min: 1, max: 12 })),
          byte: fc.integer({ min: 1, max: 255 }),
        }),
        { maxLength: 5 },
      ),
    }),
    { minLength: 1, maxLength: 12 },
  ),
  tail: fc.nat({ max: 11 }),
})

describe('replayLog', () => {
  test('makes the changes from tail to head, in their order, wherever in the log they are', async () => {
    await fc.assert(
      fc.asyncProperty(logs, async ({ start, entries, tail }) => {
        const sketch = sketchVhdx({ size: MiB })
        const from = sketch.bytes.length - 256 * KiB
        const first = Math.min(tail, entries.length - 1)
        const log = entries.map(({ changes }, index): LogEntrySketch => {
          return {
            tail: index === entries.length - 1 ? first : 0,
            changes: changes.map(({ at, zeros, byte }) => ({
              at: from + at * sector,
              write: zeros === null ? Buffer.alloc(sector, byte) : zeros * sector,
            })),
          }
        })
        writeLog(sketch, log, { start })
        const expected = Buffer.from(sketch.bytes)
        for (const { at, write } of log.slice(first).flatMap(({ changes }) => changes)) {
          if (typeof write === 'number') expected.fill(0, at, at + write)
          else write.copy(expected, at)
        }
        const source = memorySource(sketch.bytes)
        const image = await replayLog(source, await readVhdxHeader(source))
        const read = Buffer.alloc(image.size)
        expect(await image.read(read, 0)).toBe(read.length)
        expect(read.subarray(from, expected.length).equals(expected.subarray(from))).toBe(true)
        expect(Buffer.concat(await Array.fromAsync(image.stream())).equals(read)).toBe(true)
      }),
      { numRuns: 40 },
    )
  })

  test('gives an image without changes to be made as it is, and never writes', async () => {
    const sketch = sketchVhdx()
    writeLog(sketch, [{ changes: [{ at: 0, write: MiB }] }], { isActive: false })
    const source = memorySource(sketch.bytes)
    expect(await replayLog(source, await readVhdxHeader(source))).toBe(source)
  })

  test('stops when it is cancelled', async () => {
    const sketch = sketchVhdx()
    writeLog(sketch, [{ changes: [] }])
    const source = memorySource(sketch.bytes)
    const header = await readVhdxHeader(source)
    await expect(replayLog(source, header, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'CANCELLED',
    })
  })
})

describe('patchedSource', () => {
  const patches = fc.array(
    fc.record({
      start: fc.nat({ max: 99 }),
      length: fc.integer({ min: 1, max: 40 }),
      byte: fc.nat({ max: 3 }),
    }),
    { maxLength: 12 },
  )
  test('shows any range as if the patches had been written, the last on top', () => {
    return fc.assert(
      fc.asyncProperty(patches, fc.nat({ max: 160 }), fc.nat({ max: 80 }), async (list, position, length) => {
        const bytes = Buffer.alloc(90, 'x')
        const size = 120
        const expected = Buffer.concat([bytes, Buffer.alloc(size)])
        const laid = list.map(({ start, length: long, byte }): Patch => {
          expected.fill(byte, start, start + long)
          return { start, end: start + long, bytes: byte === 0 ? null : Buffer.alloc(long, byte) }
        })
        const view = patchedSource(memorySource(bytes), { patches: laid, size })
        const target = Buffer.alloc(length, 0xee)
        const filled = await view.read(target, position)
        expect(filled).toBe(Math.max(0, Math.min(length, size - position)))
        expect(target.subarray(0, filled).equals(expected.subarray(position, position + filled))).toBe(true)
      }),
      { numRuns: 500 },
    )
  })
})

describeWith(['qemu-img'], 'an image with a log, and QEMU', () => {
  test('is seen by both alike, when QEMU fails after it wrote the log', async () => {
    const folder = await temporaryFolder()
    const [dirty, repaired] = [join(folder, 'dirty.vhdx'), join(folder, 'repaired.vhdx')]
    await qemuImg('create', '-f', 'vhdx', '-o', 'subformat=dynamic,block_size=1M', dirty, '20M')
    await writeWithFailingTable(dirty, 2 * MiB, ['write -P 0x41 3M 1500k', 'write -P 0x42 0 4k'])
    await copyFile(dirty, repaired)
    await qemuImg('check', '-r', 'all', '-f', 'vhdx', repaired)
    const before = await readFile(dirty)

    await using checked = await openCheckedDisk(await openFileSource(dirty))
    const warnings = checked.verdict.checks.filter(({ outcome }) => outcome !== 'passed')
    expect(warnings.map(({ name, code }) => [name, code])).toEqual([['vhdx.log', 'IMAGE_MARKED_DIRTY']])
    const ours = Buffer.alloc(checked.disk.size)
    await checked.disk.read(ours, 0)
    const raw = join(folder, 'disk.raw')
    await writeFile(raw, ours)
    expect(ours[3 * MiB]).toBe(0x41)
    expect(await qemuImgSame({ path: raw, format: 'raw' }, { path: repaired, format: 'vhdx' })).toBe(true)
    expect((await readFile(dirty)).equals(before)).toBe(true)
  })

  test('is seen by both alike, when its log was made by hand', async () => {
    const folder = await temporaryFolder()
    const sketch = sketchVhdx({ size: 3 * MiB })
    const [bat, data] = [regionPlace(sketch, 'bat'), regionPlace(sketch, 'metadata') + MiB]
    const table = Buffer.alloc(sector)
    sketch.bytes.copy(table, 0, bat + 8)
    const entries = [
      { changes: [{ at: bat, write: table }] },
      {
        changes: [
          { at: data + 8 * sector, write: Buffer.alloc(sector, 'log') },
          { at: data, write: 2 * sector },
        ],
      },
    ]
    writeLog(sketch, entries, { start: MiB - 3 * sector })
    const [path, repaired] = [join(folder, 'dirty.vhdx'), join(folder, 'repaired.vhdx')]
    await writeFile(path, sketch.bytes)
    await writeFile(repaired, sketch.bytes)
    await qemuImg('check', '-r', 'all', '-f', 'vhdx', repaired)
    await using checked = await openCheckedDisk(await openFileSource(path))
    const raw = join(folder, 'disk.raw')
    const ours = Buffer.alloc(checked.disk.size)
    await checked.disk.read(ours, 0)
    await writeFile(raw, ours)
    expect(await qemuImgSame({ path: raw, format: 'raw' }, { path: repaired, format: 'vhdx' })).toBe(true)
  })
})

describeWith(['qemu-img'], 'an image of a QEMU that was killed', () => {
  test('is the same for both, whatever it was doing', async () => {
    const folder = await temporaryFolder()
    for (let trial = 0; trial < 6; trial += 1) {
      const [path, repaired] = [join(folder, `${trial}.vhdx`), join(folder, `${trial}-repaired.vhdx`)]
      await qemuImg('create', '-f', 'vhdx', '-o', 'subformat=dynamic,block_size=1M', path, '100M')
      const writes = Array.from(
        { length: 98 },
        (_, index) => `write -P ${index + 1} ${(index * 37) % 100}M 4k`,
      )
      await killedQemuIo(path, writes, 20 + trial * 30)
      await copyFile(path, repaired)
      await qemuImg('check', '-r', 'all', '-f', 'vhdx', repaired)
      await using checked = await openCheckedDisk(await openFileSource(path))
      const ours = Buffer.alloc(checked.disk.size)
      await checked.disk.read(ours, 0)
      const raw = join(folder, `${trial}.raw`)
      await writeFile(raw, ours)
      expect(await qemuImgSame({ path: raw, format: 'raw' }, { path: repaired, format: 'vhdx' })).toBe(true)
    }
  })
})

async function killedQemuIo(path: string, commands: readonly string[], milliseconds: number): Promise<void> {
  const options = ['-f', 'vhdx', ...commands.flatMap((command) => ['-c', command]), path]
  const child = spawn('qemu-io', options, { stdio: 'ignore', timeout: milliseconds, killSignal: 'SIGKILL' })
  await once(child, 'exit')
}

/** The first write to the place given fails, so that QEMU leaves with what it had in mind in the log. */
async function writeWithFailingTable(
  path: string,
  place: number,
  commands: readonly string[],
): Promise<void> {
  const error = { event: 'none', iotype: 'write', sector: place / 512 }
  const file = { driver: 'blkdebug', image: { driver: 'file', filename: path }, 'inject-error': [error] }
  const image = `json:${JSON.stringify({ driver: 'vhdx', file })}`
  const { stdout, stderr } = await runProgram('qemu-io', [...commands.flatMap((one) => ['-c', one]), image], {
    timeout: 30_000,
    package: 'qemu-utils',
    acceptedExitCodes: [1],
  })
  expect(stdout + stderr).toContain('write failed')
}

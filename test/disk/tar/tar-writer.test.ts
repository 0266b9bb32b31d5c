import { mkdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { GiB, KiB, MiB } from '../../../src/core/bytes.ts'
import { runProgram } from '../../../src/core/program.ts'
import { byteRanges } from '../../../src/disk/byte-ranges.ts'
import { readTar } from '../../../src/disk/tar/read-tar.ts'
import { tarWriter } from '../../../src/disk/tar/tar-writer.ts'
import { createFileSink } from '../../../src/transfer/file-sink.ts'
import { openFileSource } from '../../../src/transfer/file-source.ts'
import { useSink } from '../../../src/transfer/use-sink.ts'
import { memorySink } from '../../support/memory-sink.ts'
import { describeWith } from '../../support/requirements.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { noiseOf } from '../qcow2/sample-content.ts'

describeWith(['tar', 'python3'], 'an archive of tarWriter', () => {
  it('is unpacked by tar, and listed by Python', async () => {
    const folder = await temporaryFolder()
    const path = join(folder, 'all.tar')
    const contents = { first: Buffer.alloc(0), second: noiseOf(512, 1), third: noiseOf(10_001, 2) }
    const sink = await createFileSink(path)
    await useSink(sink, async () => {
      const tar = tarWriter(sink)
      for (const [name, bytes] of Object.entries(contents)) {
        const member = await tar.begin({
          name,
          size: bytes.length,
          modified: new Date('2026-01-02T03:04:05Z'),
        })
        await member.write(bytes)
      }
      await tar.end()
    })
    expect((await readFile(path)).length % (10 * KiB)).toBe(0)
    expect(await listed(folder, path)).toEqual(
      Object.entries(contents).map(([name, { length }]) => `${name} ${length} 0`),
    )
    await mkdir(join(folder, 'out'))
    await run('tar', ['-xf', path, '-C', join(folder, 'out')])
    for (const [name, bytes] of Object.entries(contents)) {
      expect(await readFile(join(folder, 'out', name))).toEqual(bytes)
    }
    expect(await run('tar', ['-tvf', path, '--utc'])).toMatch(
      /-rw-r--r-- root\/root +512 2026-01-02 03:04 second/,
    )
  })

  it('has members of more than 8 GiB, which tar and Python measure alike', async () => {
    const folder = await temporaryFolder()
    const path = join(folder, 'large.tar')
    const sizes = { below: 8 * GiB - 1, above: 8 * GiB, behind: 3 }
    const sink = await createFileSink(path)
    await useSink(sink, async () => {
      const tar = tarWriter(sink)
      for (const [name, size] of Object.entries(sizes)) {
        const member = await tar.begin({ name, size })
        await member.writeZeros?.(size)
      }
      await tar.end()
    })
    const expected = Object.entries(sizes).map(([name, size]) => `${name} ${size} 0`)
    expect(await listed(folder, path)).toEqual(expected)
    expect((await run('tar', ['-tvf', path])).match(/\d{10}/g)).toEqual(['8589934591', '8589934592'])
    const source = await openFileSource(path)
    const { members } = await readTar(source)
    expect(members.map(({ name, size }) => `${name} ${size} 0`)).toEqual(expected)
    await source.close()
  })

  for (const parts of [0, 1, 3, 4, 24, 25, 100]) {
    it(`has sparse members that tar unpacks: ${parts} parts`, async () => {
      const folder = await temporaryFolder()
      const path = join(folder, 'sparse.tar')
      const size = 9 * MiB
      const ranges = byteRanges(
        Array.from({ length: parts }, (_, index) => ({ offset: index * 64 * KiB, length: 12 * KiB })),
      )
      const stored = noiseOf(ranges.total, parts)
      const sink = await createFileSink(path)
      await useSink(sink, async () => {
        const tar = tarWriter(sink)
        const member = await tar.beginSparse({ name: 'disk.raw', size }, ranges)
        await member.write(stored)
        await tar.end()
      })
      const whole = Buffer.alloc(size)
      for (let index = 0; index < parts; index += 1) {
        stored.copy(whole, index * 64 * KiB, index * 12 * KiB, (index + 1) * 12 * KiB)
      }
      await mkdir(join(folder, 'out'))
      await run('tar', ['-xf', path, '-C', join(folder, 'out')])
      const unpacked = join(folder, 'out', 'disk.raw')
      expect((await readFile(unpacked)).equals(whole)).toBe(true)
      // The file system's own list of the parts counts too, once it has been written.
      expect((await stat(unpacked)).blocks * 512).toBeLessThanOrEqual(ranges.total + 64 * KiB)
      expect(await listed(folder, path)).toEqual([`disk.raw ${size} S`])
    })
  }
})

describe('tarWriter', () => {
  it('wants as many bytes as were announced', async () => {
    const tar = tarWriter(memorySink())
    const member = await tar.begin({ name: 'a', size: 10 })
    await expect(member.write(Buffer.alloc(11))).rejects.toThrow('longer')
    await member.write(Buffer.alloc(4))
    await expect(tar.end()).rejects.toThrow('6 bytes')
  })

  it('takes plain names only', async () => {
    const tar = tarWriter(memorySink())
    for (const name of ['', 'a b', 'ä', 'x'.repeat(101)]) {
      await expect(tar.begin({ name, size: 0 }), name).rejects.toThrow('Not a name')
    }
  })
})

/** Name, size and type of each member, as Python sees them. */
async function listed(folder: string, path: string): Promise<string[]> {
  const script = [
    'import sys, tarfile',
    'for m in tarfile.open(sys.argv[1]): print(m.name, m.size, m.type.decode())',
  ]
  const { stdout } = await runProgram('python3', ['-c', script.join('\n'), path], {
    timeout: 60_000,
    workingDirectory: folder,
  })
  return stdout.trim().split('\n')
}

async function run(program: string, args: readonly string[]): Promise<string> {
  return (await runProgram(program, [...args], { timeout: 60_000 })).stdout
}

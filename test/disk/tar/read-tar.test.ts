import { open, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { GiB, KiB } from '../../../src/core/bytes.ts'
import { runProgram } from '../../../src/core/program.ts'
import { memberSource } from '../../../src/disk/tar/member-source.ts'
import { maximumMembers, readTar, type TarMember } from '../../../src/disk/tar/read-tar.ts'
import { encodeTarHeader } from '../../../src/disk/tar/tar-header.ts'
import type { RandomAccessSource } from '../../../src/transfer/byte-source.ts'
import { openFileSource } from '../../../src/transfer/file-source.ts'
import { sketchArchive } from '../../../testbed/hostile/ova-sketch.ts'
import { sketchSparse } from '../../../testbed/hostile/tar-sketch.ts'
import { memorySource } from '../../support/memory-source.ts'
import { describeWith } from '../../support/requirements.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { noiseOf } from '../qcow2/sample-content.ts'

const size = 3 * 1024 * KiB + 777

describeWith(['tar'], 'archives of tar', () => {
  for (const format of ['oldgnu', 'gnu', 'ustar', 'posix']) {
    it(`are read member for member: ${format}`, async () => {
      const folder = await temporaryFolder()
      const contents = await sampleFiles(folder)
      const long = `${'a-long-folder-name/'.repeat(8)}and-a-file`
      const names = [...Object.keys(contents), ...(format === 'ustar' ? [] : [long])]
      const transform = `s,^sparse$,${format === 'ustar' ? 'sparse' : long},`
      const tar = ['-cf', 'all.tar', `--format=${format}`, '--transform', transform, '-C', folder]
      await runIn(folder, 'tar', [...tar, 'empty', 'noise', 'sparse'])
      const { source, members } = await read(join(folder, 'all.tar'))
      const expected = format === 'ustar' ? ['empty', 'noise', 'sparse'] : ['empty', 'noise', long]
      expect(members.map(({ name }) => name)).toEqual(expected)
      expect(names).toContain(members[2]?.name)
      for (const [index, name] of ['empty', 'noise', 'sparse'].entries()) {
        expect((await contentOf(source, members[index])).equals(contents[name]!)).toBe(true)
      }
      await source.close()
    })
  }

  for (const parts of [1, 4, 5, 25, 26, 200]) {
    it(`are read with their holes: ${parts} parts`, async () => {
      const folder = await temporaryFolder()
      const path = join(folder, 'disk.raw')
      const file = await open(path, 'w')
      for (let part = 0; part < parts; part += 1)
        await file.write(noiseOf(5000, part), 0, 5000, part * 64 * KiB + 4096)
      await file.truncate(parts * 64 * KiB + 40_000)
      await file.close()
      await runIn(folder, 'tar', ['--format=oldgnu', '-Scf', 'sparse.tar', 'disk.raw'])
      const { source, members } = await read(join(folder, 'sparse.tar'))
      const [member] = members
      const archived = memberSource(source, member!)
      const original = await openFileSource(path)
      expect(archived.size).toBe(original.size)
      expect(await Array.fromAsync(archived.dataRanges?.() ?? [])).toEqual(
        await Array.fromAsync(original.dataRanges()),
      )
      expect((await contentOf(source, member)).equals(await readAll(original))).toBe(true)
      await original.close()
      await source.close()
    })
  }
})

describeWith(['python3'], 'archives of Python', () => {
  for (const format of ['USTAR', 'GNU', 'PAX']) {
    it(`are read member for member: ${format}`, async () => {
      const folder = await temporaryFolder()
      const contents = await sampleFiles(folder)
      const script = [
        'import tarfile',
        `archive = tarfile.open("all.tar", "w", format=tarfile.${format}_FORMAT)`,
        'for name in ("empty", "noise", "sparse"): archive.add(name)',
        'archive.close()',
      ]
      await runIn(folder, 'python3', ['-c', script.join('\n')])
      const { source, members } = await read(join(folder, 'all.tar'))
      for (const [index, name] of ['empty', 'noise', 'sparse'].entries()) {
        expect(members[index]).toMatchObject({ name, size: contents[name]?.length })
        expect((await contentOf(source, members[index])).equals(contents[name]!)).toBe(true)
      }
      await source.close()
    })
  }
})

describe('readTar', () => {
  it('reads sizes above 8 GiB in base 256', async () => {
    const path = join(await temporaryFolder(), 'large.tar')
    await writeFile(path, encodeTarHeader({ name: 'disk.raw', size: 9 * GiB + 1 }))
    await truncate(path, 512 + 9 * GiB + 512 + 1024)
    const { source, members } = await read(path)
    expect(members).toMatchObject([{ name: 'disk.raw', size: 9 * GiB + 1, offset: 512, sparse: null }])
    await source.close()
  })

  it('looks at no more members than are allowed, however many there are', async () => {
    let reads = 0
    const source: RandomAccessSource = {
      ...memorySource(Buffer.alloc(0), 'a million members'),
      size: 1_000_000 * 512,
      async read(target, position) {
        reads += 1
        return encodeTarHeader({ name: `m${position}`, size: 0 }).copy(target)
      },
    }
    const { members, checks } = await readTar(source)
    expect(members).toEqual([])
    expect(checks).toContainEqual(
      expect.objectContaining({ outcome: 'refused', code: 'IMAGE_ARCHIVE_LIMIT' }),
    )
    expect(reads).toBe(maximumMembers + 1)
  })

  it('gives members of a compressed or remote archive without reading what is in them', async () => {
    const bytes = sketchArchive([
      { name: 'first', bytes: Buffer.alloc(100_000, 1) },
      { name: 'second', bytes: Buffer.alloc(5, 2) },
    ]).bytes
    const source = memorySource(bytes)
    const { members } = await readTar(source)
    expect(source.reads).toBe(4)
    expect(members.map(({ offset }) => offset)).toEqual([512, 512 + 100_352 + 512])
  })
})

describe('a sparse member', () => {
  it('reads the same in any pieces', async () => {
    const parts = Array.from({ length: 30 }, (_, index): [number, number] => [
      index * 100 + 50,
      (index * 7) % 50,
    ])
    const stored = noiseOf(
      parts.reduce((sum, [, length]) => sum + length, 0),
      1,
    )
    const whole = Buffer.alloc(3200)
    let from = 0
    for (const [offset, length] of parts) {
      stored.copy(whole, offset, from, from + length)
      from += length
    }
    const source = memorySource(sketchSparse({ parts, stored, realSize: whole.length }))
    const { members } = await readTar(source)
    const member = memberSource(source, members[0]!)
    for (let start = 0; start < whole.length; start += 37) {
      for (const length of [1, 49, 50, 51, 150, 4000]) {
        const target = Buffer.alloc(length, 0xee)
        const filled = await member.read(target, start)
        expect(target.subarray(0, filled).equals(whole.subarray(start, start + length))).toBe(true)
      }
    }
    expect(await member.read(Buffer.alloc(10), whole.length)).toBe(0)
    expect(Buffer.concat(await Array.fromAsync(member.stream({ start: 60, end: 3000 })))).toEqual(
      whole.subarray(60, 3000),
    )
  })
})

/** An empty file, one of noise, and one with holes. */
async function sampleFiles(folder: string): Promise<Record<string, Buffer>> {
  const sparse = Buffer.alloc(size)
  noiseOf(10_000, 2).copy(sparse, 1_000_000)
  const contents = { empty: Buffer.alloc(0), noise: noiseOf(100_001, 1), sparse }
  for (const [name, bytes] of Object.entries(contents)) await writeFile(join(folder, name), bytes)
  return contents
}

async function read(path: string): Promise<{ source: RandomAccessSource; members: readonly TarMember[] }> {
  const source = await openFileSource(path)
  const { members, checks } = await readTar(source)
  expect(checks.filter(({ outcome }) => outcome !== 'passed')).toEqual([])
  return { source, members }
}

async function contentOf(source: RandomAccessSource, member: TarMember | undefined): Promise<Buffer> {
  return readAll(memberSource(source, member!))
}

async function readAll(source: RandomAccessSource): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(source.stream()))
}

async function runIn(folder: string, program: string, args: readonly string[]): Promise<void> {
  await runProgram(program, [...args], { timeout: 60_000, workingDirectory: folder })
}

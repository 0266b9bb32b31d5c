import { createHash } from 'node:crypto'
import { mkdir, readFile, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { GiB, KiB, MiB } from '../../../src/core/bytes.ts'
import { runProgram } from '../../../src/core/program.ts'
import { memoryDisk } from '../../../src/disk/memory-disk.ts'
import { openCheckedDisk } from '../../../src/disk/open-disk.ts'
import { openVmdk } from '../../../src/disk/vmdk/vmdk-reader.ts'
import { writeVmdk } from '../../../src/disk/vmdk/vmdk-writer.ts'
import { openFileSource } from '../../../src/transfer/file-source.ts'
import { provenSource } from '../../../src/transfer/proven-source.ts'
import {
  describeVmdk,
  grainBytes,
  letters,
  setHeader,
  sketchVmdk,
} from '../../../testbed/hostile/vmdk-sketch.ts'
import { memorySink } from '../../support/memory-sink.ts'
import { memorySource } from '../../support/memory-source.ts'
import { qemuImg, qemuIo } from '../../support/qemu-img.ts'
import { describeWith } from '../../support/requirements.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { noiseOf, readWhole, sampleContent } from '../qcow2/sample-content.ts'

const subformats = [
  'monolithicSparse',
  'streamOptimized',
  'monolithicFlat',
  'twoGbMaxExtentFlat',
  'twoGbMaxExtentSparse',
] as const

/** Opened through the one door, with the files of its folder allowed. */
async function open(path: string, folder: string) {
  return openCheckedDisk(await openFileSource(path), { allowOtherFilesWithin: folder })
}

describeWith(['qemu-img'], 'openVmdk on what qemu-img writes', () => {
  for (const subformat of subformats) {
    for (const [name, content] of Object.entries({
      'data and holes': sampleContent(),
      'one sector': Buffer.alloc(512, 1),
      zeros: Buffer.alloc(3 * MiB),
      noise: noiseOf(3 * MiB + 512, 1),
    })) {
      test(`reads the disk: ${subformat}, ${name}`, async () => {
        const folder = await temporaryFolder()
        const raw = join(folder, 'disk.raw')
        const path = join(folder, 'disk.vmdk')
        await writeFile(raw, content)
        await qemuImg('convert', '-f', 'raw', '-O', 'vmdk', '-o', `subformat=${subformat}`, raw, path)
        await using opened = await open(path, folder)
        expect(opened.format).toBe('vmdk')
        expect(content.equals(await readWhole(opened.disk))).toBe(true)
      })
    }
  }

  test('takes the bytes that a shorter CID leaves behind the text, and nothing else there', async () => {
    const folder = await temporaryFolder()
    const path = join(folder, 'disk.vmdk')
    await qemuImg('create', '-f', 'vmdk', '-o', 'subformat=twoGbMaxExtentFlat', path, '1M')
    const text = await readFile(path, 'latin1')
    const longest = text.replace(/^CID=.*$/m, 'CID=12345678')
    const shortest = text.replace(/^CID=.*$/m, 'CID=1')
    const remainder = `\0${longest.slice(shortest.length + 1)}`
    await writeFile(path, `${shortest}${remainder}`.padEnd(512, '\0'))
    await using opened = await open(path, folder)
    expect(opened.disk.size).toBe(MiB)
    await writeFile(path, `${shortest}${remainder}x`.padEnd(512, '\0'))
    await expect(open(path, folder)).rejects.toMatchObject({ code: 'IMAGE_HEADER_INVALID' })
  })

  test('reads grains of zeros, and what was written later and in any order', async () => {
    const folder = await temporaryFolder()
    const path = join(folder, 'disk.vmdk')
    await qemuImg('create', '-f', 'vmdk', '-o', 'zeroed_grain=on', path, '40M')
    await qemuIo(
      'vmdk',
      path,
      'write -P 1 39M 1M',
      'write -P 2 1M 192k',
      'write -z 1088k 64k',
      'write -P 3 0 512',
    )
    await using opened = await open(path, folder)
    const expected = Buffer.alloc(40 * MiB)
    expected.fill(1, 39 * MiB)
    expected.fill(2, MiB, MiB + 192 * KiB)
    expected.fill(0, 1088 * KiB, 1152 * KiB)
    expected.fill(3, 0, 512)
    expect(expected.equals(await readWhole(opened.disk))).toBe(true)
  })

  for (const subformat of ['twoGbMaxExtentSparse', 'twoGbMaxExtentFlat']) {
    test(`reads across the extents of a disk of 5 GiB: ${subformat}`, async () => {
      const folder = await temporaryFolder()
      const path = join(folder, 'disk.vmdk')
      await qemuImg('create', '-f', 'vmdk', '-o', `subformat=${subformat}`, path, '5G')
      const boundary = 2 * GiB - 1024
      await qemuIo('vmdk', path, `write -P 7 ${boundary} 4k`, `write -P 8 ${5 * GiB - 512} 512`)
      await using opened = await open(path, folder)
      expect(opened.disk.size).toBe(5 * GiB)
      const read = Buffer.alloc(6 * KiB)
      await opened.disk.read(read, boundary - KiB)
      expect(
        read.equals(Buffer.concat([Buffer.alloc(KiB), Buffer.alloc(4 * KiB, 7), Buffer.alloc(KiB)])),
      ).toBe(true)
      await opened.disk.read(read.subarray(0, 512), 5 * GiB - 512)
      expect(read.subarray(0, 512).equals(Buffer.alloc(512, 8))).toBe(true)
    })
  }
})

describe('openVmdk', () => {
  for (const kind of ['sparse', 'stream', 'front'] as const) {
    test(`reads a disk of the kind ${kind} that does not end with a grain`, async () => {
      const { bytes } = sketchVmdk({ kind, sectors: 21 })
      const content = await readWhole(await openVmdk(memorySource(bytes)))
      const whole = Buffer.concat([letters('A'), Buffer.alloc(grainBytes), letters('B')])
      expect(content.equals(whole.subarray(0, 21 * 512))).toBe(true)
    })
  }

  test('takes a grain table that lies across the blocks in which tables are read', async () => {
    const sketch = sketchVmdk({ kind: 'sparse' })
    const table = sketch.bytes.subarray(sketch.places.table, sketch.places.table + 2048)
    const place = 65_536 - 512
    const bytes = Buffer.concat([sketch.bytes], place + 2048)
    table.copy(bytes, place)
    bytes.writeUInt32LE(place / 512, sketch.places.directory)
    const content = await readWhole(await openVmdk(memorySource(bytes)))
    expect(content.equals(Buffer.concat([letters('A'), Buffer.alloc(grainBytes), letters('B')]))).toBe(true)
  })

  test('takes the last grain of a file for zeros where it is cut short', async () => {
    const { bytes } = sketchVmdk({ sectors: 17 })
    const disk = await openVmdk(memorySource(bytes.subarray(0, bytes.length - grainBytes + 512)))
    expect((await readWhole(disk)).subarray(-512).equals(Buffer.alloc(512, 'B'))).toBe(true)
  })

  test('reads any range of a stream as in the whole', async () => {
    const content = Buffer.concat([
      Buffer.alloc(300 * KiB, 'text\n'),
      noiseOf(200 * KiB, 1),
      Buffer.alloc(100 * KiB),
      noiseOf(3 * 512, 2),
    ])
    const sink = memorySink()
    await writeVmdk(memoryDisk(content), sink)
    const disk = await openVmdk(memorySource(sink.bytes()))
    await fc.assert(
      fc.asyncProperty(fc.nat(content.length), fc.nat(200 * KiB), async (offset, length) => {
        const end = Math.min(offset + length, content.length)
        const target = Buffer.alloc(end - offset, 0xee)
        await disk.read(target, offset)
        expect(target.equals(content.subarray(offset, end))).toBe(true)
      }),
    )
  })

  test('reads the neighbouring grains of a stream at once', async () => {
    const sink = memorySink()
    await writeVmdk(memoryDisk(noiseOf(2 * MiB, 3)), sink)
    const source = memorySource(sink.bytes())
    const disk = await openVmdk(source)
    await disk.read(Buffer.alloc(512), 0)
    const before = source.reads
    await disk.read(Buffer.alloc(MiB), MiB)
    expect(source.reads - before).toBe(1)
  })

  test('reads a stream whose bytes are proved in one pass', async () => {
    const content = sampleContent()
    const sink = memorySink()
    await writeVmdk(memoryDisk(content), sink)
    const value = createHash('sha256').update(sink.bytes()).digest('hex')
    const source = provenSource(memorySource(sink.bytes()), {
      expected: { algorithm: 'sha256', value },
      mismatch: (what) => new Error(what),
    })
    await using opened = await openCheckedDisk(source)
    source.beginPass()
    expect(content.equals(await readWhole(opened.disk))).toBe(true)
    await source.prove()
  })

  test('notices that the marker of a grain is not that of its entry', async () => {
    const { bytes, places } = sketchVmdk({ kind: 'stream' })
    bytes.writeBigUInt64LE(16n, places.grains[0] ?? 0)
    const disk = await openVmdk(memorySource(bytes))
    await expect(disk.read(Buffer.alloc(512), 0)).rejects.toMatchObject({ code: 'IMAGE_ENTRY_INVALID' })
  })

  test('says how to get at a disk that cannot be read', async () => {
    const difference = sketchVmdk({ descriptor: describeVmdk({ parentCid: '12345678' }) }).bytes
    await expect(openVmdk(memorySource(difference))).rejects.toMatchObject({
      code: 'IMAGE_BACKING_FILE',
      hint: expect.stringContaining('vmkfstools'),
    })
    await expect(openVmdk(memorySource(Buffer.from('COWD'.padEnd(4096))))).rejects.toMatchObject({
      code: 'IMAGE_FORMAT_UNSUPPORTED',
      hint: expect.stringContaining('vmkfstools'),
    })
    const cut = sketchVmdk({ kind: 'stream' }).bytes.subarray(0, -512)
    await expect(openVmdk(memorySource(cut))).rejects.toMatchObject({
      code: 'IMAGE_TRUNCATED',
      hint: expect.stringContaining('cut off'),
    })
    const part = sketchVmdk({ descriptor: '' }).bytes
    await expect(openVmdk(memorySource(part))).rejects.toMatchObject({
      code: 'IMAGE_HEADER_INVALID',
      hint: expect.stringContaining('descriptor'),
    })
  })

  test('does not read a sector for a disk of no size', async () => {
    const sketch = sketchVmdk()
    setHeader(sketch, 'capacity', 0)
    await expect(openVmdk(memorySource(sketch.bytes))).rejects.toMatchObject({ code: 'IMAGE_HEADER_INVALID' })
  })

  test('closes the extents that were open when another one cannot be opened', async () => {
    const text = describeVmdk({
      createType: 'twoGbMaxExtentFlat',
      extents: ['RW 8 FLAT "a.vmdk" 0', 'RW 8 FLAT "b.vmdk" 0', 'RW 8 FLAT "c.vmdk" 0'],
    })
    const closed: string[] = []
    const opening = openVmdk(memorySource(Buffer.from(text)), {
      openExtent: async ({ fileName, size }) => {
        if (fileName === 'c.vmdk') throw new Error('no such file')
        return { ...memoryDisk(Buffer.alloc(size)), close: async () => void closed.push(fileName) }
      },
    })
    await expect(opening).rejects.toThrow('no such file')
    expect(closed).toEqual(['a.vmdk', 'b.vmdk'])
  })

  test('closes every extent with the disk', async () => {
    const text = describeVmdk({
      createType: 'twoGbMaxExtentFlat',
      extents: ['RW 8 FLAT "a.vmdk" 0', 'RW 8 ZERO', 'RW 8 FLAT "b.vmdk" 0'],
    })
    const closed: string[] = []
    const source = memorySource(Buffer.from(text))
    const disk = await openVmdk(source, {
      openExtent: async ({ fileName, size }) => ({
        ...memoryDisk(Buffer.alloc(size, fileName)),
        close: async () => void closed.push(fileName),
      }),
    })
    const content = await readWhole(disk)
    expect(content.subarray(4096, 8192).equals(Buffer.alloc(4096))).toBe(true)
    expect(content.subarray(8192, 8200).toString()).toBe('b.vmdkb.')
    await disk.close()
    expect([closed, source.closed]).toEqual([['a.vmdk', 'b.vmdk'], true])
  })
})

describe('a disk in other files', () => {
  async function flatDisk(extent: string) {
    const folder = await temporaryFolder()
    const path = join(folder, 'disk.vmdk')
    await writeFile(path, describeVmdk({ createType: 'monolithicFlat', extents: [extent] }))
    return { folder, path }
  }

  test('is refused unless that was allowed', async () => {
    const { path } = await flatDisk('RW 16 FLAT "disk-flat.vmdk" 0')
    await expect(openCheckedDisk(await openFileSource(path))).rejects.toMatchObject({
      code: 'IMAGE_DATA_FILE',
    })
  })

  test('is looked into when all its files are open', async () => {
    const { folder, path } = await flatDisk('RW 128 FLAT "disk-flat.vmdk" 0')
    const nested = Buffer.alloc(64 * KiB)
    nested.write('QFI\xfb\0\0\0\x03', 'latin1')
    await writeFile(join(folder, 'disk-flat.vmdk'), nested)
    await expect(open(path, folder)).rejects.toMatchObject({ code: 'IMAGE_NESTED_FORMAT' })
  })

  test('may begin in the middle of a flat file', async () => {
    const { folder, path } = await flatDisk('RW 2 FLAT "disk-flat.vmdk" 3')
    const sectors = [0, 1, 2, 3, 4, 5].map((sector) => Buffer.alloc(512, sector))
    await writeFile(join(folder, 'disk-flat.vmdk'), Buffer.concat(sectors))
    await using opened = await open(path, folder)
    expect((await readWhole(opened.disk)).equals(Buffer.concat(sectors.slice(3, 5)))).toBe(true)
    expect(opened.verdict.subformat).toBe('monolithicFlat')
  })

  test('is refused where a flat file is too short', async () => {
    const { folder, path } = await flatDisk('RW 16 FLAT "disk-flat.vmdk" 0')
    await writeFile(join(folder, 'disk-flat.vmdk'), Buffer.alloc(16 * 512 - 1))
    await expect(open(path, folder)).rejects.toMatchObject({ code: 'IMAGE_TRUNCATED' })
    await truncate(join(folder, 'disk-flat.vmdk'), 16 * 512)
    await using opened = await open(path, folder)
    expect(opened.disk.size).toBe(8192)
  })

  test('is refused where a sparse file has another size, or lies', async () => {
    const folder = await temporaryFolder()
    const path = join(folder, 'disk.vmdk')
    const part = join(folder, 'disk-s001.vmdk')
    const describe = (sectors: number) =>
      describeVmdk({ createType: 'twoGbMaxExtentSparse', extents: [`RW ${sectors} SPARSE "disk-s001.vmdk"`] })
    const sketch = sketchVmdk({ descriptor: '' })
    await writeFile(part, sketch.bytes)
    await writeFile(path, describe(32))
    await expect(open(path, folder)).rejects.toMatchObject({ code: 'IMAGE_SIZE_AMBIGUOUS' })
    await writeFile(path, describe(24))
    await using opened = await open(path, folder)
    expect((await readWhole(opened.disk)).subarray(0, 3).toString()).toBe('AAA')
    sketch.bytes.writeUInt32LE(9, sketch.places.table)
    await writeFile(part, sketch.bytes)
    await expect(open(path, folder)).rejects.toMatchObject({ code: 'IMAGE_OVERLAP' })
    await writeFile(part, 'KDMV')
    await expect(open(path, folder)).rejects.toMatchObject({ code: 'IMAGE_TRUNCATED' })
  })

  test('CVE-2022-47951: never leads out of its folder', async () => {
    const { folder, path } = await flatDisk('RW 1 FLAT "link.vmdk" 0')
    const outside = join(await temporaryFolder(), 'secret')
    await writeFile(outside, Buffer.alloc(512, 's'))
    const link = join(folder, 'link.vmdk')
    await symlink(outside, link)
    await expect(open(path, folder)).rejects.toMatchObject({ code: 'IMAGE_UNSAFE_NAME' })
    const within = await flatDisk('RW 1 FLAT "folder" 0')
    await mkdir(join(within.folder, 'folder'))
    await expect(open(within.path, within.folder)).rejects.toMatchObject({ code: 'IMAGE_UNSAFE_NAME' })
    const pipe = await flatDisk('RW 1 FLAT "pipe" 0')
    await runProgram('mkfifo', [join(pipe.folder, 'pipe')], { timeout: 5000 })
    await expect(open(pipe.path, pipe.folder)).rejects.toMatchObject({ code: 'IMAGE_UNSAFE_NAME' })
  })
})

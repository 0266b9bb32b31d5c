import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { GiB, KiB, MiB, TiB } from '../../../src/core/bytes.ts'
import { checkImage } from '../../../src/disk/safety/check-image.ts'
import { openVdi } from '../../../src/disk/vdi/vdi-reader.ts'
import { openFileSource } from '../../../src/transfer/file-source.ts'
import { discarded, free, sketchVdi } from '../../../testbed/hostile/vdi-sketch.ts'
import { memorySource } from '../../support/memory-source.ts'
import { qemuImg, qemuIo } from '../../support/qemu-img.ts'
import { describeWith } from '../../support/requirements.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { noiseOf, readWhole, sampleContent } from '../qcow2/sample-content.ts'

describe('openVdi', () => {
  test('finds blocks in any order, and zeros where there are none', async () => {
    const { bytes } = sketchVdi({ size: 5 * MiB, map: [2, free, 0, discarded, 1] })
    const content = await readWhole(await openVdi(memorySource(bytes)))
    const blocks = ['A', 0, 'C', 0, 'E'].map((fill) => Buffer.alloc(MiB, fill))
    expect(content.equals(Buffer.concat(blocks))).toBe(true)
  })

  test('reads any part of it', async () => {
    const data = noiseOf(4 * MiB, 1)
    const map = [3, 1, free, 2, 0]
    const disk = await openVdi(memorySource(sketchVdi({ size: 5 * MiB, map, data }).bytes))
    const expected = Buffer.concat(
      map.map((entry) =>
        entry === free ? Buffer.alloc(MiB) : data.subarray(entry * MiB, (entry + 1) * MiB),
      ),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 5 * MiB - 1 }),
        fc.integer({ min: 0, max: 3 * MiB }),
        async (offset, length) => {
          const target = Buffer.alloc(Math.min(length, disk.size - offset), 0xee)
          await disk.read(target, offset)
          expect(target.equals(expected.subarray(offset, offset + target.length))).toBe(true)
        },
      ),
    )
  })

  test('reads blocks that are neighbours in the file at once', async () => {
    const source = memorySource(sketchVdi({ size: 3 * MiB, map: [0, 1, 2] }).bytes)
    const disk = await openVdi(source)
    await disk.read(Buffer.alloc(16), 0)
    const before = source.reads
    await disk.read(Buffer.alloc(3 * MiB), 0)
    expect(source.reads - before).toBe(1)
  })

  test('rounds an odd size up to a sector, as QEMU does', async () => {
    const { bytes } = sketchVdi({ size: 100, map: [0], data: Buffer.alloc(512, 'A') })
    expect((await openVdi(memorySource(bytes))).size).toBe(512)
  })

  test('notices a file that becomes shorter while it is read', async () => {
    const { bytes } = sketchVdi({ size: 2 * MiB, map: [1, 0] })
    const source = memorySource(bytes)
    const disk = await openVdi(source)
    const shorter = memorySource(bytes.subarray(0, bytes.length - 4096))
    source.read = shorter.read
    await expect(disk.read(Buffer.alloc(disk.size), 0)).rejects.toMatchObject({ code: 'IMAGE_TRUNCATED' })
  })

  test('says what to do with a differencing image', async () => {
    for (const type of [3, 4]) {
      await expect(openVdi(memorySource(sketchVdi({ type }).bytes))).rejects.toMatchObject({
        code: 'IMAGE_BACKING_FILE',
        hint: expect.stringContaining('VBoxManage clonemedium'),
      })
    }
  })

  test('tells the holes of a fixed image, if its blocks are in order', async () => {
    for (const [map, expected] of [
      [
        [0, 1, 2],
        ['data', 'zero', 'data'],
      ],
      [[1, 0, 2], ['data']],
    ] as const) {
      const { bytes, dataOffset } = sketchVdi({ type: 2, size: 3 * MiB, map })
      bytes.fill(0, dataOffset + MiB, dataOffset + 2 * MiB)
      const source = {
        ...memorySource(bytes),
        async *dataRanges() {
          yield { offset: 0, length: dataOffset + MiB }
          yield { offset: dataOffset + 2 * MiB, length: MiB }
        },
      }
      const kinds = []
      const disk = await openVdi(source)
      for await (const { kind } of disk.extents()) kinds.push(kind)
      expect(kinds).toEqual(expected)
      expect((await readWhole(disk)).length).toBe(3 * MiB)
    }
  })
})

const contents: Readonly<Record<string, () => Buffer>> = {
  'data and holes, and an odd size': sampleContent,
  'nothing but zeros': () => Buffer.alloc(7 * MiB),
  'data everywhere': () => noiseOf(5 * MiB, 1),
  'one sector': () => Buffer.alloc(512, 1),
  'the last sector only': () => Buffer.concat([Buffer.alloc(6 * MiB + 512), Buffer.alloc(512, 2)]),
}

describeWith(['qemu-img'], 'openVdi, of images by qemu-img', () => {
  for (const fixed of ['on', 'off']) {
    for (const [title, content] of Object.entries(contents)) {
      test(`reads ${title}: static=${fixed}`, async () => {
        const bytes = content()
        const folder = await temporaryFolder()
        const [raw, path] = [join(folder, 'disk.raw'), join(folder, 'disk.vdi')]
        await writeFile(raw, bytes)
        await qemuImg('convert', '-f', 'raw', '-O', 'vdi', '-o', `static=${fixed}`, raw, path)
        const source = await openFileSource(path)
        const { checks } = await checkImage(source, { format: 'vdi' })
        expect(checks.filter(({ outcome }) => outcome !== 'passed')).toEqual([])
        const disk = await openVdi(source)
        expect((await readWhole(disk)).equals(bytes)).toBe(true)
        await disk.close()
      })
    }

    test(`costs what is on it: 1 TiB, static=${fixed}`, async () => {
      const path = join(await temporaryFolder(), 'disk.vdi')
      await qemuImg('create', '-f', 'vdi', '-o', `static=${fixed}`, path, '1T')
      await qemuIo('vdi', path, 'write -P 1 900G 64k')
      const source = await openFileSource(path)
      expect(await checkImage(source)).toMatchObject({ accepted: true, virtualSize: TiB })
      const disk = await openVdi(source)
      let data = 0
      for await (const { length, kind } of disk.extents()) if (kind === 'data') data += length
      expect(data).toBeLessThan(2 * MiB)
      const target = Buffer.alloc(64 * KiB)
      await disk.read(target, 900 * GiB)
      expect(target.equals(Buffer.alloc(64 * KiB, 1))).toBe(true)
      await disk.close()
    })
  }
})

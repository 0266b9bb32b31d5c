import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { GiB, KiB, MiB } from '../../../src/core/bytes.ts'
import { checkImage } from '../../../src/disk/safety/check-image.ts'
import { openVhd } from '../../../src/disk/vhd/vhd-reader.ts'
import { openFileSource } from '../../../src/transfer/file-source.ts'
import {
  setFooterField,
  sketchDynamicVhd,
  sketchFixedVhd,
  smallBlock,
} from '../../../testbed/hostile/vhd-sketch.ts'
import { libvhdi, readByLibvhdi } from '../../support/libvhdi.ts'
import { memorySource } from '../../support/memory-source.ts'
import { qemuImg, qemuIo } from '../../support/qemu-img.ts'
import { describeWith } from '../../support/requirements.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { noiseOf, readWhole, sampleContent } from '../qcow2/sample-content.ts'

describe('openVhd', () => {
  test('takes the size from its own field, whatever the geometry says', async () => {
    const sketch = sketchFixedVhd(Buffer.alloc(64 * KiB, 'x'))
    for (const start of sketch.footers) sketch.bytes.write('vpc ', start + 28, 'latin1')
    setFooterField(sketch, 'cylinders', 1)
    const disk = await openVhd(memorySource(sketch.bytes))
    expect(disk.size).toBe(64 * KiB)
  })

  test('reads images of old Virtual PC, whose footer lacks its last byte', async () => {
    for (const { bytes } of [sketchFixedVhd(), sketchDynamicVhd()]) {
      const whole = await readWhole(await openVhd(memorySource(bytes)))
      const old = await readWhole(await openVhd(memorySource(bytes.subarray(0, -1))))
      expect(old.equals(whole)).toBe(true)
    }
  })

  test('gives zeros for sectors that a bitmap calls never written', async () => {
    // Bits 1, 3, 4 and 6 of every eight.
    const { bytes } = sketchDynamicVhd({ size: smallBlock, stored: [true], bitmap: 0b0101_1010 })
    const content = await readWhole(await openVhd(memorySource(bytes)))
    for (let sector = 0; sector < smallBlock / 512; sector += 1) {
      const expected = Buffer.alloc(512, [1, 3, 4, 6].includes(sector % 8) ? 'A' : 0)
      const actual = content.subarray(sector * 512, (sector + 1) * 512)
      if (!actual.equals(expected)) expect(`sector ${sector}`).toBe('right')
    }
  })

  test('reads any part of a sector that a bitmap hides, or not', async () => {
    const { bytes } = sketchDynamicVhd({ size: 2 * smallBlock, stored: [true, true], bitmap: 0b1011_0010 })
    const disk = await openVhd(memorySource(bytes))
    const content = await readWhole(disk)
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 2 * smallBlock - 1 }),
        fc.integer({ min: 0, max: 4000 }),
        async (offset, length) => {
          const target = Buffer.alloc(Math.min(length, disk.size - offset), 0xee)
          await disk.read(target, offset)
          expect(target.equals(content.subarray(offset, offset + target.length))).toBe(true)
        },
      ),
    )
  })

  test('reads a bitmap once for reads that follow each other', async () => {
    const { bytes } = sketchDynamicVhd({ size: smallBlock, stored: [true], bitmap: 0xfe })
    const source = memorySource(bytes)
    const disk = await openVhd(source)
    const before = source.reads
    const target = Buffer.alloc(4 * KiB)
    for (let offset = 0; offset < smallBlock; offset += target.length) await disk.read(target, offset)
    // One of the table, one of the bitmap.
    expect(source.reads - before).toBe(smallBlock / target.length + 2)
  })

  test('notices a file that becomes shorter while it is read', async () => {
    const { bytes } = sketchDynamicVhd({ size: 2 * smallBlock, stored: [true, true] })
    const source = memorySource(bytes)
    const disk = await openVhd(source)
    const shorter = memorySource(bytes.subarray(0, bytes.length - 4096))
    source.read = shorter.read
    await expect(disk.read(Buffer.alloc(disk.size), 0)).rejects.toMatchObject({ code: 'IMAGE_TRUNCATED' })
  })

  test('says what to do with a differencing image', async () => {
    const sketch = sketchDynamicVhd()
    setFooterField(sketch, 'disk_type', 4)
    await expect(openVhd(memorySource(sketch.bytes))).rejects.toMatchObject({
      code: 'IMAGE_BACKING_FILE',
      hint: expect.stringContaining('Convert-VHD'),
    })
  })

  test('refuses what is no VHD', async () => {
    for (const bytes of [Buffer.alloc(0), Buffer.alloc(100), Buffer.alloc(5000, 'c')]) {
      await expect(openVhd(memorySource(bytes))).rejects.toMatchObject({ code: 'IMAGE_FORMAT_MISMATCH' })
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

const writers = ['fixed', 'dynamic'].flatMap((subformat) =>
  ['on', 'off'].map((force) => [subformat, force] as const),
)

describeWith(['qemu-img'], 'openVhd, of images by qemu-img', () => {
  for (const [subformat, force] of writers) {
    for (const [title, content] of Object.entries(contents)) {
      test(`reads ${title}: ${subformat}, force_size=${force}`, async () => {
        const bytes = content()
        const folder = await temporaryFolder()
        const [raw, path] = [join(folder, 'disk.raw'), join(folder, 'disk.vhd')]
        await writeFile(raw, bytes)
        const options = `subformat=${subformat},force_size=${force}`
        await qemuImg('convert', '-f', 'raw', '-O', 'vpc', '-o', options, raw, path)
        const source = await openFileSource(path)
        const { checks } = await checkImage(source, { format: 'vhd' })
        expect(checks.filter(({ outcome }) => outcome !== 'passed')).toEqual([])
        const disk = await openVhd(source)
        const read = await readWhole(disk)
        await disk.close()
        // Without force_size qemu-img fills the disk up to the next geometry.
        if (force === 'on') expect(read.length).toBe(bytes.length)
        expect(read.subarray(0, bytes.length).equals(bytes)).toBe(true)
        expect(read.subarray(bytes.length).every((byte) => byte === 0)).toBe(true)
      })
    }
  }

  test('reads blocks in the order in which QEMU wrote them', async () => {
    const path = join(await temporaryFolder(), 'disk.vhd')
    await qemuImg('create', '-f', 'vpc', '-o', 'force_size=on', path, '40G')
    await qemuIo('vpc', path, 'write -P 1 39G 64k', 'write -P 2 0 4k', 'write -P 3 20G 3M')
    const disk = await openVhd(await openFileSource(path))
    const runs = []
    for await (const extent of disk.extents()) if (extent.kind === 'data') runs.push(extent)
    expect(runs.map(({ offset, length }) => [offset, length])).toEqual([
      [0, 2 * MiB],
      [20 * GiB, 4 * MiB],
      [39 * GiB, 2 * MiB],
    ])
    for (const [byte, offset] of [
      [1, 39 * GiB + 60 * KiB],
      [2, 0],
      [3, 20 * GiB + 2 * MiB],
      [0, 30 * GiB],
    ] as const) {
      const target = Buffer.alloc(4 * KiB, 0xee)
      await disk.read(target, offset)
      expect(target.equals(Buffer.alloc(4 * KiB, byte))).toBe(true)
    }
    await disk.close()
  })

  test('reads no more than the table of 2040 GiB', async () => {
    const path = join(await temporaryFolder(), 'disk.vhd')
    await qemuImg('create', '-f', 'vpc', '-o', 'force_size=on', path, '2040G')
    const disk = await openVhd(await openFileSource(path))
    expect(disk.size).toBe(2040 * GiB)
    const extents = []
    for await (const extent of disk.extents()) extents.push(extent)
    expect(extents).toEqual([{ offset: 0, length: 2040 * GiB, kind: 'zero' }])
    await disk.close()
  })
})

describeWith([libvhdi], 'openVhd and libvhdi', () => {
  // It takes a run of written sectors to end with a byte of the bitmap.
  test.each([0xff, 0x00, 0x01, 0x3f])('read the same of blocks with the bitmap %i', async (bitmap) => {
    const sketch = sketchDynamicVhd({ size: 3 * smallBlock, stored: [true, false, true], bitmap })
    const path = join(await temporaryFolder(), 'disk.vhd')
    await writeFile(path, sketch.bytes)
    const ours = await readWhole(await openVhd(memorySource(await readFile(path))))
    expect(ours.equals(await readByLibvhdi(path))).toBe(true)
  })
})

import { open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { GiB, KiB, MiB } from '../../../src/core/bytes.ts'
import { openCheckedDisk } from '../../../src/disk/open-disk.ts'
import { blockStates } from '../../../src/disk/vhdx/vhdx-layout.ts'
import { openVhdx } from '../../../src/disk/vhdx/vhdx-reader.ts'
import { openFileSource } from '../../../src/transfer/file-source.ts'
import {
  regionPlace,
  setBatEntry,
  sketchVhdx,
  type VhdxSketchOptions,
} from '../../../testbed/hostile/vhdx-sketch.ts'
import { libvhdi, readByLibvhdi } from '../../support/libvhdi.ts'
import { memorySource } from '../../support/memory-source.ts'
import { qemuImg, qemuIo } from '../../support/qemu-img.ts'
import { describeWith } from '../../support/requirements.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { noiseOf, readWhole, sampleContent } from '../qcow2/sample-content.ts'

describe('openVhdx', () => {
  test('reads blocks wherever they lie in the file', async () => {
    const sketch = sketchVhdx({ size: 3 * MiB })
    setBatEntry(sketch, 0, 6n, 6 * MiB)
    setBatEntry(sketch, 2, 6n, 4 * MiB)
    const content = await readWhole(await openVhdx(memorySource(sketch.bytes)))
    expect([0, MiB, 2 * MiB].map((at) => content.toString('latin1', at, at + 1))).toEqual(['C', 'B', 'A'])
  })

  test('gives zeros for every block that is not present', async () => {
    for (const state of [0, blockStates.undefined, blockStates.zero, blockStates.unmapped, 5]) {
      const sketch = sketchVhdx({ size: 2 * MiB })
      setBatEntry(sketch, 0, BigInt(state), 4 * MiB)
      const disk = await openVhdx(memorySource(sketch.bytes))
      expect(await Array.fromAsync(disk.extents())).toEqual([
        { offset: 0, length: MiB, kind: 'zero' },
        { offset: MiB, length: MiB, kind: 'data' },
      ])
      const content = await readWhole(disk)
      expect(content.equals(Buffer.concat([Buffer.alloc(MiB), Buffer.alloc(MiB, 'B')]))).toBe(true)
    }
  })

  test('finds blocks behind the entries of sector bitmaps', async () => {
    const cases: VhdxSketchOptions[] = [
      { blockSize: 256 * MiB, size: 33 * 256 * MiB + 4096 },
      { blockSize: 256 * MiB, size: 129 * 256 * MiB + 4096, sectorSize: 4096 },
    ]
    for (const options of cases) {
      const blocks = Math.ceil((options.size ?? 0) / (256 * MiB))
      const content = Array.from({ length: blocks }, (_, block) =>
        block === blocks - 1 ? Buffer.alloc(4096, 'Z') : null,
      )
      const disk = await openVhdx(memorySource(sketchVhdx({ ...options, blocks: content }).bytes))
      const last = disk.size - 4096
      expect(await Array.fromAsync(disk.extents())).toEqual([
        { offset: 0, length: last, kind: 'zero' },
        { offset: last, length: 4096, kind: 'data' },
      ])
      const read = Buffer.alloc(8192, 0xee)
      await disk.read(read, last - 4096)
      expect(read.equals(Buffer.concat([Buffer.alloc(4096), Buffer.alloc(4096, 'Z')]))).toBe(true)
    }
  })

  test('reads the table through a cache, a page at a time', async () => {
    const source = memorySource(sketchVhdx({ size: 100 * GiB, blocks: [null] }).bytes)
    const disk = await openVhdx(source)
    const before = source.reads
    expect(await Array.fromAsync(disk.extents())).toEqual([{ offset: 0, length: 100 * GiB, kind: 'zero' }])
    // 800 KiB of entries, 64 KiB at once.
    expect(source.reads - before).toBe(13)
  })

  test('knows the holes in a file of a fixed image', async () => {
    const path = join(await temporaryFolder(), 'disk.vhdx')
    const sketch = sketchVhdx({ size: 3 * MiB, fixed: true })
    const data = regionPlace(sketch, 'metadata') + MiB
    await writeFile(path, sketch.bytes.subarray(0, data + 64 * KiB))
    await using file = await open(path, 'r+')
    await file.truncate(sketch.bytes.length)
    const disk = await openVhdx(await openFileSource(path))
    expect(await Array.fromAsync(disk.extents())).toEqual([
      { offset: 0, length: 64 * KiB, kind: 'data' },
      { offset: 64 * KiB, length: 3 * MiB - 64 * KiB, kind: 'zero' },
    ])
    await disk.close()
  })

  test('says what to do with a differencing image', async () => {
    const { bytes, items } = sketchVhdx()
    bytes.writeUInt32LE(2, items.fileParameters + 4)
    await expect(openVhdx(memorySource(bytes))).rejects.toMatchObject({
      code: 'IMAGE_BACKING_FILE',
      hint: expect.stringContaining('Convert-VHD'),
    })
  })

  test('refuses what is no VHDX', async () => {
    for (const bytes of [Buffer.alloc(0), Buffer.alloc(100), Buffer.alloc(2 * MiB, 'v')]) {
      await expect(openVhdx(memorySource(bytes))).rejects.toMatchObject({ code: 'IMAGE_FORMAT_MISMATCH' })
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

const creations = [
  'subformat=dynamic',
  'subformat=dynamic,block_size=1M',
  'subformat=dynamic,block_size=2M,log_size=3M',
  'subformat=dynamic,block_size=256M,block_state_zero=off',
  'subformat=fixed',
  'subformat=fixed,block_size=1M',
]

describeWith(['qemu-img'], 'openVhdx, of images by qemu-img', () => {
  for (const options of creations) {
    test(`reads ${options}`, async () => {
      const folder = await temporaryFolder()
      for (const [title, content] of Object.entries(contents)) {
        const bytes = content()
        const [raw, path] = [join(folder, `${title}.raw`), join(folder, `${title}.vhdx`)]
        await writeFile(raw, bytes)
        await qemuImg('convert', '-f', 'raw', '-O', 'vhdx', '-o', options, raw, path)
        const read = await readChecked(path)
        expect(read.equals(bytes), title).toBe(true)
      }
    })
  }

  test('reads an image that was written to here and there, past the first sector bitmap', async () => {
    const path = join(await temporaryFolder(), 'disk.vhdx')
    await qemuImg('create', '-f', 'vhdx', '-o', 'subformat=dynamic,block_size=1M', path, '6G')
    const places = [5 * GiB, 0, 4 * GiB - 4 * KiB, 4 * GiB, 6 * GiB - 512, 3 * MiB]
    for (const [index, place] of places.entries()) {
      await qemuIo('vhdx', path, `write -P ${index + 1} ${place} 512`)
    }
    await using checked = await openCheckedDisk(await openFileSource(path))
    expect(checked.verdict.checks.filter(({ outcome }) => outcome !== 'passed')).toEqual([])
    const sector = Buffer.alloc(512)
    for (const [index, place] of places.entries()) {
      await checked.disk.read(sector, place)
      expect(sector.equals(Buffer.alloc(512, index + 1)), `at ${place}`).toBe(true)
    }
    let data = 0
    for await (const { kind, length } of checked.disk.extents()) data += kind === 'data' ? length : 0
    expect(data).toBe(places.length * MiB)
  })

  test.for(['0', '512', '1M', '2T'])('reads an empty disk of %s', async (size) => {
    const path = join(await temporaryFolder(), 'disk.vhdx')
    await qemuImg('create', '-f', 'vhdx', path, size)
    await using checked = await openCheckedDisk(await openFileSource(path))
    const kinds = (await Array.fromAsync(checked.disk.extents())).map(({ kind }) => kind)
    expect(kinds).toEqual(size === '0' ? [] : ['zero'])
  })
})

describeWith([libvhdi], 'openVhdx and libvhdi', () => {
  const kinds: [string, VhdxSketchOptions][] = [
    [
      'dynamic',
      { size: 4 * MiB + 512, blocks: [null, Buffer.alloc(MiB, 'B'), null, null, Buffer.alloc(512, 'E')] },
    ],
    ['fixed', { size: 3 * MiB, fixed: true }],
    ['with sectors of 4096 bytes', { size: 2 * MiB + 4096, sectorSize: 4096 }],
  ]
  test.for(kinds)('see the same in an image made by hand, %s', async ([, options]) => {
    const path = join(await temporaryFolder(), 'disk.vhdx')
    await writeFile(path, sketchVhdx(options).bytes)
    expect((await readByLibvhdi(path)).equals(await readChecked(path))).toBe(true)
  })
})

async function readChecked(path: string): Promise<Buffer> {
  await using checked = await openCheckedDisk(await openFileSource(path), { format: 'vhdx' })
  expect(checked.verdict.checks.filter(({ outcome }) => outcome !== 'passed')).toEqual([])
  return await readWhole(checked.disk)
}

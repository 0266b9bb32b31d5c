import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { GiB, KiB, MiB, TiB } from '../../../src/core/bytes.ts'
import type { Disk } from '../../../src/disk/disk.ts'
import { memoryDisk } from '../../../src/disk/memory-disk.ts'
import { openCheckedDisk } from '../../../src/disk/open-disk.ts'
import { probeFormat } from '../../../src/disk/probe.ts'
import { batGeometry, blocksBeforeEntry, entryOfBlock } from '../../../src/disk/vhdx/vhdx-bat.ts'
import { vhdxPlan } from '../../../src/disk/vhdx/vhdx-plan.ts'
import { type WriteVhdxOptions, writeVhdx } from '../../../src/disk/vhdx/vhdx-writer.ts'
import { createFileSink } from '../../../src/transfer/file-sink.ts'
import { openFileSource } from '../../../src/transfer/file-source.ts'
import { useSink } from '../../../src/transfer/use-sink.ts'
import { type DiskContent, diskOf, diskProblems } from '../../conformance/disk-contents.ts'
import { libvhdi, readByLibvhdi } from '../../support/libvhdi.ts'
import { memorySink } from '../../support/memory-sink.ts'
import { qemuImgRefusals, qemuIo } from '../../support/qemu-img.ts'
import { describeWith } from '../../support/requirements.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { memoryFile, sampleContent } from '../qcow2/sample-content.ts'

const kinds = ['dynamic', 'fixed'].flatMap((subformat) =>
  (['file', 'pipe'] as const).map((sink) => [subformat, sink] as const),
)

describeWith([libvhdi], 'writeVhdx, in the eyes of libvhdi', () => {
  test.for(kinds)('writes a disk that reads the same, %s, into a %s', async ([subformat, sink]) => {
    const path = join(await temporaryFolder(), 'disk.vhdx')
    for (const content of [sampleContent(), Buffer.alloc(512, 1), Buffer.alloc(3 * MiB)]) {
      await writeFile(path, await write(memoryDisk(content), sink, { subformat }))
      expect((await readByLibvhdi(path)).equals(content)).toBe(true)
    }
  })
})

describe('writeVhdx', () => {
  test('makes blocks of 1 MiB up to 1 TiB, and larger ones so that the BAT never has more than 8 MiB and a bit', () => {
    expect(vhdxPlan(512).blockSize).toBe(MiB)
    expect(vhdxPlan(TiB).blockSize).toBe(MiB)
    expect(vhdxPlan(TiB + 512).blockSize).toBe(2 * MiB)
    expect(vhdxPlan(64 * TiB)).toMatchObject({ blockSize: 64 * MiB, blocks: MiB })
    for (const size of [512, GiB, TiB, TiB + 512, 63 * TiB, 64 * TiB]) {
      expect(vhdxPlan(size).bat().length).toBeLessThan(8 * MiB + 200 * KiB)
    }
  })

  test('says what disks it has no place for', () => {
    for (const size of [0, 64 * TiB + 512]) {
      expect(() => vhdxPlan(size)).toThrow(expect.objectContaining({ code: 'DISK_OPTION_INVALID' }))
    }
  })

  test('leaves blocks of zeros out of a file although the disk calls them data', async () => {
    const disk = memoryDisk(Buffer.alloc(20 * MiB))
    const extents = async function* () {
      yield { offset: 0, length: disk.size, kind: 'data' as const }
    }
    expect((await write({ ...disk, extents }, 'file')).length).toBe(4 * MiB)
    expect((await write({ ...disk, extents }, 'pipe')).length).toBe(24 * MiB)
  })

  test('keeps a block for a few bytes, and reads nothing that the disk calls zero', async () => {
    const content: DiskContent = {
      size: GiB,
      pieces: [{ offset: 700 * MiB + 300 * KiB, bytes: Buffer.alloc(1000, 1) }],
    }
    let bytes = 0
    const disk: Disk = {
      ...diskOf(content),
      async read(target, offset, options) {
        bytes += target.length
        await diskOf(content).read(target, offset, options)
      },
    }
    for (const sink of ['file', 'pipe'] as const) {
      bytes = 0
      expect((await write(disk, sink)).length).toBe(5 * MiB)
      expect(bytes).toBe(64 * KiB)
    }
  })

  test('gives a file and a pipe the same bytes, where no zeros are stored as data', async () => {
    const disk = memoryDisk(sampleContent())
    const ids = {
      fileWrite: '00000000-0000-4000-8000-000000000001',
      dataWrite: '00000000-0000-4000-8000-000000000002',
      virtualDisk: '00000000-0000-4000-8000-000000000003',
    }
    for (const subformat of ['dynamic', 'fixed']) {
      const file = await write(disk, 'file', { subformat, ids })
      expect(file.equals(await write(disk, 'pipe', { subformat, ids }))).toBe(true)
    }
  })

  test('gives every image ids of its own', async () => {
    const disk = memoryDisk(Buffer.alloc(512, 1))
    expect((await write(disk, 'pipe')).equals(await write(disk, 'pipe'))).toBe(false)
  })

  test('never leaves an interrupted file that looks like an image', async () => {
    for (let failAfter = 0; ; failAfter += 1) {
      const file = memoryFile({ failAfter })
      const done = await writeVhdx(memoryDisk(sampleContent()), file).then(
        () => true,
        () => false,
      )
      if (done) {
        expect(failAfter).toBeGreaterThan(3)
        return
      }
      const bytes = file.content()
      const { format } = await probeFormat({
        size: bytes.length,
        read: async (target, position) => bytes.copy(target, 0, position, position + target.length),
      })
      expect(format).toBe('raw')
    }
  })
})

test('the BAT has an entry for every block, and knows the block of every entry', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 20, max: 28 }),
      fc.constantFrom(512, 4096),
      fc.integer({ min: 1, max: 1e6 }),
      fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
      (bits, sectorSize, blocks, at) => {
        const geometry = batGeometry(blocks * 2 ** bits, 2 ** bits, sectorSize)
        const block = Math.floor(at * blocks)
        const entry = entryOfBlock(geometry, block)
        expect(entry).toBeLessThan(geometry.entries)
        expect(blocksBeforeEntry(geometry, entry)).toBe(block)
        expect(blocksBeforeEntry(geometry, entry + 1)).toBe(block + 1)
        expect(entryOfBlock(geometry, blocks - 1)).toBe(geometry.entries - 1)
      },
    ),
  )
})

describeWith(['qemu-img'], 'writeVhdx, with large blocks', () => {
  test('writes 3 TiB with little on it', async () => {
    const pieces = [0, 5 * MiB, 2 * TiB - 64 * KiB, 3 * TiB - 512].map((offset, index) => ({
      offset,
      bytes: Buffer.alloc(512, index + 1),
    }))
    const content: DiskContent = { size: 3 * TiB, pieces }
    const folder = await temporaryFolder()
    for (const subformat of ['dynamic', 'fixed']) {
      const path = join(folder, subformat)
      const sink = await createFileSink(path, { durable: false })
      await useSink(sink, () => writeVhdx(diskOf(content), sink, { subformat }))
      await using checked = await openCheckedDisk(await openFileSource(path))
      expect(checked.disk.size).toBe(content.size)
      expect(await diskProblems(checked.disk, content)).toEqual([])
      expect(await qemuImgRefusals(path, 'vhdx')).toEqual([])
      const reads = pieces.map(({ offset, bytes }) => `read -P ${bytes[0]} ${offset} 512`)
      expect(await qemuIo('vhdx', path, 'read -P 0 1T 4k', ...reads)).not.toMatch(/fail/i)
    }
  })
})

async function write(disk: Disk, kind: 'file' | 'pipe', options: WriteVhdxOptions = {}): Promise<Buffer> {
  if (kind === 'file') {
    const file = memoryFile()
    await writeVhdx(disk, file, options)
    return file.content()
  }
  const pipe = memorySink()
  await writeVhdx(disk, pipe, options)
  return pipe.bytes()
}

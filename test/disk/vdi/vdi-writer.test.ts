import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { GiB, KiB, MiB, TiB } from '../../../src/core/bytes.ts'
import type { Disk } from '../../../src/disk/disk.ts'
import { DiskError } from '../../../src/disk/errors.ts'
import { memoryDisk } from '../../../src/disk/memory-disk.ts'
import { paddedDisk } from '../../../src/disk/padded-disk.ts'
import { openVdi } from '../../../src/disk/vdi/vdi-reader.ts'
import { writeVdi } from '../../../src/disk/vdi/vdi-writer.ts'
import { createFileSink } from '../../../src/transfer/file-sink.ts'
import { openFileSource } from '../../../src/transfer/file-source.ts'
import { memorySink } from '../../support/memory-sink.ts'
import { memorySource } from '../../support/memory-source.ts'
import { qemuImgRefusals, qemuIo } from '../../support/qemu-img.ts'
import { describeWith } from '../../support/requirements.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { checkVdiImage } from '../../support/vdi-checker.ts'
import { memoryFile, noiseOf, readWhole, sampleContent } from '../qcow2/sample-content.ts'

const subformats = ['dynamic', 'fixed'] as const
const sinks = ['file', 'pipe'] as const

describe('writeVdi, in the eyes of a second reader', () => {
  const contents: Readonly<Record<string, () => Buffer>> = {
    'data and holes, and an odd size': sampleContent,
    'nothing but zeros': () => Buffer.alloc(7 * MiB),
    'data everywhere': () => noiseOf(5 * MiB, 1),
    'one sector': () => Buffer.alloc(512, 1),
    'the last sector only': () => Buffer.concat([Buffer.alloc(6 * MiB + 512), Buffer.alloc(512, 2)]),
  }
  for (const subformat of subformats) {
    for (const kind of sinks) {
      test.each(Object.keys(contents))(
        `is the same disk again: %s, ${subformat} into a ${kind}`,
        async (title) => {
          const content = contents[title]?.() ?? Buffer.alloc(0)
          const { type, disk } = checkVdiImage(await write(memoryDisk(content), kind, subformat))
          expect(type).toBe(subformat === 'fixed' ? 2 : 1)
          expect(disk.equals(content)).toBe(true)
        },
      )
    }
  }

  test('is the same disk again: any allocation', async () => {
    const allocations = fc.array(fc.constantFrom('zero', 'noise', 'one byte'), {
      minLength: 1,
      maxLength: 12,
    })
    await fc.assert(
      fc.asyncProperty(
        allocations,
        fc.integer({ min: 1, max: 2048 }),
        fc.constantFrom(...subformats),
        fc.constantFrom(...sinks),
        async (blocks, sectors, subformat, kind) => {
          const content = Buffer.alloc((blocks.length - 1) * MiB + sectors * 512)
          blocks.forEach((filling, index) => {
            const block = content.subarray(index * MiB, (index + 1) * MiB)
            if (filling === 'noise') block.set(noiseOf(block.length, index))
            if (filling === 'one byte') block[block.length - 1] = 1
          })
          const checked = checkVdiImage(await write(memoryDisk(content), kind, subformat))
          expect(checked.disk.equals(content)).toBe(true)
          if (subformat === 'dynamic') {
            expect(checked.allocated).toBe(blocks.filter((filling) => filling !== 'zero').length)
          }
        },
      ),
      { numRuns: 30 },
    )
  })
})

describe('writeVdi', () => {
  test('gives every image an id of its own', async () => {
    const ids = await Promise.all(
      [...subformats, ...subformats].map(async (subformat) => {
        return checkVdiImage(await write(memoryDisk(Buffer.alloc(512)), 'pipe', subformat)).imageId
      }),
    )
    expect(new Set(ids).size).toBe(4)
  })

  test('leaves blocks of zeros out of a file, and not out of a pipe', async () => {
    const disk = allData(memoryDisk(Buffer.alloc(8 * MiB)))
    expect(checkVdiImage(await write(disk, 'file', 'dynamic')).allocated).toBe(0)
    expect(checkVdiImage(await write(disk, 'pipe', 'dynamic')).allocated).toBe(8)
  })

  test('makes holes of shorter zeros in a file, and of all zeros in a fixed one', async () => {
    const content = Buffer.alloc(64 * MiB)
    content.fill('x', 5 * MiB, 5 * MiB + 100)
    for (const subformat of subformats) {
      const path = join(await temporaryFolder(), 'disk.vdi')
      const sink = await createFileSink(path)
      await writeVdi(allData(memoryDisk(content)), sink, { subformat })
      await sink.finish()
      const { blocks, size } = await stat(path)
      expect(size).toBe(subformat === 'fixed' ? 65 * MiB : 2 * MiB)
      expect(blocks * 512).toBeLessThan(256 * KiB)
    }
  })

  test('reads nothing that the disk calls zero', async () => {
    for (const subformat of subformats) {
      let bytes = 0
      const disk = paddedDisk(memoryDisk(Buffer.alloc(64 * KiB, 'x')), 64 * MiB)
      const counting: Disk = {
        ...disk,
        read: (target, offset) => {
          bytes += target.length
          return disk.read(target, offset)
        },
      }
      await writeVdi(counting, memoryFile(), { subformat })
      expect(bytes).toBe(MiB)
    }
  })

  test('never leaves an interrupted file that looks like an image', async () => {
    for (const subformat of subformats) {
      for (let failAfter = 0; ; failAfter += 1) {
        const file = memoryFile({ failAfter })
        const disk = memoryDisk(noiseOf(5 * MiB, 2))
        const outcome = await writeVdi(disk, file, { subformat }).catch(() => 'failed')
        if (outcome !== 'failed') break
        await expect(openVdi(memorySource(file.content()))).rejects.toBeInstanceOf(DiskError)
        expect(failAfter).toBeLessThan(100)
      }
    }
  })

  test('fills the last sector up', async () => {
    const { disk } = checkVdiImage(await write(memoryDisk(Buffer.alloc(700, 'x')), 'pipe', 'dynamic'))
    expect(disk.equals(Buffer.concat([Buffer.alloc(700, 'x'), Buffer.alloc(324)]))).toBe(true)
  })

  test('keeps its map out of memory: 1 TiB, and data here and there', async () => {
    const path = join(await temporaryFolder(), 'disk.vdi')
    const sink = await createFileSink(path)
    const disk = paddedDisk(memoryDisk(noiseOf(3 * MiB, 1), 900 * GiB), TiB)
    await writeVdi(disk, sink)
    await sink.finish()
    const head = Buffer.alloc(16)
    const source = await openFileSource(path)
    await source.read(head, 0x180)
    expect([head.readUInt32LE(0), head.readUInt32LE(4)]).toEqual([MiB, 3])
    const opened = await openVdi(source)
    expect(opened.size).toBe(TiB)
    await opened.close()
  })

  test('refuses what the format cannot hold', async () => {
    for (const size of [0, 1025 * TiB]) {
      for (const subformat of subformats) {
        const written = writeVdi(memoryDisk(Buffer.alloc(0), size), memorySink(), { subformat })
        await expect(written).rejects.toMatchObject({ code: 'DISK_OPTION_INVALID' })
      }
    }
  })
})

describeWith(['qemu-img'], 'writeVdi, in the eyes of QEMU', () => {
  test('can be written on', async () => {
    const content = Buffer.concat([noiseOf(3 * MiB, 3), Buffer.alloc(9 * MiB)])
    for (const subformat of subformats) {
      const path = join(await temporaryFolder(), 'disk.vdi')
      const sink = await createFileSink(path)
      await writeVdi(memoryDisk(content), sink, { subformat })
      await sink.finish()
      await qemuIo('vdi', path, 'write -P 0x41 2M 4k', 'write -P 0x42 9M 64k')
      expect(await qemuImgRefusals(path, 'vdi')).toEqual([])
      const expected = Buffer.from(content)
      expected.fill(0x41, 2 * MiB, 2 * MiB + 4 * KiB)
      expected.fill(0x42, 9 * MiB, 9 * MiB + 64 * KiB)
      const disk = await openVdi(await openFileSource(path))
      expect((await readWhole(disk)).equals(expected)).toBe(true)
      await disk.close()
      expect(checkVdiImage(await readFile(path)).disk.equals(expected)).toBe(true)
    }
  })
})

async function write(disk: Disk, kind: (typeof sinks)[number], subformat: string): Promise<Buffer> {
  if (kind === 'pipe') {
    const sink = memorySink()
    await writeVdi(disk, sink, { subformat })
    return sink.bytes()
  }
  const file = memoryFile()
  await writeVdi(disk, file, { subformat })
  const content = Buffer.alloc(lengthOf(file.content()))
  file.content().copy(content)
  return content
}

/** What was never written at the end of a file is there all the same. */
function lengthOf(image: Buffer): number {
  return image.readUInt32LE(0x158) + image.readUInt32LE(0x184) * MiB
}

function allData(disk: Disk): Disk {
  return {
    ...disk,
    async *extents() {
      yield { offset: 0, length: disk.size, kind: 'data' }
    },
  }
}

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { GiB, KiB, MiB, TiB } from '../../../src/core/bytes.ts'
import type { Disk } from '../../../src/disk/disk.ts'
import { memoryDisk } from '../../../src/disk/memory-disk.ts'
import { openQcow2 } from '../../../src/disk/qcow2/qcow2-reader.ts'
import { type WriteQcow2Options, writeQcow2 } from '../../../src/disk/qcow2/qcow2-writer.ts'
import { memorySink } from '../../support/memory-sink.ts'
import { memorySource } from '../../support/memory-source.ts'
import { qemuImgProblems, qemuImgSame } from '../../support/qemu-img.ts'
import { describeWith } from '../../support/requirements.ts'
import { listed, sparseDisk } from '../../support/sparse-disk.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { memoryFile, noiseOf, readWhole, sampleContent } from './sample-content.ts'

const sinks = ['file', 'pipe'] as const
type SinkKind = (typeof sinks)[number]
const compressions = [undefined, 'zlib', 'zstd'] as const

describeWith(['qemu-img'], 'writeQcow2, in the eyes of qemu-img', () => {
  for (const clusterSize of [512, 4 * KiB, 64 * KiB, 2 * MiB]) {
    for (const compression of compressions) {
      for (const sink of sinks) {
        const title = `clusters of ${clusterSize}, compression ${compression ?? 'none'}, into a ${sink}`
        test(`writes a flawless image: ${title}`, async () => {
          const content = sampleContent()
          const image = await write(memoryDisk(content), sink, {
            clusterSize,
            ...(compression && { compression }),
          })
          await expectAccepted(image, content)
        })
      }
    }
  }

  for (const [name, content] of Object.entries({
    'no bytes': Buffer.alloc(0),
    'one sector': Buffer.alloc(512, 1),
    'one cluster and a sector': Buffer.alloc(64 * KiB + 512, 2),
    'nothing but zeros': Buffer.alloc(3 * MiB),
    'nothing but noise': noiseOf(3 * MiB, 3),
  })) {
    for (const compression of compressions) {
      test(`writes a disk of ${name}, compression ${compression ?? 'none'}`, async () => {
        for (const sink of sinks) {
          const image = await write(memoryDisk(content), sink, compression ? { compression } : {})
          await expectAccepted(image, content)
        }
      })
    }
  }

  test('counts the clusters of a refcount table that itself takes several clusters', async () => {
    const content = noiseOf(24 * MiB, 4)
    for (const sink of sinks) {
      const image = await write(memoryDisk(content), sink, { clusterSize: 512 })
      const { header } = await openQcow2(memorySource(image))
      expect(header.refcountTableClusters).toBeGreaterThan(2)
      await expectAccepted(image, content)
    }
  })

  test('fills the room beside incompressible clusters with compressed ones', async () => {
    const pieces = Array.from({ length: 64 }, (_, index) =>
      index % 2 ? noiseOf(64 * KiB, index) : Buffer.alloc(64 * KiB, `line ${index}\n`),
    )
    const content = Buffer.concat(pieces)
    for (const sink of sinks) {
      const image = await write(memoryDisk(content), sink, { compression: 'zlib' })
      expect(image.length).toBeLessThan(content.length / 2 + 8 * 64 * KiB)
      await expectAccepted(image, content)
    }
  })

  test('writes 1 TiB with little data at the cost of the data', async () => {
    const data = noiseOf(MiB, 5)
    const disk = sparseDisk(TiB, 900 * GiB + 64 * KiB, data)
    for (const sink of sinks) {
      const image = await write(disk, sink)
      expect(image.length).toBeLessThan(2 * MiB)
      const path = join(await temporaryFolder(), 'disk.qcow2')
      await writeFile(path, image)
      expect(await qemuImgProblems(path)).toEqual([])
      const read = Buffer.alloc(data.length)
      await (await openQcow2(memorySource(image))).read(read, 900 * GiB + 64 * KiB)
      expect(read.equals(data)).toBe(true)
    }
  })
})

describe('writeQcow2', () => {
  test('gives the same bytes every time, and to a compressed pipe the same as to a file', async () => {
    const disk = memoryDisk(sampleContent())
    const first = await write(disk, 'file', { compression: 'zstd' })
    expect(first.equals(await write(disk, 'file', { compression: 'zstd' }))).toBe(true)
    expect(first.equals(await write(disk, 'pipe', { compression: 'zstd' }))).toBe(true)
  })

  test('leaves clusters of zeros out of a file although the disk calls them data', async () => {
    const disk = memoryDisk(Buffer.alloc(8 * MiB))
    const allData = { ...disk, extents: () => listed([{ offset: 0, length: disk.size, kind: 'data' }]) }
    expect((await write(allData, 'file')).length).toBeLessThan(512 * KiB)
    expect((await write(allData, 'pipe', { compression: 'zlib' })).length).toBeLessThan(512 * KiB)
  })

  test('reads nothing that the disk calls zero', async () => {
    const disk = sparseDisk(GiB, 512 * MiB, noiseOf(64 * KiB, 6))
    let bytes = 0
    const counting: Disk = {
      ...disk,
      read: async (target, offset) => {
        bytes += target.length
        await disk.read(target, offset)
      },
    }
    await write(counting, 'file')
    expect(bytes).toBe(64 * KiB)
  })

  test('tells the guest bytes done, once over in all, also when it takes two passes', async () => {
    for (const sink of sinks) {
      for (const compression of compressions) {
        const told: [number, number][] = []
        const onProgress = (done: number, total: number) => told.push([done, total])
        await write(memoryDisk(noiseOf(5 * MiB, 7)), sink, {
          onProgress,
          ...(compression && { compression }),
        })
        expect(told[0]).toEqual([0, 5 * MiB])
        expect(told.at(-1)).toEqual([5 * MiB, 5 * MiB])
        expect(told.every(([done], index) => done >= (told[index - 1]?.[0] ?? 0))).toBe(true)
      }
    }
  })

  test('never leaves an interrupted file that looks like an image', async () => {
    for (const compression of compressions) {
      for (let failAfter = 0; ; failAfter += 1) {
        const file = memoryFile({ failAfter })
        const failed = await writeQcow2(
          memoryDisk(noiseOf(3 * MiB, 8)),
          file,
          compression ? { compression } : {},
        )
          .then(() => false)
          .catch(() => true)
        if (!failed) break
        expect(file.content().subarray(0, 4).equals(Buffer.from('QFI\xfb', 'latin1'))).toBe(false)
        expect(failAfter).toBeLessThan(100)
      }
    }
  })

  test('notices a disk that changes between the two passes of a compressed pipe', async () => {
    let reads = 0
    const disk = memoryDisk(noiseOf(MiB, 9))
    const changing: Disk = {
      ...disk,
      read: async (target, offset) => {
        reads += 1
        if (reads === 1) await disk.read(target, offset)
        else target.fill(reads)
      },
    }
    await expect(write(changing, 'pipe', { compression: 'zstd' })).rejects.toMatchObject({
      code: 'DISK_CHANGED',
    })
  })

  test('passes on the error of a read and ends its threads', async () => {
    const disk = memoryDisk(noiseOf(8 * MiB, 10))
    const broken: Disk = {
      ...disk,
      read: async (target, offset) => {
        if (offset > 4 * MiB) throw new Error('bad sector')
        await disk.read(target, offset)
      },
    }
    for (const compression of compressions) {
      await expect(write(broken, 'file', compression ? { compression } : {})).rejects.toThrow('bad sector')
    }
  })

  test('stops when it is cancelled', async () => {
    for (const compression of compressions) {
      const controller = new AbortController()
      const writing = write(memoryDisk(noiseOf(16 * MiB, 11)), 'file', {
        signal: controller.signal,
        onProgress: (done) => done > 0 && controller.abort(),
        ...(compression && { compression }),
      })
      await expect(writing).rejects.toMatchObject({ code: 'CANCELLED' })
    }
  })

  test('refuses what the format cannot hold', async () => {
    const disk = sparseDisk(TiB, 0, Buffer.alloc(512, 1))
    for (const options of [
      { clusterSize: 256 },
      { clusterSize: 3000 },
      { clusterSize: 4 * MiB },
      { clusterSize: 512 },
      { compression: 'zlib', level: 10 },
      { compression: 'zstd', level: 0 },
    ] satisfies WriteQcow2Options[]) {
      await expect(write(disk, 'file', options)).rejects.toMatchObject({ code: 'DISK_OPTION_INVALID' })
    }
  })
})

async function write(disk: Disk, kind: SinkKind, options: WriteQcow2Options = {}): Promise<Buffer> {
  if (kind === 'pipe') {
    const sink = memorySink()
    await writeQcow2(disk, sink, options)
    return sink.bytes()
  }
  const file = memoryFile()
  await writeQcow2(disk, file, options)
  return file.content()
}

async function expectAccepted(image: Buffer, content: Buffer): Promise<void> {
  const folder = await temporaryFolder()
  const path = join(folder, 'disk.qcow2')
  await writeFile(path, image)
  await writeFile(join(folder, 'disk.raw'), content)
  expect(await qemuImgProblems(path)).toEqual([])
  expect(
    await qemuImgSame({ path, format: 'qcow2' }, { path: join(folder, 'disk.raw'), format: 'raw' }),
  ).toBe(true)
  expect(content.equals(await readWhole(await openQcow2(memorySource(image))))).toBe(true)
}

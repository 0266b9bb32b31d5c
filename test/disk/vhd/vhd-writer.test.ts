import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { GiB, KiB, MiB, TiB } from '../../../src/core/bytes.ts'
import type { Disk } from '../../../src/disk/disk.ts'
import { DiskError } from '../../../src/disk/errors.ts'
import { memoryDisk } from '../../../src/disk/memory-disk.ts'
import { paddedDisk } from '../../../src/disk/padded-disk.ts'
import { probeFormat } from '../../../src/disk/probe.ts'
import { openVhd } from '../../../src/disk/vhd/vhd-reader.ts'
import { writeVhd } from '../../../src/disk/vhd/vhd-writer.ts'
import type { ByteSink } from '../../../src/transfer/byte-sink.ts'
import { createFileSink, type FileSink } from '../../../src/transfer/file-sink.ts'
import { openFileSource } from '../../../src/transfer/file-source.ts'
import { libvhdi, readByLibvhdi } from '../../support/libvhdi.ts'
import { memorySink } from '../../support/memory-sink.ts'
import { memorySource } from '../../support/memory-source.ts'
import { qemuImgSize, qemuIo } from '../../support/qemu-img.ts'
import { describeWith } from '../../support/requirements.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { memoryFile, noiseOf, readWhole, sampleContent } from '../qcow2/sample-content.ts'

const subformats = ['dynamic', 'fixed'] as const

describe('writeVhd', () => {
  test('fills a fixed disk up to whole MiB, and the file is that and 512 bytes, as Azure asks', async () => {
    for (const [size, filled] of [
      [512, MiB],
      [MiB, MiB],
      [MiB + 512, 2 * MiB],
      [20 * MiB - 512, 20 * MiB],
    ] as const) {
      const sink = memorySink()
      await writeVhd(memoryDisk(Buffer.alloc(size, 'x')), sink, { subformat: 'fixed' })
      expect(sink.bytes().length).toBe(filled + 512)
      expect((await openVhd(memorySource(sink.bytes()))).size).toBe(filled)
    }
  })

  test('writes a fixed disk as it is, front to end', async () => {
    const content = sampleContent()
    const sink = memorySink()
    await writeVhd(memoryDisk(content), sink, { subformat: 'fixed' })
    expect(sink.bytes().subarray(0, content.length).equals(content)).toBe(true)
  })

  test('gives every image an id of its own', async () => {
    const ids = new Set<string>()
    for (const subformat of [...subformats, ...subformats]) {
      const sink = memorySink()
      await writeVhd(memoryDisk(Buffer.alloc(512)), sink, { subformat })
      ids.add(sink.bytes().subarray(-512).toString('hex', 68, 84))
    }
    expect(ids.size).toBe(4)
  })

  test('begins the data of every block at a multiple of 4 KiB', async () => {
    const sink = memorySink()
    await writeVhd(memoryDisk(noiseOf(7 * MiB, 1)), sink)
    const bytes = sink.bytes()
    for (let block = 0; block < 4; block += 1) {
      expect((bytes.readUInt32BE(1536 + block * 4) * 512 + 512) % (4 * KiB)).toBe(0)
    }
  })

  test('leaves blocks of zeros out of a file, and not out of a pipe', async () => {
    const disk = allData(memoryDisk(Buffer.alloc(8 * MiB)))
    const file = memoryFile()
    await writeVhd(disk, file)
    expect(file.content().length).toBe(512 + 1024 + 512 + 512)
    const pipe = memorySink()
    await writeVhd(disk, pipe)
    expect(pipe.bytes().length).toBeGreaterThan(8 * MiB)
    for (const bytes of [file.content(), pipe.bytes()]) {
      expect((await readWhole(await openVhd(memorySource(bytes)))).equals(Buffer.alloc(8 * MiB))).toBe(true)
    }
  })

  test('makes holes of shorter zeros in a file', async () => {
    const content = Buffer.alloc(2 * MiB)
    content.fill('x', MiB, MiB + 100)
    const path = join(await temporaryFolder(), 'disk.vhd')
    const sink = await createFileSink(path)
    await writeVhd(allData(memoryDisk(content)), sink)
    await sink.finish()
    const { blocks, size } = await stat(path)
    expect(size).toBeGreaterThan(2 * MiB)
    expect(blocks * 512).toBeLessThan(256 * KiB)
  })

  test('never leaves an interrupted file that looks like an image', async () => {
    for (let failAfter = 0; ; failAfter += 1) {
      const file = memoryFile({ failAfter })
      const outcome = await writeVhd(memoryDisk(noiseOf(5 * MiB, 2)), file).catch(() => 'failed')
      if (outcome !== 'failed') break
      // The footer alone is what is left of one that was cut off.
      await expect(openVhd(memorySource(file.content()))).rejects.toBeInstanceOf(DiskError)
      expect(failAfter).toBeLessThan(100)
    }
  })

  test('reads nothing that the disk calls zero', async () => {
    let bytes = 0
    const disk = paddedDisk(memoryDisk(Buffer.alloc(64 * KiB, 'x')), GiB)
    const counting: Disk = {
      ...disk,
      read: (target, offset) => {
        bytes += target.length
        return disk.read(target, offset)
      },
    }
    await writeVhd(counting, memoryFile())
    expect(bytes).toBe(2 * MiB)
  })

  test('fills the last sector up', async () => {
    const sink = memorySink()
    await writeVhd(memoryDisk(Buffer.alloc(700, 'x')), sink)
    const content = await readWhole(await openVhd(memorySource(sink.bytes())))
    expect(content.equals(Buffer.concat([Buffer.alloc(700, 'x'), Buffer.alloc(324)]))).toBe(true)
  })

  test('is recognised at its beginning when it is dynamic, and only at its end when it is fixed', async () => {
    for (const subformat of subformats) {
      const sink = memorySink()
      await writeVhd(memoryDisk(sampleContent()), sink, { subformat })
      expect((await probeFormat(memorySource(sink.bytes()))).format).toBe('vhd')
      expect((await probeFormat(memorySource(sink.bytes().subarray(0, MiB)))).format).toBe(
        subformat === 'dynamic' ? 'vhd' : 'raw',
      )
    }
  })

  test('refuses what readers of the format do not take', async () => {
    for (const [size, subformat] of [
      [0, 'dynamic'],
      [0, 'fixed'],
      [2040 * GiB + 512, 'dynamic'],
      [32 * TiB + MiB, 'fixed'],
    ] as const) {
      const written = writeVhd(memoryDisk(Buffer.alloc(0), size), memorySink(), { subformat })
      await expect(written).rejects.toMatchObject({ code: 'DISK_OPTION_INVALID' })
    }
  })
})

describeWith(['qemu-img'], 'writeVhd, in the eyes of QEMU', () => {
  const sizes = [
    512,
    MiB - 512,
    10 * MiB,
    100 * MiB + 512,
    8 * GiB + 512,
    127 * GiB,
    128 * GiB + 512,
    2040 * GiB,
  ]
  test.each(sizes)('says the exact size, dynamic: %i', async (size) => {
    const path = join(await temporaryFolder(), 'disk.vhd')
    const sink = await createFileSink(path)
    await writeVhd(memoryDisk(Buffer.alloc(0), size), sink)
    await sink.finish()
    expect(await qemuImgSize(path, 'vpc')).toBe(size)
  })

  test.each([MiB, 10 * MiB, 8 * GiB + MiB, 127 * GiB, 2040 * GiB])(
    'says the exact size, fixed: %i',
    async (size) => {
      const path = join(await temporaryFolder(), 'disk.vhd')
      const sink = await createFileSink(path)
      await writeVhd(memoryDisk(Buffer.alloc(0), size), sink, { subformat: 'fixed' })
      await sink.finish()
      expect(await qemuImgSize(path, 'vpc')).toBe(size)
      expect((await stat(path)).size).toBe(size + 512)
    },
  )

  test('can be written on', async () => {
    const content = Buffer.concat([noiseOf(3 * MiB, 3), Buffer.alloc(9 * MiB)])
    for (const subformat of subformats) {
      const path = join(await temporaryFolder(), 'disk.vhd')
      const sink = await createFileSink(path)
      await writeVhd(memoryDisk(content), sink, { subformat })
      await sink.finish()
      await qemuIo('vpc', path, 'write -P 0x41 2M 4k', 'write -P 0x42 9M 64k')
      const disk = await openVhd(await openFileSource(path))
      const expected = Buffer.from(content)
      expected.fill(0x41, 2 * MiB, 2 * MiB + 4 * KiB)
      expected.fill(0x42, 9 * MiB, 9 * MiB + 64 * KiB)
      expect((await readWhole(disk)).equals(expected)).toBe(true)
      await disk.close()
    }
  })
})

describeWith([libvhdi], 'writeVhd, in the eyes of libvhdi', () => {
  const contents: Readonly<Record<string, () => Buffer>> = {
    'data and holes, and an odd size': sampleContent,
    'nothing but zeros': () => Buffer.alloc(7 * MiB),
    'data everywhere': () => noiseOf(5 * MiB, 1),
    'one sector': () => Buffer.alloc(512, 1),
  }
  for (const subformat of subformats) {
    for (const kind of ['file', 'pipe'] as const) {
      test.each(Object.keys(contents))(
        `is the same disk again: %s, ${subformat} into a ${kind}`,
        async (title) => {
          const content = contents[title]?.() ?? Buffer.alloc(0)
          const path = join(await temporaryFolder(), 'disk.vhd')
          const sink = await createFileSink(path)
          await writeVhd(memoryDisk(content), kind === 'file' ? sink : asPipe(sink), { subformat })
          await sink.finish()
          const read = await readByLibvhdi(path)
          const filled = Buffer.alloc(
            subformat === 'fixed' ? Math.ceil(content.length / MiB) * MiB : content.length,
          )
          content.copy(filled)
          expect(read.equals(filled)).toBe(true)
        },
      )
    }
  }
})

/** The same file, written front to end. */
function asPipe({ name, write, writeZeros, finish, abort }: FileSink): ByteSink {
  return { name, write, writeZeros, finish, abort }
}

function allData(disk: Disk): Disk {
  return {
    ...disk,
    async *extents() {
      yield { offset: 0, length: disk.size, kind: 'data' }
    },
  }
}

import { createHash } from 'node:crypto'
import { open, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GiB, KiB, MiB, TiB } from '../../../src/core/bytes.ts'
import type { Disk } from '../../../src/disk/disk.ts'
import { openRaw } from '../../../src/disk/raw/raw-reader.ts'
import { writeRaw } from '../../../src/disk/raw/raw-writer.ts'
import type { RandomAccessSource } from '../../../src/transfer/byte-source.ts'
import { createFileSink } from '../../../src/transfer/file-sink.ts'
import { openFileSource } from '../../../src/transfer/file-source.ts'
import { hashingSink } from '../../../src/transfer/hashing-sink.ts'
import { useSink } from '../../../src/transfer/use-sink.ts'
import { memorySink } from '../../support/memory-sink.ts'
import { extentProblems, modelDisks, readAll } from '../../support/model-disk.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'

describe('openRaw', () => {
  it('has the size and the holes of the file', async () => {
    const path = await sparseImage(GiB, [4 * MiB])
    const disk = await openRaw(await openFileSource(path))
    expect(disk.size).toBe(GiB)
    expect(await Array.fromAsync(disk.extents())).toEqual([
      { offset: 0, length: 4 * MiB, kind: 'zero' },
      { offset: 4 * MiB, length: MiB, kind: 'data' },
      { offset: 5 * MiB, length: GiB - 5 * MiB, kind: 'zero' },
    ])
    await disk.close()
  })

  it('fills the last sector of an odd size with zeros', async () => {
    for (const length of [0, 1, 511, 512, 513, 70_001]) {
      const path = join(await temporaryFolder(), 'odd.raw')
      const content = Buffer.alloc(length, 7)
      await writeFile(path, content)
      const disk = await openRaw(await openFileSource(path))
      const expected = Buffer.concat([content, Buffer.alloc(Math.ceil(length / 512) * 512 - length)])
      expect(expected.equals(await readAll(disk))).toBe(true)
      expect(await extentProblems(disk, expected)).toEqual([])
      await disk.close()
    }
  })

  it('takes a source that cannot tell its holes as all data', async () => {
    const source: RandomAccessSource = {
      name: 'opaque',
      size: 1000,
      read: async (target) => target.fill(1).length,
      async *stream() {
        yield new Uint8Array(1000)
      },
      close: async () => undefined,
    }
    const disk = await openRaw(source)
    expect(await Array.fromAsync(disk.extents())).toEqual([{ offset: 0, length: 1024, kind: 'data' }])
  })

  it('cannot be read beyond its size', async () => {
    const disk = await openRaw(await openFileSource(await sparseImage(MiB, [])))
    for (const [offset, length] of [
      [MiB, 1],
      [MiB - 10, 11],
      [-1, 1],
    ] as const) {
      await expect(disk.read(new Uint8Array(length), offset)).rejects.toMatchObject({
        code: 'DISK_READ_OUTSIDE',
      })
    }
    await disk.close()
  })
})

describe('writeRaw', () => {
  it('writes every byte of any disk into a sink that only takes bytes in order', async () => {
    await fc.assert(
      fc.asyncProperty(modelDisks, fc.boolean(), async ({ disk, bytes }, zeros) => {
        const sink = memorySink({ zeros })
        await writeRaw(disk, sink)
        expect(sink.bytes().equals(bytes)).toBe(true)
        expect(sink.state).toBe('open')
      }),
    )
  })

  it('makes a file with holes for zeros, known and found', async () => {
    const block = 64 * KiB
    const content = Buffer.alloc(8 * MiB + 100)
    content.fill(1, 0, block)
    content.fill(2, 10 * block + 5, 10 * block + 6)
    content.fill(3, 4 * MiB - 1, 4 * MiB + 1)
    const folder = await temporaryFolder()
    await writeFile(join(folder, 'in.raw'), content)
    const { output, progress } = await copy(join(folder, 'in.raw'), join(folder, 'out.raw'))
    expect((await readFile(output)).equals(Buffer.concat([content, Buffer.alloc(412)]))).toBe(true)
    expect((await stat(output)).blocks * 512).toBe(4 * block)
    expect(progress.at(0)).toEqual([0, 8 * MiB + 512])
    expect(progress.at(-1)).toEqual([8 * MiB + 512, 8 * MiB + 512])
  })

  it('copies a few MiB in 1 TiB of holes in no time, and the copy has the same holes', async () => {
    const path = await sparseImage(TiB, [0, 512 * GiB, TiB - MiB])
    const started = performance.now()
    const { output } = await copy(path, join(await temporaryFolder(), 'out.raw'))
    expect(performance.now() - started).toBeLessThan(10_000)
    const copied = await openRaw(await openFileSource(output))
    const original = await openRaw(await openFileSource(path))
    expect(copied.size).toBe(TiB)
    const extents = await Array.fromAsync(copied.extents())
    expect(extents).toEqual(await Array.fromAsync(original.extents()))
    const pieces = [copied, original].map((disk) => digestOfData(disk))
    expect(await pieces[0]).toBe(await pieces[1])
    await copied.close()
    await original.close()
  })

  it('stays sparse while the digest is computed', async () => {
    const path = await sparseImage(64 * MiB, [MiB, 32 * MiB])
    const output = join(await temporaryFolder(), 'out.raw')
    const disk = await openRaw(await openFileSource(path))
    const sink = hashingSink(await createFileSink(output), ['sha256'])
    await useSink(sink, () => writeRaw(disk, sink))
    const { sha256 } = await sink.digests()
    expect(sha256).toBe(
      createHash('sha256')
        .update(await readFile(path))
        .digest('hex'),
    )
    expect((await stat(output)).blocks * 512).toBe(2 * MiB)
    await disk.close()
  })

  it('leaves nothing when it is cancelled in the middle', async () => {
    const folder = await temporaryFolder()
    const disk = await openRaw(
      await openFileSource(await sparseImage(GiB, [0, 4 * MiB, 8 * MiB, 12 * MiB, 16 * MiB])),
    )
    const controller = new AbortController()
    const { signal } = controller
    const sink = await createFileSink(join(folder, 'out.raw'))
    const writing = useSink(
      sink,
      () => writeRaw(disk, sink, { signal, onProgress: (done) => done > 0 && controller.abort() }),
      { signal },
    )
    await expect(writing).rejects.toMatchObject({ code: 'CANCELLED' })
    await expect(stat(sink.temporaryPath)).rejects.toMatchObject({ code: 'ENOENT' })
    await disk.close()
  })
})

async function copy(input: string, output: string) {
  const disk = await openRaw(await openFileSource(input))
  const progress: number[][] = []
  const sink = await createFileSink(output)
  await useSink(sink, () => writeRaw(disk, sink, { onProgress: (...reported) => progress.push(reported) }))
  await disk.close()
  return { output, progress }
}

async function digestOfData(disk: Disk): Promise<string> {
  const hash = createHash('sha256')
  for await (const { offset, length, kind } of disk.extents()) {
    if (kind === 'zero') continue
    const data = Buffer.alloc(length)
    await disk.read(data, offset)
    hash.update(data)
  }
  return hash.digest('hex')
}

/** A file of `size` with 1 MiB of data at each of the places. */
async function sparseImage(size: number, places: readonly number[]): Promise<string> {
  const path = join(await temporaryFolder(), 'sparse.raw')
  const file = await open(path, 'w')
  await file.truncate(size)
  for (const place of places) await file.write(Buffer.alloc(MiB, `${place}`), 0, MiB, place)
  await file.close()
  return path
}

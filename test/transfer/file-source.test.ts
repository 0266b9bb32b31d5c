import { execFileSync } from 'node:child_process'
import { chmod, open, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it, onTestFinished } from 'vitest'
import { GiB, KiB, MiB, TiB } from '../../src/core/bytes.ts'
import type { ByteRange } from '../../src/transfer/byte-source.ts'
import { type FileSourceOptions, openFileSource } from '../../src/transfer/file-source.ts'
import { loadSeekData } from '../../src/transfer/seek-data.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { withoutPrivileges } from '../support/without-privileges.ts'

const noSeek = { seekData: null }

describe('openFileSource', () => {
  it('reads any range, and less only at the end', async () => {
    const path = await fileOf(Buffer.from('0123456789'))
    const source = await openFileSource(path)
    const target = new Uint8Array(4)
    expect([source.size, source.name]).toEqual([10, path])
    expect(await source.read(target, 3)).toBe(4)
    expect(Buffer.from(target).toString()).toBe('3456')
    expect(await source.read(target, 8)).toBe(2)
    expect(await source.read(target, 10)).toBe(0)
    await source.close()
  })

  it('streams all or a part, in order', async () => {
    const content = patternBytes(3 * MiB + 17)
    const source = await openFileSource(await fileOf(content))
    expect(content.equals(await collect(source.stream()))).toBe(true)
    const part = await collect(source.stream({ start: 100, end: 2 * MiB + 5 }))
    expect(content.subarray(100, 2 * MiB + 5).equals(part)).toBe(true)
    await source.close()
  })

  it('names a file that does not exist', async () => {
    await expect(openFileSource('/nowhere/image.raw')).rejects.toMatchObject({
      code: 'SOURCE_NOT_FOUND',
      message: '/nowhere/image.raw does not exist.',
    })
  })

  it('refuses a folder', async () => {
    await expect(openFileSource(await temporaryFolder())).rejects.toMatchObject({
      code: 'SOURCE_NOT_A_FILE',
    })
  })

  it('refuses a character device', async () => {
    await expect(openFileSource('/dev/zero')).rejects.toMatchObject({ code: 'SOURCE_NOT_A_FILE' })
  })

  it('refuses a named pipe at once instead of waiting for its writer', async () => {
    const path = join(await temporaryFolder(), 'pipe')
    execFileSync('mkfifo', [path])
    await expect(openFileSource(path)).rejects.toMatchObject({ code: 'SOURCE_NOT_A_FILE' })
  })

  it('says that a file may not be read', async () => {
    const path = await fileOf(Buffer.from('secret'))
    await chmod(path, 0)
    await withoutPrivileges(() =>
      expect(openFileSource(path)).rejects.toMatchObject({ code: 'SOURCE_NO_PERMISSION' }),
    )
  })

  it('notices a file that shrinks while it is read', async () => {
    const path = await fileOf(patternBytes(4 * MiB))
    const source = await openFileSource(path)
    const reading = async () => {
      for await (const _ of source.stream()) await truncate(path, MiB + 5)
    }
    await expect(reading()).rejects.toMatchObject({ code: 'SOURCE_CHANGED' })
    await source.close()
  })

  it('notices at the end of a stream that the file was written to meanwhile', async () => {
    const path = await fileOf(patternBytes(MiB))
    const source = await openFileSource(path)
    const reading = async () => {
      for await (const _ of source.stream()) await utimes(path, new Date(), new Date(1))
    }
    await expect(reading()).rejects.toMatchObject({ code: 'SOURCE_CHANGED' })
    await source.close()
  })

  it('stops when it is cancelled', async () => {
    const source = await openFileSource(await fileOf(patternBytes(4 * MiB)))
    const controller = new AbortController()
    const reading = async () => {
      for await (const _ of source.stream({ signal: controller.signal })) controller.abort()
    }
    await expect(reading()).rejects.toMatchObject({ code: 'CANCELLED' })
    await source.close()
  })
})

describe('dataRanges of a file', () => {
  it('finds a few MiB in 1 TiB of holes without reading them', async () => {
    const written = [0, 300 * GiB, TiB - 2 * MiB]
    const path = await sparseFile(
      TiB,
      written.map((offset) => ({ offset, length: 2 * MiB })),
    )
    const started = performance.now()
    const found = await rangesOf(path)
    expect(performance.now() - started).toBeLessThan(5_000)
    expect(found).toEqual(written.map((offset) => ({ offset, length: 2 * MiB })))
  })

  it('finds nothing in an empty file and in one that is a single hole', async () => {
    expect(await rangesOf(await sparseFile(0, []))).toEqual([])
    expect(await rangesOf(await sparseFile(10 * GiB, []))).toEqual([])
    expect(await rangesOf(await sparseFile(100 * MiB, []), noSeek)).toEqual([])
  })

  it('is the same by lseek and by scanning', async () => {
    expect(await loadSeekData()).not.toBeNull()
    const blockSize = 64 * KiB
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(fc.nat(200), { maxLength: 40 }), async (blocks) => {
        const path = await sparseFile(
          201 * blockSize + 100,
          blocks.map((block) => ({ offset: block * blockSize, length: blockSize })),
        )
        const found = await rangesOf(path)
        expect(found).toEqual(await rangesOf(path, noSeek))
        const expected = blocks.reduce((sum) => sum + blockSize, 0)
        expect(found.reduce((sum, { length }) => sum + length, 0)).toBe(expected)
      }),
      { numRuns: 30 },
    )
  })

  it('takes a file without holes as all data where lseek cannot be had', async () => {
    const path = await fileOf(Buffer.alloc(MiB))
    expect(await rangesOf(path, noSeek)).toEqual([{ offset: 0, length: MiB }])
  })

  it('falls back to scanning where the file system cannot tell', async () => {
    const path = await sparseFile(10 * MiB, [{ offset: 5 * MiB, length: 64 * KiB }])
    const seekData = () => {
      throw Object.assign(new Error('EINVAL: invalid argument, lseek'), { code: 'EINVAL' })
    }
    expect(await rangesOf(path, { seekData })).toEqual([{ offset: 5 * MiB, length: 64 * KiB }])
  })

  it('never answers outside the file or backwards, whatever the file system says', async () => {
    const path = await sparseFile(10 * MiB, [])
    const lies: (ByteRange | null)[] = [
      { offset: 5 * MiB, length: MiB },
      { offset: 2 * MiB, length: MiB },
      { offset: 8 * MiB, length: 100 * MiB },
    ]
    const seekData = () => lies.shift() ?? null
    expect(await rangesOf(path, { seekData })).toEqual([
      { offset: 5 * MiB, length: MiB },
      { offset: 8 * MiB, length: 2 * MiB },
    ])
  })
})

async function fileOf(content: Uint8Array): Promise<string> {
  const path = join(await temporaryFolder(), 'image.raw')
  await writeFile(path, content)
  return path
}

async function sparseFile(size: number, written: readonly ByteRange[]): Promise<string> {
  const path = join(await temporaryFolder(), 'sparse.raw')
  const file = await open(path, 'w')
  await file.truncate(size)
  for (const { offset, length } of written) await file.write(patternBytes(length), 0, length, offset)
  await file.close()
  return path
}

async function rangesOf(path: string, options?: FileSourceOptions): Promise<ByteRange[]> {
  const source = await openFileSource(path, options)
  onTestFinished(() => source.close())
  const ranges: ByteRange[] = []
  for await (const range of source.dataRanges()) ranges.push(range)
  return ranges
}

async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const collected: Uint8Array[] = []
  for await (const chunk of chunks) collected.push(chunk)
  return Buffer.concat(collected)
}

/** Bytes that repeat after 251, without a zero among them. */
function patternBytes(length: number): Buffer {
  return Buffer.alloc(length, Buffer.from(Array.from({ length: 251 }, (_, i) => i + 1)))
}

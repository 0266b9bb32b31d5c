import { randomBytes } from 'node:crypto'
import { open, readFile, rename, rm, stat, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { MiB } from '../../src/core/bytes.ts'
import { applyRedoLog, type Change, hasBegun, writeRedoLog } from '../../src/transfer/redo-log.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const size = 8 * MiB
const data = randomBytes(2 * MiB)
const changes: Change[] = [
  { offset: 100, length: 11, data: Buffer.from('hello world') },
  { offset: 4096, length: 3 * MiB + 17, data: null },
  { offset: 5 * MiB, length: data.length, data },
]

describe('a redo log', () => {
  it('writes down first, changes nothing, then changes exactly what it says', async () => {
    const { folder, path, before, expected } = await prepared()
    const { ino } = await stat(path)
    expect(await writeRedoLog(folder, { path, changes: listed(changes) })).toEqual({
      written: 2 * MiB + 11,
      zeroed: 3 * MiB + 17,
    })
    expect((await readFile(path)).equals(before)).toBe(true)
    expect(await hasBegun(folder)).toBe(false)
    await applyRedoLog(folder)
    expect((await readFile(path)).equals(expected)).toBe(true)
    expect(await stat(path)).toMatchObject({ size, ino })
  })

  it('gives the blocks of what becomes zero back to the file system', async () => {
    const { folder, path } = await prepared()
    const before = (await stat(path)).blocks
    await writeRedoLog(folder, { path, changes: listed(changes) })
    await applyRedoLog(folder)
    expect((await stat(path)).blocks * 512).toBeLessThan(before * 512 - 2 * MiB)
  })

  it('is applied again after an interruption at any byte', async () => {
    for (const reached of [0, 100, 105, 4096, 2 * MiB, 6 * MiB]) {
      const { folder, path, expected } = await prepared()
      await writeRedoLog(folder, { path, changes: listed(changes) })
      await writeFile(join(folder, 'begun'), '')
      const file = await open(path, 'r+')
      await file.write(expected, 0, reached, 0)
      await file.close()
      await applyRedoLog(folder)
      await applyRedoLog(folder)
      expect((await readFile(path)).equals(expected)).toBe(true)
    }
  })

  it('does not touch a file that somebody else has changed, replaced or cut since', async () => {
    const spoil: Record<string, (path: string) => Promise<void>> = {
      changed: (path) => utimes(path, 1, 1),
      cut: (path) => truncate(path, size - 1),
      replaced: async (path) => {
        await writeFile(`${path}.new`, await readFile(path))
        await rename(`${path}.new`, path)
      },
    }
    for (const [what, change] of Object.entries(spoil)) {
      const { folder, path } = await prepared()
      await writeRedoLog(folder, { path, changes: listed(changes) })
      await change(path)
      const before = await readFile(path)
      await expect(applyRedoLog(folder), what).rejects.toMatchObject({ code: 'OUTPUT_CHANGED' })
      expect((await readFile(path)).equals(before)).toBe(true)
      expect(await hasBegun(folder)).toBe(false)
    }
  })

  it('is refused when one byte of it is wrong, or its end is missing', async () => {
    const { folder, path, before } = await prepared()
    await writeRedoLog(folder, { path, changes: listed(changes) })
    const good = await readFile(join(folder, 'log'))
    for (const at of [0, 150, good.length >> 1, good.length - 1]) {
      const bad = Buffer.from(good)
      bad.writeUInt8(bad.readUInt8(at) ^ 1, at)
      await writeFile(join(folder, 'log'), bad)
      await expect(applyRedoLog(folder)).rejects.toMatchObject({ code: 'SOURCE_UNREADABLE' })
    }
    await writeFile(join(folder, 'log'), good.subarray(0, good.length - 1))
    await expect(applyRedoLog(folder)).rejects.toMatchObject({ code: 'SOURCE_UNREADABLE' })
    expect((await readFile(path)).equals(before)).toBe(true)
  })

  it('is not there when its writing fails, and an unfinished one is replaced', async () => {
    const { folder, path, expected } = await prepared()
    const broken = async function* (): AsyncGenerator<Change> {
      yield* changes
      throw new Error('the disk broke')
    }
    await expect(writeRedoLog(folder, { path, changes: broken() })).rejects.toThrow('the disk broke')
    await expect(applyRedoLog(folder)).rejects.toMatchObject({ code: 'SOURCE_NOT_FOUND' })
    await writeRedoLog(folder, { path, changes: listed(changes) })
    await applyRedoLog(folder)
    expect((await readFile(path)).equals(expected)).toBe(true)
    await rm(folder, { recursive: true })
  })
})

async function prepared() {
  const root = await temporaryFolder()
  const path = join(root, 'disk.raw')
  const before = randomBytes(size)
  await writeFile(path, before)
  const expected = Buffer.from(before)
  for (const change of changes) {
    if (change.data) expected.set(change.data, change.offset)
    else expected.fill(0, change.offset, change.offset + change.length)
  }
  return { folder: join(root, 'redo'), path, before, expected }
}

async function* listed(all: readonly Change[]): AsyncGenerator<Change> {
  yield* all
}

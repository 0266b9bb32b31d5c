import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Disk } from '../../src/disk/disk.ts'
import { windowDisk } from '../../src/disk/window-disk.ts'
import { extentProblems, modelDisk, modelDisks, readAll } from '../support/model-disk.ts'

describe('windowDisk', () => {
  it('is that part of the disk', async () => {
    await fc.assert(
      fc.asyncProperty(modelDisks, fc.nat(), fc.nat(), async ({ disk, bytes }, from, to) => {
        const offset = from % (disk.size + 1)
        const length = to % (disk.size - offset + 1)
        const window = windowDisk(disk, offset, length)
        const expected = bytes.subarray(offset, offset + length)
        expect(window.size).toBe(length)
        expect(expected.equals(await readAll(window))).toBe(true)
        expect(await extentProblems(window, expected)).toEqual([])
      }),
    )
  })

  it('cannot be made or read beyond its bounds', async () => {
    const { disk } = modelDisk([{ length: 1000, kind: 'data' }])
    expect(() => windowDisk(disk, 500, 501)).toThrow(expect.objectContaining({ code: 'DISK_READ_OUTSIDE' }))
    const window = windowDisk(disk, 100, 100)
    for (const offset of [1, -1, Number.NaN]) {
      await expect(window.read(new Uint8Array(100), offset)).rejects.toMatchObject({
        code: 'DISK_READ_OUTSIDE',
      })
    }
  })

  it('leaves the disk open when it is closed', async () => {
    let closed = false
    const { disk } = modelDisk([{ length: 1000, kind: 'data' }])
    const watched: Disk = {
      ...disk,
      async close() {
        closed = true
      },
    }
    await windowDisk(watched, 0, 10).close()
    expect(closed).toBe(false)
  })
})

import { describe, expect, it } from 'vitest'
import { memoryDisk } from '../../src/disk/memory-disk.ts'
import { extentProblems, readAll } from '../support/model-disk.ts'

describe('memoryDisk', () => {
  it('is its bytes and then zeros, with zero sectors as zero runs', async () => {
    const bytes = Buffer.alloc(3 * 512 + 10)
    bytes.fill(1, 600, 700)
    bytes.fill(2, 3 * 512)
    const disk = memoryDisk(bytes, 5000)
    const expected = Buffer.concat([bytes, Buffer.alloc(5000 - bytes.length)])
    expect(expected.equals(await readAll(disk, 777))).toBe(true)
    expect(await extentProblems(disk, expected)).toEqual([])
    expect(await Array.fromAsync(disk.extents())).toEqual([
      { offset: 0, length: 512, kind: 'zero' },
      { offset: 512, length: 512, kind: 'data' },
      { offset: 1024, length: 512, kind: 'zero' },
      { offset: 1536, length: 10, kind: 'data' },
      { offset: 1546, length: 3454, kind: 'zero' },
    ])
  })

  it('cannot be smaller than its bytes or read beyond its size', async () => {
    expect(() => memoryDisk(new Uint8Array(10), 9)).toThrow(RangeError)
    await expect(memoryDisk(new Uint8Array(10)).read(new Uint8Array(2), 9)).rejects.toMatchObject({
      code: 'DISK_READ_OUTSIDE',
    })
  })
})

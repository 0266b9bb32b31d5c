import { describe, expect, test } from 'vitest'
import { composeDisk } from '../../src/disk/composed-disk.ts'
import { memoryDisk } from '../../src/disk/memory-disk.ts'

describe('composeDisk', () => {
  const parts = [
    { offset: 4096, disk: memoryDisk(Buffer.alloc(512, 2)) },
    { offset: 0, disk: memoryDisk(Buffer.alloc(512, 1), 1024) },
  ]

  test('reads the parts at their places, and zeros between them', async () => {
    const disk = composeDisk(8192, parts)
    const bytes = Buffer.alloc(8192, 0xff)
    await disk.read(bytes, 0)
    const expected = Buffer.alloc(8192)
    expected.fill(1, 0, 512).fill(2, 4096, 4608)
    expect(bytes.equals(expected)).toBe(true)
  })

  test('has the extents of its parts, and is nobody’s view', async () => {
    const disk = composeDisk(8192, parts)
    expect(await Array.fromAsync(disk.extents())).toEqual([
      { offset: 0, length: 512, kind: 'data' },
      { offset: 512, length: 3584, kind: 'zero' },
      { offset: 4096, length: 512, kind: 'data' },
      { offset: 4608, length: 3584, kind: 'zero' },
    ])
    expect(disk.changes).toBeUndefined()
  })

  test('refuses a part that leaves the disk, and parts that overlap', () => {
    expect(() => composeDisk(4608, [{ offset: 4097, disk: memoryDisk(Buffer.alloc(512)) }])).toThrow(
      expect.objectContaining({ code: 'DISK_READ_OUTSIDE' }),
    )
    const twice = [0, 256].map((offset) => ({ offset, disk: memoryDisk(Buffer.alloc(512)) }))
    expect(() => composeDisk(4096, twice)).toThrow('overlap')
  })
})

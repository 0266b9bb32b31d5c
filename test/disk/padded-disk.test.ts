import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { paddedDisk } from '../../src/disk/padded-disk.ts'
import { modelDisk, modelDisks } from '../support/model-disk.ts'
import { readWhole } from './qcow2/sample-content.ts'

describe('paddedDisk', () => {
  test('is the disk with zeros behind it, up to a multiple of the granule', async () => {
    await fc.assert(
      fc.asyncProperty(modelDisks, fc.integer({ min: 1, max: 2000 }), async ({ disk, bytes }, granule) => {
        const padded = paddedDisk(disk, granule)
        const expected = Buffer.alloc(Math.ceil(bytes.length / granule) * granule)
        bytes.copy(expected)
        expect(padded.size).toBe(expected.length)
        expect((await readWhole(padded)).equals(expected)).toBe(true)
      }),
    )
  })

  test('is the disk itself where nothing is to be filled up', () => {
    const { disk } = modelDisk([{ length: 512, kind: 'data' }])
    expect(paddedDisk(disk, 512)).toBe(disk)
  })

  test('joins the zeros at the end', async () => {
    const { disk } = modelDisk([
      { length: 100, kind: 'data' },
      { length: 100, kind: 'zero' },
    ])
    const extents = []
    for await (const extent of paddedDisk(disk, 512).extents()) extents.push(extent)
    expect(extents).toEqual([
      { offset: 0, length: 100, kind: 'data' },
      { offset: 100, length: 412, kind: 'zero' },
    ])
  })

  test('refuses to be read outside', async () => {
    const { disk } = modelDisk([{ length: 100, kind: 'data' }])
    await expect(paddedDisk(disk, 512).read(Buffer.alloc(2), 511)).rejects.toMatchObject({
      code: 'DISK_READ_OUTSIDE',
    })
  })
})

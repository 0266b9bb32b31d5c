import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { withWindows } from '../../src/disk/overlay-disk.ts'
import { dataLength, extentProblems, modelDisk, modelDisks, readAll } from '../support/model-disk.ts'

describe('withWindows', () => {
  it('shows other disks in place of parts of the base', async () => {
    const parts = fc.array(fc.record({ gap: fc.nat(200), model: modelDisks }), { maxLength: 4 })
    await fc.assert(
      fc.asyncProperty(
        modelDisks,
        parts,
        fc.integer({ min: 1, max: 500 }),
        async ({ disk, bytes }, parts, piece) => {
          const expected = Buffer.from(bytes)
          const windows: { offset: number; disk: typeof disk }[] = []
          let position = 0
          for (const { gap, model } of parts) {
            position += gap
            if (position + model.bytes.length > bytes.length) break
            windows.unshift({ offset: position, disk: model.disk })
            expected.set(model.bytes, position)
            position += model.bytes.length
          }
          const overlaid = withWindows(disk, windows)
          expect(expected.equals(await readAll(overlaid, piece))).toBe(true)
          expect(await extentProblems(overlaid, expected)).toEqual([])
          expect(await dataLength(overlaid)).toBe(expected.filter((byte) => byte !== 0).length)
        },
      ),
      { numRuns: 200 },
    )
  })

  it('refuses windows that leave the disk or overlap', () => {
    const { disk } = modelDisk([{ length: 1000, kind: 'data' }])
    const { disk: small } = modelDisk([{ length: 100, kind: 'data' }])
    expect(() => withWindows(disk, [{ offset: 901, disk: small }])).toThrow(
      expect.objectContaining({ code: 'DISK_READ_OUTSIDE' }),
    )
    const overlapping = [
      { offset: 50, disk: small },
      { offset: 0, disk: small },
    ]
    expect(() => withWindows(disk, overlapping)).toThrow('overlap')
  })
})

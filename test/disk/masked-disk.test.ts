import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MiB, TiB } from '../../src/core/bytes.ts'
import { ByteRangesBuilder, byteRanges } from '../../src/disk/byte-ranges.ts'
import type { Disk } from '../../src/disk/disk.ts'
import { maskDisk } from '../../src/disk/masked-disk.ts'
import { dataLength, extentProblems, modelDisk, modelDisks, readAll } from '../support/model-disk.ts'

const ranges = fc.array(fc.record({ offset: fc.nat(2000), length: fc.nat(400) }), { maxLength: 12 })

describe('maskDisk', () => {
  it('reads the ranges as zeros and everything else as before', async () => {
    await fc.assert(
      fc.asyncProperty(
        modelDisks,
        ranges,
        fc.integer({ min: 1, max: 500 }),
        async ({ disk, bytes }, masked, piece) => {
          const mask = maskDisk(disk, byteRanges(masked))
          const expected = Buffer.from(bytes)
          for (const { offset, length } of masked) expected.subarray(offset, offset + length).fill(0)
          expect(expected.equals(await readAll(mask, piece))).toBe(true)
          expect(await extentProblems(mask, expected)).toEqual([])
          // The model's data has no zero byte, so what is left of it is exactly what must be copied.
          expect(await dataLength(mask)).toBe(expected.filter((byte) => byte !== 0).length)
        },
      ),
    )
  })

  it('gives runs of alternating kinds', async () => {
    await fc.assert(
      fc.asyncProperty(modelDisks, ranges, async ({ disk }, masked) => {
        const kinds = (await Array.fromAsync(maskDisk(disk, byteRanges(masked)).extents())).map(
          ({ kind }) => kind,
        )
        expect(kinds.filter((kind, i) => kind === kinds[i - 1])).toEqual([])
      }),
    )
  })

  it('does not touch the disk for a read that is masked completely', async () => {
    const unreadable: Disk = {
      size: MiB,
      async *extents() {
        yield { offset: 0, length: MiB, kind: 'data' }
      },
      read: () => Promise.reject(new Error('read')),
      close: async () => undefined,
    }
    const mask = maskDisk(unreadable, byteRanges([{ offset: 1000, length: 5000 }]))
    const target = Buffer.alloc(5000, 1)
    await mask.read(target, 1000)
    expect(target.every((byte) => byte === 0)).toBe(true)
    await expect(mask.read(target, 999)).rejects.toThrow('read')
  })

  it('takes a million ranges of a 1 TiB disk in its stride', async () => {
    const full: Disk = {
      size: TiB,
      async *extents() {
        yield { offset: 0, length: TiB, kind: 'data' }
      },
      read: async (target) => void target.fill(1),
      close: async () => undefined,
    }
    const builder = new ByteRangesBuilder()
    for (let i = 0; i < 1_000_000; i += 1) builder.add(i * MiB + 17, 4096)
    const mask = maskDisk(full, builder.build())
    const started = performance.now()
    const target = new Uint8Array(3)
    for (let i = 0; i < 1000; i += 1) await mask.read(target, i * 1000 * MiB + 16)
    expect([...target]).toEqual([1, 0, 0])
    expect(await dataLength(mask)).toBe(TiB - 4096 * 1_000_000)
    expect(performance.now() - started).toBeLessThan(15_000)
  })

  it('cannot be read beyond its bounds', async () => {
    const { disk } = modelDisk([{ length: 100, kind: 'data' }])
    const mask = maskDisk(disk, byteRanges([{ offset: 0, length: 1e6 }]))
    await expect(mask.read(new Uint8Array(10), disk.size - 9)).rejects.toMatchObject({
      code: 'DISK_READ_OUTSIDE',
    })
  })
})

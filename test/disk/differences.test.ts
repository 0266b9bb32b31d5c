import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MiB } from '../../src/core/bytes.ts'
import { byteRanges } from '../../src/disk/byte-ranges.ts'
import { differences } from '../../src/disk/differences.ts'
import type { Disk } from '../../src/disk/disk.ts'
import { maskDisk } from '../../src/disk/masked-disk.ts'
import { withWindows } from '../../src/disk/overlay-disk.ts'
import { windowDisk } from '../../src/disk/window-disk.ts'
import { patchDisk } from '../../src/guest/filesystem/patched-disk.ts'
import { swapDisk } from '../../src/guest/swap-area.ts'
import { modelDisk, modelDisks, readAll } from '../support/model-disk.ts'

const ranges = fc.array(fc.record({ offset: fc.nat(2000), length: fc.nat(400) }), { maxLength: 8 })

describe('the differences of a view', () => {
  it('make its bytes of the bytes of the disk below, whatever masks, patches and windows it is made of', async () => {
    const cut = fc.array(fc.nat(3000), { minLength: 4, maxLength: 4 })
    await fc.assert(
      fc.asyncProperty(modelDisks, cut, ranges, ranges, ranges, async ({ disk, bytes }, cuts, a, b, c) => {
        const view = viewOf(disk, { cuts, masked: a, patched: b, maskedInside: c })
        const found = await Array.fromAsync(differences(view, disk), ({ offset, length, data }) => ({
          offset,
          length,
          data: data && Buffer.from(data),
        }))
        const made = Buffer.from(bytes)
        for (const { offset, length, data } of found) {
          if (data) made.set(data, offset)
          else made.fill(0, offset, offset + length)
        }
        expect(made.equals(await readAll(view))).toBe(true)
        const ends = found.map(({ offset, length }) => offset + length)
        expect(found.filter(({ offset }, index) => offset < (ends[index - 1] ?? 0))).toEqual([])
      }),
    )
  })

  it('are none where nothing is different: zeros over zeros, data over the same data', async () => {
    const { disk } = modelDisk([
      { length: 1000, kind: 'data' },
      { length: 3000, kind: 'zero' },
    ])
    const same = patchDisk(disk, disk, byteRanges([{ offset: 0, length: 4000 }]))
    const view = maskDisk(same, byteRanges([{ offset: 1000, length: 3000 }]))
    expect(await Array.fromAsync(differences(view, disk))).toEqual([])
    expect(await Array.fromAsync(differences(windowDisk(disk, 0, 4000), disk))).toEqual([])
  })

  it('cost what is changed: nothing else is read', async () => {
    const size = 1024 * MiB
    const read: number[] = []
    const disk: Disk = {
      size,
      async *extents() {
        yield { offset: 0, length: size, kind: 'data' }
      },
      async read(target) {
        read.push(target.length)
        target.fill(7)
      },
      close: async () => undefined,
    }
    const view = maskDisk(disk, byteRanges([{ offset: 500 * MiB, length: 4096 }]))
    const found = await Array.fromAsync(differences(view, disk))
    expect(found).toEqual([{ offset: 500 * MiB, length: 4096, data: null }])
    expect(read).toEqual([4096])
  })
})

interface Parts {
  cuts: number[]
  masked: { offset: number; length: number }[]
  patched: { offset: number; length: number }[]
  maskedInside: { offset: number; length: number }[]
}

/** A mask over the disk, with a patched and masked window and a swap area in it, as a scrubbed guest is built. */
function viewOf(disk: Disk, { cuts, masked, patched, maskedInside }: Parts): Disk {
  const [a = 0, b = 0, c = 0, d = 0] = cuts.map((cut) => Math.min(cut, disk.size)).sort((x, y) => x - y)
  const window = windowDisk(disk, a, b - a)
  const patch: Disk = { ...window, read: async (target) => void target.fill(0xaa) }
  const within = byteRanges(patched.map((range) => clip(range, window.size)))
  const inside = maskDisk(patchDisk(window, patch, within), byteRanges(maskedInside))
  return withWindows(maskDisk(disk, byteRanges(masked)), [
    { offset: a, disk: inside },
    { offset: c, disk: swapDisk(null, d - c) },
  ])
}

function clip({ offset, length }: { offset: number; length: number }, size: number) {
  const start = Math.min(offset, size)
  return { offset: start, length: Math.min(length, size - start) }
}

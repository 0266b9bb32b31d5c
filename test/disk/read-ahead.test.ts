import { setTimeout as delay } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { collectDataRuns } from '../../src/disk/data-runs.ts'
import type { Disk } from '../../src/disk/disk.ts'
import { type ReadAheadOptions, readAhead } from '../../src/disk/read-ahead.ts'
import { modelDisk, modelDisks } from '../support/model-disk.ts'

const small: ReadAheadOptions = { bufferSize: 128, alignment: 32 }

describe('readAhead', () => {
  it('gives all data in order, on the alignment, in pieces that fit the buffer', async () => {
    await fc.assert(
      fc.asyncProperty(
        modelDisks,
        fc.integer({ min: 1, max: 4 }),
        fc.boolean(),
        async ({ disk, bytes }, inFlight, collected) => {
          const runs = collected ? { runs: await collectDataRuns(disk, { alignment: 32 }) } : {}
          const copy = Buffer.alloc(bytes.length)
          let position = 0
          for await (const { offset, data } of readAhead(disk, { ...small, ...runs, inFlight })) {
            expect(offset).toBeGreaterThanOrEqual(position)
            expect(offset % 32).toBe(0)
            expect(data.length).toBeLessThanOrEqual(128)
            position = offset + data.length
            if (position !== disk.size) expect(position % 32).toBe(0)
            copy.set(data, offset)
          }
          expect(copy.equals(bytes)).toBe(true)
        },
      ),
    )
  })

  it('does not read blocks that are zero', async () => {
    const { disk } = modelDisk([
      { length: 64, kind: 'data' },
      { length: 1000, kind: 'zero' },
      { length: 10, kind: 'data' },
    ])
    const pieces = await Array.fromAsync(readAhead(disk, small), ({ offset, data }) => [offset, data.length])
    expect(pieces).toEqual([
      [0, 64],
      [1056, 18],
    ])
  })

  it('keeps the given number of reads under way, and no more, while the caller works', async () => {
    const { disk } = modelDisk([{ length: 1280, kind: 'data' }])
    let started = 0
    const counted: Disk = {
      ...disk,
      read(target, offset) {
        started += 1
        return disk.read(target, offset)
      },
    }
    let taken = 0
    for await (const _ of readAhead(counted, { ...small, inFlight: 3 })) {
      taken += 1
      await delay(1)
      expect(started).toBe(Math.min(10, taken + 3))
    }
    expect(taken).toBe(10)
  })

  it('gives a piece time: its bytes stay until the next is asked for', async () => {
    const { disk, bytes } = modelDisk([{ length: 1280, kind: 'data' }])
    for await (const { offset, data } of readAhead(disk, small)) {
      await delay(2)
      expect(bytes.subarray(offset, offset + data.length).equals(data)).toBe(true)
    }
  })

  it('fails at the piece that cannot be read, after those before it', async () => {
    const { disk } = modelDisk([{ length: 1280, kind: 'data' }])
    const failing: Disk = {
      ...disk,
      read: (target, offset) =>
        offset >= 256 ? Promise.reject(new Error('bad sector')) : disk.read(target, offset),
    }
    const offsets: number[] = []
    const reading = async () => {
      for await (const { offset } of readAhead(failing, small)) {
        offsets.push(offset)
        await delay(2)
      }
    }
    await expect(reading()).rejects.toThrow('bad sector')
    expect(offsets).toEqual([0, 128])
  })

  it('waits for the reads under way when the caller leaves early or cancels', async () => {
    const { disk } = modelDisk([{ length: 1280, kind: 'data' }])
    let underWay = 0
    const slow: Disk = {
      ...disk,
      async read(target, offset) {
        underWay += 1
        await delay(5)
        await disk.read(target, offset)
        underWay -= 1
      },
    }
    for await (const _ of readAhead(slow, small)) break
    expect(underWay).toBe(0)
    const controller = new AbortController()
    const cancelling = async () => {
      for await (const _ of readAhead(slow, { ...small, signal: controller.signal })) controller.abort()
    }
    await expect(cancelling()).rejects.toMatchObject({ code: 'CANCELLED' })
    expect(underWay).toBe(0)
  })
})

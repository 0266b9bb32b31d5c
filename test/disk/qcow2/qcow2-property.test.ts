import { constants, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { KiB } from '../../../src/core/bytes.ts'
import { memoryDisk } from '../../../src/disk/memory-disk.ts'
import { planRefcounts, qcow2Geometry } from '../../../src/disk/qcow2/qcow2-geometry.ts'
import { openQcow2 } from '../../../src/disk/qcow2/qcow2-reader.ts'
import { writeQcow2 } from '../../../src/disk/qcow2/qcow2-writer.ts'
import { zstdFrameLength } from '../../../src/disk/qcow2/zstd-frame.ts'
import { memorySink } from '../../support/memory-sink.ts'
import { memorySource } from '../../support/memory-source.ts'
import { memoryFile, noiseOf, readWhole } from './sample-content.ts'

const allocation = fc.record({
  sectors: fc.integer({ min: 0, max: 2000 }),
  runs: fc.array(
    fc.record({
      sector: fc.nat(2000),
      bytes: fc.integer({ min: 1, max: 100_000 }),
      filling: fc.constantFrom('noise', 'text', 'zero', 'byte'),
    }),
    { maxLength: 12 },
  ),
})

describe('qcow2, written and read back', () => {
  test('is the same disk for any allocation, cluster size, compression and sink', async () => {
    await fc.assert(
      fc.asyncProperty(
        allocation,
        fc.constantFrom(512, KiB, 4 * KiB, 64 * KiB, 256 * KiB),
        fc.constantFrom(undefined, 'zlib' as const, 'zstd' as const),
        fc.boolean(),
        async ({ sectors, runs }, clusterSize, compression, seekable) => {
          const content = Buffer.alloc(sectors * 512)
          for (const { sector, bytes, filling } of runs) {
            const part = content.subarray(sector * 512, sector * 512 + bytes)
            if (filling === 'noise') part.set(noiseOf(part.length, sector))
            else part.fill({ text: 'some text\n', zero: 0, byte: 0xff }[filling])
          }
          const options = { clusterSize, ...(compression && { compression }) }
          const file = memoryFile()
          const pipe = memorySink()
          await writeQcow2(memoryDisk(content), seekable ? file : pipe, options)
          const disk = await openQcow2(memorySource(seekable ? file.content() : pipe.bytes()))
          expect(content.equals(await readWhole(disk))).toBe(true)
        },
      ),
      { numRuns: 40 },
    )
  })

  test('any range of it reads as in the whole', async () => {
    const content = Buffer.concat([
      Buffer.alloc(300 * KiB, 'text\n'),
      noiseOf(200 * KiB, 1),
      Buffer.alloc(100 * KiB),
    ])
    const file = memoryFile()
    await writeQcow2(memoryDisk(content), file, { compression: 'zstd' })
    const disk = await openQcow2(memorySource(file.content()))
    await fc.assert(
      fc.asyncProperty(fc.nat(content.length), fc.nat(200 * KiB), async (offset, length) => {
        const end = Math.min(offset + length, content.length)
        const target = Buffer.alloc(end - offset, 0xee)
        await disk.read(target, offset)
        expect(target.equals(content.subarray(offset, end))).toBe(true)
      }),
    )
  })
})

test('refcount blocks and table always count themselves, and are no more than needed', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 9, max: 21 }),
      fc.integer({ min: 1, max: 2 ** 40 }),
      (clusterBits, payload) => {
        const geometry = qcow2Geometry(0, 2 ** clusterBits)
        const { blocks, tableClusters, totalClusters } = planRefcounts(geometry, payload)
        expect(totalClusters).toBe(payload + blocks + tableClusters)
        expect(blocks).toBe(Math.ceil(totalClusters / geometry.refcountsPerBlock))
        expect(tableClusters).toBe(Math.ceil((blocks * 8) / geometry.clusterSize))
      },
    ),
  )
})

test('finds the end of a Zstandard frame whatever follows it', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 3000 }),
      fc.integer({ min: 1, max: 200 }),
      fc.uint8Array({ maxLength: 700 }),
      fc.record({ level: fc.integer({ min: 1, max: 19 }), checksum: fc.boolean(), sized: fc.boolean() }),
      (piece, times, rest, { level, checksum, sized }) => {
        const content = Buffer.concat(Array.from({ length: times }, () => piece))
        const frame = zstdCompressSync(content, {
          params: {
            [constants.ZSTD_c_compressionLevel]: level,
            [constants.ZSTD_c_checksumFlag]: checksum ? 1 : 0,
            [constants.ZSTD_c_contentSizeFlag]: sized ? 1 : 0,
          },
          ...(sized && { pledgedSrcSize: content.length }),
        })
        expect(zstdFrameLength(Buffer.concat([frame, rest]))).toBe(frame.length)
        expect(zstdFrameLength(frame.subarray(0, frame.length - 1))).toBe(null)
      },
    ),
    { numRuns: 40 },
  )
})

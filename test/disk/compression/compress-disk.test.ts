import { inflateSync, zstdDecompressSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { KiB, MiB } from '../../../src/core/bytes.ts'
import { openBlockCompressor } from '../../../src/disk/compression/block-compressor.ts'
import { compressBlocks, compressBound } from '../../../src/disk/compression/compress-blocks.ts'
import { compressDisk } from '../../../src/disk/compression/compress-disk.ts'
import { collectDataRuns } from '../../../src/disk/data-runs.ts'
import { memoryDisk } from '../../../src/disk/memory-disk.ts'
import { noiseOf, sampleContent } from '../qcow2/sample-content.ts'

const blockSize = 64 * KiB

describe('compressBlocks', () => {
  const methods = ['zlib', 'zstd'] as const
  test.for(methods)('gives every block back, with room to spare: %s', (method) => {
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom('noise', 'text', 'zero', 'mixed'), { minLength: 1, maxLength: 6 }),
        fc.constantFrom(1, 5, 9),
        fc.boolean(),
        (kinds, level, keepIncompressible) => {
          const input = Buffer.concat(kinds.map((kind, index) => block(kind, index)))
          const output = Buffer.alloc(kinds.length * compressBound(blockSize))
          const sizes = compressBlocks(input, output, {
            method,
            level,
            blockSize,
            keepIncompressible,
            favour: 'small',
          })
          let used = 0
          kinds.forEach((kind, index) => {
            const size = sizes[index] ?? 0
            const plain = input.subarray(index * blockSize, (index + 1) * blockSize)
            expect(size === 0).toBe(kind === 'zero')
            if (size === 0 || (keepIncompressible && size === blockSize)) return
            const stored = output.subarray(used, used + size)
            expect(plain.equals(method === 'zlib' ? inflateSync(stored) : zstdDecompressSync(stored))).toBe(
              true,
            )
            used += size
          })
        },
      ),
      { numRuns: 30 },
    )
  })
})

describe('compressDisk', () => {
  test('gives all blocks but those of zeros, in order, the last one filled up', async () => {
    const content = sampleContent()
    const disk = memoryDisk(content)
    const runs = await collectDataRuns(disk, { alignment: blockSize })
    const compressor = openBlockCompressor({ method: 'zlib', level: 5, blockSize, keepIncompressible: false })
    const read = Buffer.alloc(Math.ceil(content.length / blockSize) * blockSize)
    let last = -1
    let guestBytes = 0
    for await (const piece of compressDisk(disk, { compressor, runs })) {
      guestBytes += piece.guestBytes
      for (const { index, bytes, isPlain } of piece.blocks) {
        expect([index > last, isPlain]).toEqual([true, false])
        last = index
        inflateSync(bytes).copy(read, index * blockSize)
      }
    }
    await compressor.close()
    expect(guestBytes).toBe(runs.total)
    expect(read.subarray(0, content.length).equals(content)).toBe(true)
    expect(read.subarray(content.length).every((byte) => byte === 0)).toBe(true)
  })

  test('can be left early', async () => {
    const disk = memoryDisk(noiseOf(16 * MiB, 1))
    const runs = await collectDataRuns(disk, { alignment: blockSize })
    const compressor = openBlockCompressor({ method: 'zstd', level: 1, blockSize, keepIncompressible: true })
    for await (const { blocks } of compressDisk(disk, { compressor, runs })) {
      expect(blocks.every(({ isPlain }) => isPlain)).toBe(true)
      break
    }
    await compressor.close()
  })

  test('fails when a thread stops', async () => {
    const disk = memoryDisk(noiseOf(16 * MiB, 1))
    const runs = await collectDataRuns(disk, { alignment: blockSize })
    const compressor = openBlockCompressor({ method: 'zstd', level: 1, blockSize, keepIncompressible: true })
    await compressor.close()
    await expect(Array.fromAsync(compressDisk(disk, { compressor, runs }))).rejects.toThrow(
      'compressing thread',
    )
  })
})

function block(kind: 'noise' | 'text' | 'zero' | 'mixed', seed: number): Buffer {
  const half = blockSize / 2
  switch (kind) {
    case 'noise':
      return noiseOf(blockSize, seed)
    case 'text':
      return Buffer.alloc(blockSize, `line ${seed}\n`)
    case 'zero':
      return Buffer.alloc(blockSize)
    case 'mixed':
      return Buffer.concat([Buffer.alloc(half, 'text\n'), noiseOf(half, seed)])
  }
}

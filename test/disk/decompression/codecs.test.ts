import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { isCancellation } from '../../../src/core/errors.ts'
import type { Codec, DecodeOptions, RestartPoint } from '../../../src/disk/decompression/codec.ts'
import { gzipCodec } from '../../../src/disk/decompression/gzip-codec.ts'
import { xzCodec } from '../../../src/disk/decompression/xz-codec.ts'
import { zstdCodec } from '../../../src/disk/decompression/zstd-codec.ts'
import type { RandomAccessSource } from '../../../src/transfer/byte-source.ts'
import { rawZstd } from '../../../testbed/hostile/compressed-sketch.ts'
import { sketchXz } from '../../../testbed/hostile/xz-sketch.ts'
import { memorySource } from '../../support/memory-source.ts'
import { describeWith } from '../../support/requirements.ts'
import { noiseOf, sampleContent } from '../qcow2/sample-content.ts'
import { compressWith } from './compress-with.ts'

/** What each program makes of a file, and how many places to begin at it has at least. */
const ways: readonly (readonly [program: string, options: string, codec: Codec, restarts: number])[] = [
  ['gzip', '-1', gzipCodec, 0],
  ['gzip', '-9', gzipCodec, 0],
  ['zstd', '-1 -q', zstdCodec, 0],
  ['zstd', '-19 -q --no-check', zstdCodec, 0],
  ['zstd', '-3 -q --long=27', zstdCodec, 0],
  ['pzstd', '-1 -q -p 2', zstdCodec, 1],
  ['xz', '-0', xzCodec, 1],
  ['xz', '-9 --check=crc32', xzCodec, 1],
  ['xz', '-1 --block-size=1MiB --check=none', xzCodec, 6],
]

describeWith(['gzip', 'zstd', 'pzstd', 'xz'], 'what the ordinary programs compress', () => {
  it.each(ways)(
    'comes out again, from every place to begin at: %s %s',
    async (program, options, codec, restarts) => {
      const content = sampleContent()
      const source = memorySource(await compressWith(program, options.split(' '), content))
      const points: RestartPoint[] = []
      expect(
        (await decode(codec, source, { onRestartPoint: (point) => points.push(point) })).equals(content),
      ).toBe(true)
      expect(points.length).toBeGreaterThanOrEqual(restarts)
      for (const from of points) {
        expect((await decode(codec, source, { from })).equals(content.subarray(from.plain))).toBe(true)
      }
    },
  )

  it('comes out again when several of them are put together', async () => {
    const content = sampleContent().subarray(0, 2_000_001)
    for (const [program, codec] of [
      ['gzip', gzipCodec],
      ['zstd', zstdCodec],
      ['xz', xzCodec],
    ] as const) {
      const one = await compressWith(program, ['-1'], content)
      const several = memorySource(Buffer.concat([one, one, one]))
      expect((await decode(codec, several)).equals(Buffer.concat([content, content, content]))).toBe(true)
    }
  })

  it('is found damaged wherever a bit of it is', async () => {
    const content = noiseOf(20_000, 1)
    for (const [program, options, codec] of [
      ['gzip', '-1', gzipCodec],
      ['zstd', '-1 -q', zstdCodec],
      ['xz', '-1', xzCodec],
    ] as const) {
      const bytes = await compressWith(program, options.split(' '), content)
      // Of the header of gzip, name and time are not part of what is compared.
      for (let at = program === 'gzip' ? 30 : 0; at < bytes.length; at += 997) {
        bytes[at] = (bytes[at] ?? 0) ^ 4
        const outcome = await decode(codec, memorySource(bytes)).catch((error: unknown) => error)
        expect(outcome, `${program} at ${at}`).toMatchObject({
          code: expect.stringMatching(/^IMAGE_(STREAM_DAMAGED|TRUNCATED|UNKNOWN_FEATURE|TABLES_LIMIT)$/),
        })
        bytes[at] = (bytes[at] ?? 0) ^ 4
      }
      expect((await decode(codec, memorySource(bytes))).equals(content)).toBe(true)
    }
  })
})

describe('the codecs', () => {
  const samples: readonly (readonly [Codec, Buffer])[] = [
    [gzipCodec, gzipSync(noiseOf(3_000_000, 1))],
    [zstdCodec, Buffer.concat([...Array(30)].map((_, index) => rawZstd(noiseOf(100_000, index))))],
    [xzCodec, sketchXz({ blocks: [...Array(30)].map((_, index) => ({ content: noiseOf(100_000, index) })) })],
  ]

  it.each(samples)('stop when they are cancelled: $wrapping', async (codec, bytes) => {
    const stop = new AbortController()
    const outcome = await (async () => {
      for await (const _ of codec.decode(memorySource(bytes), { signal: stop.signal })) stop.abort()
    })().catch((error: unknown) => error)
    expect(isCancellation(outcome), String(outcome)).toBe(true)
  })

  it.each(samples)(
    'read no more when their caller has enough, and leave the source open: $wrapping',
    async (codec, bytes) => {
      const source = memorySource(bytes)
      for await (const chunk of codec.decode(source)) {
        expect(chunk.length).toBeGreaterThan(0)
        break
      }
      const { reads } = source
      await new Promise((resolve) => setTimeout(resolve, 50))
      expect(source.reads).toBe(reads)
      expect(source.closed).toBe(false)
    },
  )

  it.each(samples)('throw what their source throws: $wrapping', async (codec, bytes) => {
    const source: RandomAccessSource = {
      ...memorySource(bytes),
      size: bytes.length,
      read: async () => {
        throw new Error('a bad sector')
      },
    }
    await expect(decode(codec, source)).rejects.toThrow('a bad sector')
  })

  it.each(samples)('say how much they have read: $wrapping', async (codec, bytes) => {
    const told: number[] = []
    await decode(codec, memorySource(bytes), { onProgress: (done) => told.push(done) })
    expect(told).toEqual(told.toSorted((a, b) => a - b))
    expect(told.at(-1)).toBeGreaterThan(bytes.length * 0.95)
    expect(told.at(-1)).toBeLessThanOrEqual(bytes.length)
  })
})

async function decode(
  codec: Codec,
  source: RandomAccessSource,
  options: DecodeOptions = {},
): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(codec.decode(source, options)))
}

import { readdir } from 'node:fs/promises'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { KiB, MiB } from '../../../src/core/bytes.ts'
import { isCancellation } from '../../../src/core/errors.ts'
import type { Codec } from '../../../src/disk/decompression/codec.ts'
import { gzipCodec } from '../../../src/disk/decompression/gzip-codec.ts'
import { compressedWrapping } from '../../../src/disk/decompression/unwrap-compressed.ts'
import { zstdCodec } from '../../../src/disk/decompression/zstd-codec.ts'
import { defaultLimits } from '../../../src/disk/safety/limits.ts'
import type { UnwrapOptions } from '../../../src/disk/wrapping/wrapping.ts'
import type { RandomAccessSource } from '../../../src/transfer/byte-source.ts'
import { rawZstd } from '../../../testbed/hostile/compressed-sketch.ts'
import { memorySource } from '../../support/memory-source.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { noiseOf } from '../qcow2/sample-content.ts'

/** Twice as much data as is kept, with a hole of 8 MiB in the middle. */
const size = 28 * MiB + 333
const hole = { offset: 10 * MiB, length: 8 * MiB }
const content = noiseOf(size, 1)
content.fill(0, hole.offset, hole.offset + hole.length)
const gzipped = gzipSync(content, { level: 1 })
/** In frames of 1 MiB. */
const framed = Buffer.concat(
  Array.from({ length: 29 }, (_, index) => frame(content.subarray(index * MiB, (index + 1) * MiB))),
)

describe('a compressed source', () => {
  it('knows its size, and its holes', async () => {
    const { image } = await unwrapped(gzipped)
    expect(image.size).toBe(size)
    expect(await Array.fromAsync(image.dataRanges?.() ?? [])).toEqual([
      { offset: 0, length: hole.offset },
      { offset: 18 * MiB, length: size - 18 * MiB },
    ])
    await image.close()
  })

  it('is decompressed twice when it is read front to end, and needs no room', async () => {
    const { image, decoded, scratches } = await unwrapped(gzipped)
    expect(Buffer.concat(await Array.fromAsync(image.stream())).equals(content)).toBe(true)
    expect(decoded()).toBeLessThanOrEqual(2 * size)
    expect(scratches).toEqual([])
    await image.close()
  })

  it('gives its beginning, its end and its holes without decompressing again', async () => {
    const { image, decoded } = await unwrapped(gzipped)
    const before = decoded()
    for (const position of [0, 7 * MiB, size - 100 * KiB, 0, hole.offset, size - 1]) {
      const target = Buffer.alloc(Math.min(70_000, size - position), 0xee)
      await image.read(target, position)
      expect(target.equals(content.subarray(position, position + target.length))).toBe(true)
    }
    expect(decoded()).toBe(before)
    await image.close()
  })

  it.each([
    ['gzip', gzipCodec, gzipped],
    ['zstd', zstdCodec, framed],
  ] as const)('reads the same in any order: %s', async (_, codec, bytes) => {
    const reads = fc.array(fc.tuple(fc.nat({ max: size + 10 }), fc.nat({ max: 300_000 })), {
      minLength: 1,
      maxLength: 12,
    })
    const property = fc.asyncProperty(reads, async (places) => {
      const { image } = await unwrapped(bytes, { codec })
      // All at once: they queue up.
      await Promise.all(
        places.map(async ([position, length]) => {
          const target = Buffer.alloc(length, 0xee)
          const filled = await image.read(target, position)
          expect(filled).toBe(Math.max(0, Math.min(length, size - position)))
          expect(target.subarray(0, filled).equals(content.subarray(position, position + filled))).toBe(true)
        }),
      )
      await image.close()
    })
    await fc.assert(property, { numRuns: 8 })
  })

  it('begins at the frame that is wanted, where there are several', async () => {
    const { image, decoded } = await unwrapped(framed, { codec: zstdCodec })
    const before = decoded()
    for (const frameNumber of [26, 20, 23, 19]) {
      await image.read(Buffer.alloc(1000), frameNumber * MiB + 5000)
    }
    expect(decoded() - before).toBeLessThanOrEqual(8 * MiB)
    await image.close()
  })

  it('goes to a temporary file when going back has cost as much as everything once', async () => {
    const { image, decoded, scratches, folder } = await unwrapped(gzipped)
    for (let round = 0; round < 20; round += 1) {
      for (const position of [25 * MiB, 19 * MiB, 9 * MiB]) {
        const target = Buffer.alloc(5000)
        await image.read(target, position + round * 5000)
        expect(target.equals(content.subarray(position + round * 5000, position + (round + 1) * 5000))).toBe(
          true,
        )
      }
    }
    expect(scratches).toHaveLength(1)
    expect(decoded()).toBeLessThanOrEqual(4 * size)
    // It has no name, so nothing can be left of it.
    expect(await readdir(folder)).toEqual([])
    await image.close()
  })

  it('is decompressed once when it is known to be read in any order', async () => {
    const { image, decoded, scratches } = await unwrapped(gzipped, { access: 'random' })
    for (const position of [25 * MiB, 3 * MiB, 19 * MiB, 12 * MiB, 9 * MiB]) {
      const target = Buffer.alloc(100_000)
      await image.read(target, position)
      expect(target.equals(content.subarray(position, position + target.length))).toBe(true)
    }
    expect(decoded()).toBe(size)
    expect(scratches).toHaveLength(1)
    await image.close()
  })

  it('needs no room when it is small', async () => {
    const { image, scratches, decoded } = await unwrapped(
      gzipSync(content.subarray(0, 7 * MiB), { level: 1 }),
      {
        access: 'random',
      },
    )
    for (const position of [6 * MiB, 0, 3 * MiB]) await image.read(Buffer.alloc(1000), position)
    expect(scratches).toEqual([])
    expect(decoded()).toBe(7 * MiB)
    await image.close()
  })

  it('says that there is no room for a temporary file', async () => {
    const outcome = unwrapped(gzipped, { access: 'random', scratchFolder: '/nonexistent' })
    await expect(outcome).rejects.toMatchObject({ code: 'OUTPUT_FOLDER_MISSING' })
  })

  it('goes on after a read that was cancelled', async () => {
    const { image } = await unwrapped(gzipped)
    const stop = new AbortController()
    const reading = image
      .read(Buffer.alloc(1000), 20 * MiB, { signal: stop.signal })
      .catch((error: unknown) => error)
    setTimeout(() => stop.abort(), 1)
    expect(isCancellation(await reading)).toBe(true)
    const target = Buffer.alloc(1000)
    await image.read(target, 19 * MiB)
    expect(target.equals(content.subarray(19 * MiB, 19 * MiB + 1000))).toBe(true)
    await image.close()
  })

  it('fails when it has changed since it was looked at', async () => {
    const bytes = Buffer.from(gzipped)
    const { image } = await unwrapped(bytes)
    // Well behind the hole: a run of zeros may go on for ever in what is spoilt.
    bytes.fill(0, bytes.length * 0.75)
    await expect(image.read(Buffer.alloc(1000), 25 * MiB)).rejects.toMatchObject({
      code: expect.stringMatching(/SOURCE_CHANGED|IMAGE_STREAM_DAMAGED/),
    })
    await image.close()
  })

  it('is refused above the limit of the size, and says how far it is', async () => {
    const told: [number, number][] = []
    const wrapping = compressedWrapping(gzipCodec)
    const { image, checks } = await wrapping.unwrap(memorySource(gzipped), {
      limits: { ...defaultLimits, virtualSize: 10 * MiB },
      onProgress: (done, total) => told.push([done, total]),
    })
    expect(image).toBeNull()
    expect(checks).toContainEqual(expect.objectContaining({ name: 'gzip.size', code: 'IMAGE_SIZE_LIMIT' }))
    expect(told.length).toBeGreaterThan(0)
    expect(told.every(([done, total]) => done <= total && total === gzipped.length)).toBe(true)
  })
})

type Wishes = Partial<Omit<UnwrapOptions, 'limits'>> & { codec?: Codec }

async function unwrapped(bytes: Buffer, { codec = gzipCodec, ...wishes }: Wishes = {}) {
  let decoded = 0
  const counted: Codec = {
    ...codec,
    async *decode(source: RandomAccessSource, options) {
      for await (const chunk of codec.decode(source, options)) {
        decoded += chunk.length
        yield chunk
      }
    },
  }
  const folder = await temporaryFolder()
  const scratches: string[] = []
  const { image, checks } = await compressedWrapping(counted).unwrap(memorySource(bytes), {
    limits: defaultLimits,
    scratchFolder: folder,
    onScratch: ({ name }) => scratches.push(name),
    ...wishes,
  })
  if (!image) throw new Error(JSON.stringify(checks))
  return { image, scratches, folder, decoded: () => decoded }
}

/** Blocks of zstd have 128 KiB at most. */
function frame(bytes: Buffer): Buffer {
  return Buffer.concat(
    Array.from({ length: Math.ceil(bytes.length / 2 ** 17) }, (_, index) =>
      rawZstd(bytes.subarray(index * 2 ** 17, (index + 1) * 2 ** 17)),
    ),
  )
}

import { crc32, gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GiB, MiB } from '../../../src/core/bytes.ts'
import { compressingSink } from '../../../src/disk/compression/compressing-sink.ts'
import { crc32OfZeros, joinCrc32 } from '../../../src/disk/compression/crc32-join.ts'
import { gzipStream, type StreamFormat, zstdStream } from '../../../src/disk/compression/stream-format.ts'
import { zstdCodec } from '../../../src/disk/decompression/zstd-codec.ts'
import type { ByteSink } from '../../../src/transfer/byte-sink.ts'
import { writeZeros } from '../../../src/transfer/write-zeros.ts'
import { memorySink } from '../../support/memory-sink.ts'
import { memorySource } from '../../support/memory-source.ts'
import { noiseOf } from '../qcow2/sample-content.ts'

describe('joinCrc32', () => {
  it('gives the checksum of both', () => {
    const bytes = fc.uint8Array({ maxLength: 5000 })
    fc.assert(
      fc.property(bytes, bytes, fc.nat({ max: 3 * MiB }), (first, second, zeros) => {
        expect(joinCrc32(crc32(first), crc32(second), second.length)).toBe(
          crc32(Buffer.concat([first, second])),
        )
        expect(crc32OfZeros(zeros)).toBe(crc32(Buffer.alloc(zeros)))
      }),
    )
  })
})

/** Bytes, or that many zeros. */
type Step = Buffer | number

const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    fc.tuple(fc.nat({ max: 2_500_000 }), fc.nat({ max: 5 })).map(([length, seed]) => noiseOf(length, seed)),
    fc.nat({ max: 5 * MiB }),
    fc.constantFrom(MiB, 2 * MiB, 1, MiB - 1),
  ),
  { maxLength: 6 },
)

const formats: readonly (readonly [string, () => StreamFormat, (bytes: Buffer) => Promise<Buffer>])[] = [
  ['gzip', () => gzipStream(1), async (bytes) => gunzipSync(bytes)],
  [
    'zstd',
    () => zstdStream(1),
    async (bytes) => Buffer.concat(await Array.fromAsync(zstdCodec.decode(memorySource(bytes)))),
  ],
]

describe.each(formats)('compressingSink with %s', (_, format, decompress) => {
  it('gives what was written, however it came', async () => {
    const property = fc.asyncProperty(steps, async (written) => {
      const bytes = await compressed(format(), written)
      const plain = Buffer.concat(
        written.map((step) => (typeof step === 'number' ? Buffer.alloc(step) : step)),
      )
      expect((await decompress(bytes)).equals(plain)).toBe(true)
      // Zeros that come as bytes, in other pieces, are the same stream.
      const pieces = Array.from({ length: Math.ceil(plain.length / 700_001) }, (__, index) =>
        plain.subarray(index * 700_001, (index + 1) * 700_001),
      )
      expect((await compressed(format(), pieces)).equals(bytes)).toBe(true)
    })
    await fc.assert(property, { numRuns: 6 })
  })

  it('is a stream even of nothing', async () => {
    expect(await decompress(await compressed(format(), []))).toEqual(Buffer.alloc(0))
  })

  it('passes on what its sink throws, and ends its threads', async () => {
    const full: ByteSink = {
      ...memorySink(),
      write: async () => {
        throw new Error('full')
      },
    }
    const sink = compressingSink(full, format())
    const outcome = (async () => {
      for (let index = 0; index < 40; index += 1) await sink.write(noiseOf(MiB, index))
    })()
    await expect(outcome).rejects.toThrow('full')
    await sink.abort()
    await sink.abort()
  })
})

describe('compressingSink', () => {
  it('writes zeros at the cost of what they become', async () => {
    let length = 0
    const counting: ByteSink = {
      ...memorySink(),
      write: async (chunk) => {
        length += chunk.length
      },
    }
    const sink = compressingSink(counting, zstdStream(1))
    await writeZeros(sink, 1024 * GiB)
    await sink.finish()
    expect(length).toBeLessThan(64 * MiB)
  })

  it('has the length modulo 2^32 at the end of gzip, as the format wants it', async () => {
    const tail = gzipStream(1).tail(2 ** 32 + 5, 0x01020304)
    expect(Buffer.from(tail).readUInt32LE(6)).toBe(5)
    expect(Buffer.from(tail).readUInt32LE(2)).toBe(0x01020304)
  })
})

async function compressed(format: StreamFormat, written: readonly Step[]): Promise<Buffer> {
  const whole = memorySink()
  const sink = compressingSink(whole, format)
  for (const step of written) {
    if (typeof step === 'number') await writeZeros(sink, step)
    else await sink.write(step)
  }
  await sink.finish()
  return whole.bytes()
}

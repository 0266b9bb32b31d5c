import { createHash, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { RandomAccessSource } from '../../src/transfer/byte-source.ts'
import { type ProvenSource, provenSource } from '../../src/transfer/proven-source.ts'

const kibibyte = 1024
const mebibyte = 1024 * kibibyte
const blockSize = 256 * kibibyte

/** A source behind a wire: counts what it is asked for, and may answer ranges and the stream with different bytes. */
function farSource(
  content: Buffer,
  { inRanges = content, inStream = content }: { inRanges?: Buffer; inStream?: Buffer } = {},
) {
  const ranges: { position: number; length: number }[] = []
  let streamed = 0
  const source: RandomAccessSource = {
    name: 'far',
    size: content.length,
    async read(target, position) {
      ranges.push({ position, length: target.length })
      return inRanges.copy(target, 0, position, position + target.length)
    },
    async *stream() {
      // Chunks that fit nothing.
      for (let at = 0; at < inStream.length; at += 50_021) {
        const chunk = inStream.subarray(at, at + 50_021)
        streamed += chunk.length
        yield chunk
      }
    },
    close: async () => undefined,
  }
  return {
    source,
    ranges,
    get streamed() {
      return streamed
    },
    get ranged() {
      return ranges.reduce((total, { length }) => total + length, 0)
    },
  }
}

function prove(source: RandomAccessSource, content: Buffer): ProvenSource {
  const value = createHash('sha512').update(content).digest('hex')
  return provenSource(source, {
    expected: { algorithm: 'sha512', value },
    mismatch: (what) => new Error(`MISMATCH ${what}`),
  })
}

async function read(source: RandomAccessSource, position: number, length: number): Promise<Buffer> {
  const target = Buffer.alloc(length, 0xee)
  const filled = await source.read(target, position)
  return target.subarray(0, filled)
}

function flipped(content: Buffer, at: number): Buffer {
  const copy = Buffer.from(content)
  copy[at]! ^= 0x01
  return copy
}

describe('a source proved by the digest of the whole', () => {
  const content = randomBytes(24 * mebibyte + 12_345)

  it('is read once from front to end by a reader that goes from front to end', async () => {
    const far = farSource(content)
    await using proven = disposable(prove(far.source, content))
    proven.beginPass()
    const pieces: Buffer[] = []
    for (let at = 0; at < content.length; at += 700_001) pieces.push(await read(proven, at, 700_001))
    await proven.prove()
    expect(Buffer.concat(pieces).equals(content)).toBe(true)
    expect(far.ranges).toEqual([])
    expect(far.streamed).toBe(content.length)
  })

  it('gives every byte to reads at once, in any order, that lie near each other', async () => {
    const far = farSource(content)
    await using proven = disposable(prove(far.source, content))
    proven.beginPass()
    const places = Array.from({ length: 12 }, (_, index) => ((index * 7) % 12) * 2 * mebibyte)
    await Promise.all(
      places.map(async (at) => {
        const expected = content.subarray(at, at + 2 * mebibyte + 99)
        expect((await read(proven, at, 2 * mebibyte + 99)).equals(expected)).toBe(true)
      }),
    )
    await proven.prove()
    expect(far.streamed).toBe(content.length)
  })

  it('asks for tables by range, rounded to blocks, and keeps them', async () => {
    const far = farSource(content)
    await using proven = disposable(prove(far.source, content))
    for (const _ of [1, 2, 3]) {
      expect(
        (await read(proven, 20 * mebibyte + 17, 64)).equals(
          content.subarray(20 * mebibyte + 17).subarray(0, 64),
        ),
      ).toBe(true)
      await read(proven, 20 * mebibyte + 100_000, 4096)
    }
    expect(far.ranges).toEqual([{ position: 20 * mebibyte, length: blockSize }])
    await proven.prove()
  })

  it('goes back by range to what has passed long ago, and forward to what lies far ahead', async () => {
    const far = farSource(content)
    await using proven = disposable(prove(far.source, content))
    proven.beginPass()
    await read(proven, 0, 100)
    // One table far ahead does not drag the pass along.
    await read(proven, 20 * mebibyte, 64 * kibibyte)
    expect(far.streamed).toBeLessThan(mebibyte)
    for (let at = 0; at < 12 * mebibyte; at += mebibyte) await read(proven, at, mebibyte)
    expect(far.ranges).toHaveLength(1)
    expect((await read(proven, 5, 10)).equals(content.subarray(5, 15))).toBe(true)
    expect(far.ranges).toHaveLength(2)
    await proven.prove()
  })

  it('follows a reader that settles far ahead', async () => {
    const far = farSource(content)
    await using proven = disposable(prove(far.source, content))
    proven.beginPass()
    for (let at = 12 * mebibyte; at < 22 * mebibyte; at += mebibyte) await read(proven, at, mebibyte)
    expect(far.ranged).toBeLessThan(5 * mebibyte)
    expect(far.streamed).toBeGreaterThanOrEqual(22 * mebibyte)
    await proven.prove()
  })

  it.each([0, blockSize - 1, 7 * mebibyte, content.length - 1])(
    'is refused when byte %i on the wire is not the recorded one, wherever it is used',
    async (at) => {
      const far = farSource(content, { inStream: flipped(content, at) })
      await using proven = disposable(prove(far.source, content))
      proven.beginPass()
      for (let from = 0; from < content.length; from += mebibyte) await read(proven, from, mebibyte)
      await expect(proven.prove()).rejects.toThrow('MISMATCH does not have the sha512')
    },
  )

  it('is refused when a range read before the pass was not what passes', async () => {
    const far = farSource(content, { inRanges: flipped(content, 9 * mebibyte + 5) })
    await using proven = disposable(prove(far.source, content))
    await read(proven, 9 * mebibyte, 100)
    proven.beginPass()
    await expect(proven.prove()).rejects.toThrow('MISMATCH gave two different answers')
  })

  it('is refused when a range read before a plain copy was not what is copied', async () => {
    const far = farSource(content, { inRanges: flipped(content, 5) })
    await using proven = disposable(prove(far.source, content))
    await read(proven, 0, 100)
    await expect(Array.fromAsync(proven.stream())).rejects.toThrow('MISMATCH gave two different answers')
  })

  it('is refused when a range read after the pass went by was not what passed', async () => {
    const far = farSource(content, { inRanges: flipped(content, 5) })
    await using proven = disposable(prove(far.source, content))
    proven.beginPass()
    for (let at = 0; at < 12 * mebibyte; at += mebibyte) await read(proven, at, mebibyte)
    await expect(read(proven, 0, 100)).rejects.toThrow('MISMATCH gave two different answers')
  })

  it('is refused when it ends early or goes on', async () => {
    const short = farSource(content, { inStream: content.subarray(0, -1) })
    await expect(prove(short.source, content).prove()).rejects.toThrow('MISMATCH ends at byte')
    const long = farSource(content, { inStream: Buffer.concat([content, Buffer.alloc(1)]) })
    await expect(prove(long.source, content).prove()).rejects.toThrow('MISMATCH goes on')
  })

  it('fails for everybody when its pass breaks', async () => {
    const far = farSource(content)
    const source = {
      ...far.source,
      async *stream() {
        yield content.subarray(0, mebibyte)
        throw new Error('unplugged')
      },
    }
    await using proven = disposable(prove(source, content))
    proven.beginPass()
    await expect(read(proven, 0, 2 * mebibyte)).rejects.toThrow('unplugged')
    await expect(read(proven, 0, 100)).rejects.toThrow('unplugged')
    await expect(proven.prove()).rejects.toThrow('unplugged')
  })

  it('is copied whole as a stream, and compared', async () => {
    const far = farSource(content)
    await using proven = disposable(prove(far.source, content))
    const pieces: Buffer[] = []
    for await (const piece of proven.stream()) pieces.push(Buffer.from(piece))
    await proven.prove()
    expect(Buffer.concat(pieces).equals(content)).toBe(true)
    await using damaged = disposable(
      prove(farSource(content, { inStream: flipped(content, 77) }).source, content),
    )
    await expect(Array.fromAsync(damaged.stream())).rejects.toThrow('MISMATCH')
  })

  it('leaves the comparison to a source that compares its stream itself', async () => {
    const { source } = farSource(content)
    const failing = {
      ...source,
      async *stream() {
        yield content
        throw new Error('IMAGE_CORRUPT')
      },
    }
    const proven = provenSource(failing, { mismatch: (what) => new Error(what) })
    proven.beginPass()
    expect((await read(proven, 0, 64)).equals(content.subarray(0, 64))).toBe(true)
    await expect(proven.prove()).rejects.toThrow('IMAGE_CORRUPT')
    await proven.close()
  })

  it('is not read any more once it is proved', async () => {
    await using proven = disposable(prove(farSource(content).source, content))
    await proven.prove()
    await expect(read(proven, 0, 1)).rejects.toThrow('after its proof')
  })

  it('may be empty', async () => {
    const nothing = Buffer.alloc(0)
    await using proven = disposable(prove(farSource(nothing).source, nothing))
    await proven.prove()
  })
})

function disposable(source: ProvenSource): ProvenSource & AsyncDisposable {
  return { ...source, [Symbol.asyncDispose]: () => source.close() }
}

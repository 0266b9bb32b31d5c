import { createHash } from 'node:crypto'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { contentDigest, digestWhileReading } from '../../src/disk/content-digest.ts'
import type { Disk, Extent } from '../../src/disk/disk.ts'
import { openQcow2 } from '../../src/disk/qcow2/qcow2-reader.ts'
import { openRaw } from '../../src/disk/raw/raw-reader.ts'
import { writeDisk } from '../../src/disk/write-disk.ts'
import { createFileSink } from '../../src/transfer/file-sink.ts'
import { openFileSource } from '../../src/transfer/file-source.ts'
import { memoryDisk } from '../support/memory-disk.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

const block = 64 * 1024

/** The definition, word by word, with everything in memory. */
function naiveDigest(bytes: Buffer): string {
  const hash = createHash('sha256')
  const number = (value: number) => {
    const buffer = Buffer.alloc(8)
    buffer.writeBigUInt64BE(BigInt(value))
    return buffer
  }
  for (let offset = 0; offset < bytes.length; offset += block) {
    const piece = bytes.subarray(offset, offset + block)
    if (piece.some((byte) => byte !== 0)) hash.update(number(offset)).update(piece)
  }
  return hash.update(number(bytes.length)).digest('hex')
}

/** Five blocks and a short one: full, empty, one byte at its end, empty, allocated zeros, a little text. */
function sample(): Buffer {
  const bytes = Buffer.alloc(5 * block + 1000)
  for (let i = 0; i < block; i += 1) bytes[i] = (i * 7 + 1) % 256
  bytes[3 * block - 1] = 9
  bytes.write('the end', bytes.length - 7)
  return bytes
}

/** The same bytes with another allocation. */
function withExtents(bytes: Buffer, extents: readonly Extent[]): Disk {
  return {
    ...memoryDisk(bytes),
    async *extents() {
      yield* extents
    },
  }
}

async function readPieces(disk: Disk, pieces: readonly (readonly [offset: number, length: number])[]) {
  for (const [offset, length] of pieces) await disk.read(Buffer.alloc(length), offset)
}

describe('the content digest', () => {
  it('is that of the definition', async () => {
    expect(await contentDigest(memoryDisk(sample()))).toBe(naiveDigest(sample()))
    expect(await contentDigest(memoryDisk(Buffer.alloc(0)))).toBe(naiveDigest(Buffer.alloc(0)))
    const empty = Buffer.alloc(3 * block)
    expect(await contentDigest(memoryDisk(empty))).toBe(naiveDigest(empty))
  })

  it('is the same whatever the disk says of its allocation', async () => {
    const bytes = sample()
    const all = withExtents(bytes, [{ offset: 0, length: bytes.length, kind: 'data' }])
    const unaligned = withExtents(bytes, [
      { offset: 0, length: block + 123, kind: 'data' },
      { offset: block + 123, length: 2 * block - 1 - block - 123, kind: 'zero' },
      { offset: 2 * block - 1, length: block + 1, kind: 'data' },
      { offset: 3 * block, length: 2 * block + 993, kind: 'zero' },
      { offset: bytes.length - 7, length: 7, kind: 'data' },
    ])
    for (const disk of [all, unaligned]) expect(await contentDigest(disk)).toBe(naiveDigest(bytes))
  })

  it('is the same in raw and in qcow2 of any cluster size, compressed or not', async () => {
    const folder = await temporaryFolder()
    const containers = [
      { format: 'raw' },
      { format: 'qcow2' },
      { format: 'qcow2', clusterSize: 512 },
      { format: 'qcow2', clusterSize: 2 * 1024 * 1024 },
      { format: 'qcow2', compression: 'zstd' },
      { format: 'qcow2', compression: 'zlib', clusterSize: 4096 },
    ] as const
    // Whole sectors: qcow2 has no other sizes.
    const bytes = sample().subarray(0, 5 * block + 512)
    bytes.write('the end', bytes.length - 7)
    for (const [index, options] of containers.entries()) {
      const path = join(folder, String(index))
      const sink = await createFileSink(path)
      await writeDisk(memoryDisk(bytes), sink, options)
      await sink.finish()
      const source = await openFileSource(path)
      const disk = options.format === 'raw' ? await openRaw(source) : await openQcow2(source, {})
      expect(await contentDigest(disk), JSON.stringify(options)).toBe(naiveDigest(bytes))
      await disk.close()
    }
  })

  it('is another for one flipped bit, a moved block, another size', async () => {
    const bytes = sample()
    const flipped = Buffer.from(bytes)
    flipped[3 * block - 1]! ^= 0x80
    const moved = Buffer.from(bytes)
    moved.copyWithin(3 * block, 2 * block, 3 * block)
    moved.fill(0, 2 * block, 3 * block)
    const longer = Buffer.concat([bytes, Buffer.alloc(1)])
    const muchLonger = Buffer.concat([bytes, Buffer.alloc(2 * block)])
    const shorter = bytes.subarray(0, 5 * block)
    const all = [bytes, flipped, moved, longer, muchLonger, shorter]
    const digests = await Promise.all(all.map((content) => contentDigest(memoryDisk(content))))
    expect(new Set(digests).size).toBe(all.length)
  })

  it('tells its progress in bytes of data, ending with all of them', async () => {
    const steps: [number, number][] = []
    await contentDigest(memoryDisk(sample()), { onProgress: (done, total) => steps.push([done, total]) })
    const total = 2 * block + 1000
    expect(steps.at(-1)).toEqual([total, total])
    expect(steps.every(([done, all]) => done <= all && all === total)).toBe(true)
  })

  it('stops when it is cancelled', async () => {
    const digest = contentDigest(memoryDisk(sample()), { signal: AbortSignal.abort() })
    await expect(digest).rejects.toMatchObject({ code: 'CANCELLED' })
  })

  it('fails with the error of the disk', async () => {
    const broken: Disk = { ...memoryDisk(sample()), read: () => Promise.reject(new Error('bad sector')) }
    await expect(contentDigest(broken)).rejects.toThrow('bad sector')
  })
})

describe('the digest of what is read', () => {
  it.each([
    ['in one piece', [[0, 5 * block + 1000]]],
    [
      'in pieces that cut blocks',
      [
        [0, 100],
        [100, block],
        [block + 100, 3 * block],
        [4 * block + 100, block + 900],
      ],
    ],
    [
      'without the empty parts',
      [
        [0, block],
        [3 * block - 512, 512],
        [5 * block, 1000],
      ],
    ],
    [
      'with only some bytes of a block, the others being zero',
      [
        [0, block],
        [3 * block - 512, 512],
        [5 * block + 512, 488],
      ],
    ],
  ] as const)('is the content digest, %s', async (_name, pieces) => {
    await using digested = digestWhileReading(memoryDisk(sample()))
    await readPieces(digested.disk, pieces)
    expect(await digested.digest()).toBe(naiveDigest(sample()))
  })

  it('is right for reads that are issued in order and end in any', async () => {
    const delays = [30, 5, 15]
    const memory = memoryDisk(sample())
    const slow: Disk = {
      ...memory,
      async read(target, offset) {
        await new Promise((resolve) => setTimeout(resolve, delays.shift() ?? 0))
        await memory.read(target, offset)
      },
    }
    await using digested = digestWhileReading(slow)
    await Promise.all([
      digested.disk.read(Buffer.alloc(block), 0),
      digested.disk.read(Buffer.alloc(2 * block), block),
      digested.disk.read(Buffer.alloc(2 * block + 1000), 3 * block),
    ])
    expect(await digested.digest()).toBe(naiveDigest(sample()))
  })

  it('passes on what the disk holds', async () => {
    await using digested = digestWhileReading(memoryDisk(sample()))
    const read = Buffer.alloc(300)
    await digested.disk.read(read, 10)
    expect(read.equals(sample().subarray(10, 310))).toBe(true)
    expect(digested.disk.size).toBe(sample().length)
  })

  it('starts again with a reader that starts again', async () => {
    await using digested = digestWhileReading(memoryDisk(sample()))
    await readPieces(digested.disk, [[0, 4 * block + 5]])
    await readPieces(digested.disk, [[0, 5 * block + 1000]])
    expect(await digested.digest()).toBe(naiveDigest(sample()))
  })

  it('is refused when some of the data was not read', async () => {
    await using skipping = digestWhileReading(memoryDisk(sample()))
    await readPieces(skipping.disk, [
      [0, block],
      [5 * block, 1000],
    ])
    await expect(skipping.digest()).rejects.toThrow(/never read/)
    await using partial = digestWhileReading(memoryDisk(sample()))
    await readPieces(partial.disk, [
      [0, 5 * block],
      [5 * block, 900],
    ])
    await expect(partial.digest()).rejects.toThrow(/never read/)
    await using nothing = digestWhileReading(memoryDisk(sample()))
    await expect(nothing.digest()).rejects.toThrow(/never read/)
  })

  it('does not mind zeros that were not read, as where a hole was allocated meanwhile', async () => {
    const disk = memoryDisk(sample())
    const allocated: Disk = {
      ...disk,
      async *extents() {
        yield { offset: 0, length: disk.size, kind: 'data' }
      },
    }
    await using digested = digestWhileReading(allocated)
    await readPieces(digested.disk, [
      [0, block],
      [2 * block, block],
      [5 * block, 1000],
    ])
    expect(await digested.digest()).toBe(naiveDigest(sample()))
  })

  it('can be asked for again, also after another pass', async () => {
    await using digested = digestWhileReading(memoryDisk(sample()))
    for (let pass = 0; pass < 2; pass += 1) {
      await readPieces(digested.disk, [[0, 5 * block + 1000]])
      expect(await digested.digest()).toBe(naiveDigest(sample()))
      expect(await digested.digest()).toBe(naiveDigest(sample()))
    }
  })

  it('is refused when the second pass was not complete', async () => {
    await using digested = digestWhileReading(memoryDisk(sample()))
    await readPieces(digested.disk, [
      [0, 5 * block + 1000],
      [0, block],
    ])
    await expect(digested.digest()).rejects.toThrow(/never read/)
  })

  it('fails when a read failed', async () => {
    const broken: Disk = { ...memoryDisk(sample()), read: () => Promise.reject(new Error('bad sector')) }
    await using digested = digestWhileReading(broken)
    await expect(digested.disk.read(Buffer.alloc(10), 0)).rejects.toThrow('bad sector')
    await expect(digested.digest()).rejects.toThrow('bad sector')
  })
})

describe('for any content and any way of reading', () => {
  const contents = fc.record({
    size: fc.integer({ min: 1, max: 4 * block }),
    writes: fc.array(
      fc.record({ at: fc.nat(4 * block), length: fc.integer({ min: 1, max: 700 }), value: fc.nat(255) }),
      { maxLength: 6 },
    ),
    cuts: fc.array(fc.nat(4 * block), { maxLength: 8 }),
  })

  it('both give the digest of the definition', async () => {
    await fc.assert(
      fc.asyncProperty(contents, async ({ size, writes, cuts }) => {
        const bytes = Buffer.alloc(size)
        for (const { at, length, value } of writes)
          bytes.fill(value, Math.min(at, size), Math.min(at + length, size))
        const expected = naiveDigest(bytes)
        expect(await contentDigest(memoryDisk(bytes))).toBe(expected)
        await using digested = digestWhileReading(memoryDisk(bytes))
        const edges = [...new Set([0, ...cuts.filter((cut) => cut < size), size])].sort((a, b) => a - b)
        for (const [index, from] of edges.slice(0, -1).entries()) {
          await digested.disk.read(Buffer.alloc(edges[index + 1]! - from), from)
        }
        expect(await digested.digest()).toBe(expected)
      }),
      { numRuns: 8 },
    )
  })
})

import { createHash } from 'node:crypto'
import { open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GiB, KiB, MiB, TiB } from '../../src/core/bytes.ts'
import type { ByteSource } from '../../src/transfer/byte-source.ts'
import { digestSource } from '../../src/transfer/digest-source.ts'
import { digestAlgorithms } from '../../src/transfer/digests.ts'
import { createFileSink } from '../../src/transfer/file-sink.ts'
import { openFileSource } from '../../src/transfer/file-source.ts'
import { startHashThread } from '../../src/transfer/hash-thread.ts'
import { hashingSink } from '../../src/transfer/hashing-sink.ts'
import { siblingModule } from '../../src/transfer/sibling-module.ts'
import { memorySink } from '../support/memory-sink.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'

describe('hashingSink', () => {
  it('gives the digests of exactly what was written, however it is cut', async () => {
    const piece = fc.record({ length: fc.integer({ min: 0, max: 3 * MiB }), zeros: fc.boolean() })
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 6 }), fc.boolean(), async (pieces, zeros) => {
        const inner = memorySink({ zeros })
        const sink = hashingSink(inner, ['sha256', 'md5'])
        for (const piece of pieces) {
          if (piece.zeros) await sink.writeZeros(piece.length)
          else await sink.write(Buffer.alloc(piece.length, `${piece.length}`))
        }
        const written = inner.bytes()
        expect(written.length).toBe(pieces.reduce((sum, { length }) => sum + length, 0))
        expect(await sink.digests()).toEqual({ sha256: hex('sha256', written), md5: hex('md5', written) })
      }),
      { numRuns: 10 },
    )
  })

  it('computes all four algorithms, each once', async () => {
    const sink = hashingSink(memorySink(), [...digestAlgorithms, 'sha256'])
    await sink.write(Buffer.from('abc'))
    const expected = digestAlgorithms.map((algorithm) => [algorithm, hex(algorithm, Buffer.from('abc'))])
    expect(await sink.digests()).toEqual(Object.fromEntries(expected))
  })

  it('lets the caller reuse its buffer after every write', async () => {
    const inner = memorySink()
    const sink = hashingSink(inner, ['sha1'])
    const chunk = Buffer.alloc(MiB)
    for (let i = 0; i < 20; i += 1) await sink.write(chunk.fill(i + 1))
    expect((await sink.digests()).sha1).toBe(hex('sha1', inner.bytes()))
  })

  it('gives the digests before or after it finishes, and takes nothing more', async () => {
    const inner = memorySink()
    const sink = hashingSink(inner, ['md5'])
    const before = await sink.digests()
    expect(inner.state).toBe('open')
    await expect(sink.write(Buffer.from('late'))).rejects.toThrow()
    await sink.finish()
    expect(inner.state).toBe('finished')
    expect(await sink.digests()).toEqual(before)
  })

  it('leaves holes in a file', async () => {
    const path = join(await temporaryFolder(), 'image.raw')
    const sink = hashingSink(await createFileSink(path), ['sha1'])
    await sink.write(Buffer.from('start'))
    await sink.writeZeros(200 * MiB)
    await sink.finish()
    const source = await openFileSource(path)
    const ranges = await Array.fromAsync(source.dataRanges())
    expect([source.size, ranges.length]).toEqual([200 * MiB + 5, 1])
    expect(await digestSource(source, ['sha1'])).toEqual(await sink.digests())
    await source.close()
  })

  it('passes on the failure of the inner sink', async () => {
    const failing = { ...memorySink(), write: () => Promise.reject(new Error('no space')) }
    const sink = hashingSink(failing, ['md5'])
    await expect(sink.write(Buffer.from('x'))).rejects.toThrow('no space')
    await sink.abort()
  })

  it('stops at once when it is cancelled, however much is left to compute', async () => {
    const inner = memorySink({ zeros: false })
    const sink = hashingSink({ ...inner, writeZeros: async () => undefined }, ['sha256'])
    await sink.writeZeros(TiB)
    const started = performance.now()
    const signal = AbortSignal.timeout(100)
    const writing = (async () => {
      for (;;) await sink.write(Buffer.alloc(2 * MiB, 1), { signal })
    })()
    await expect(writing).rejects.toMatchObject({ code: 'CANCELLED' })
    await sink.abort()
    expect(inner.state).toBe('aborted')
    expect(performance.now() - started).toBeLessThan(10_000)
  })
})

describe('digestSource', () => {
  it('is the digest of a file with holes, as if they were read', async () => {
    const path = join(await temporaryFolder(), 'sparse.raw')
    const file = await open(path, 'w')
    await file.truncate(40 * MiB + 3)
    await file.write(Buffer.alloc(5 * MiB, 'a'), 0, 5 * MiB, 3 * MiB)
    await file.write(Buffer.from('end'), 0, 3, 40 * MiB)
    await file.close()
    const source = await openFileSource(path)
    const progress: (number | null)[][] = []
    const digests = await digestSource(source, ['sha256'], {
      onProgress: (...reported) => progress.push(reported),
    })
    const expected = Buffer.concat(await Array.fromAsync(source.stream()))
    expect(digests).toEqual({ sha256: hex('sha256', expected) })
    expect(progress.at(-1)).toEqual([40 * MiB + 3, 40 * MiB + 3])
    await source.close()
  })

  it('is the digest of a stream of unknown length', async () => {
    const chunks = [Buffer.alloc(3 * MiB, 'x'), Buffer.from('end')]
    const progress: (number | null)[][] = []
    const digests = await digestSource(streamed(chunks, null), ['md5'], {
      onProgress: (...reported) => progress.push(reported),
    })
    expect(digests).toEqual({ md5: hex('md5', Buffer.concat(chunks)) })
    expect(progress).toEqual([
      [3 * MiB, null],
      [3 * MiB + 3, null],
    ])
  })

  it('refuses to prove a stream that ends early', async () => {
    const digesting = digestSource(streamed([Buffer.alloc(KiB)], 2 * KiB), ['md5'])
    await expect(digesting).rejects.toMatchObject({ code: 'SOURCE_CHANGED' })
  })

  it('notices a file that shrinks while it is read', async () => {
    const path = join(await temporaryFolder(), 'image.raw')
    await writeFile(path, Buffer.alloc(20 * MiB, 1))
    const source = await openFileSource(path)
    const file = await open(path, 'r+')
    await file.truncate(MiB)
    await file.close()
    await expect(digestSource(source, ['md5'])).rejects.toMatchObject({ code: 'SOURCE_CHANGED' })
    await source.close()
  })

  it('stops at once when it is cancelled in a long hole', async () => {
    const path = join(await temporaryFolder(), 'sparse.raw')
    const file = await open(path, 'w')
    await file.truncate(100 * GiB)
    await file.close()
    const source = await openFileSource(path)
    const started = performance.now()
    const digesting = digestSource(source, ['sha256'], { signal: AbortSignal.timeout(100) })
    await expect(digesting).rejects.toMatchObject({ code: 'CANCELLED' })
    expect(performance.now() - started).toBeLessThan(10_000)
    await source.close()
  })
})

describe('a hash thread', () => {
  it('reports its failure to every request', async () => {
    const thread = startHashThread({ algorithm: 'sha256', slots: [] })
    const answered = thread.request({ zeros: Number.NaN, slot: { index: 5, length: 1 }, last: false })
    await thread.close()
    await Promise.allSettled([answered])
    await expect(thread.request({ zeros: 0, last: true })).rejects.toMatchObject({ code: 'HASHING_FAILED' })
  })

  it('is found beside its caller in the source and in the build', () => {
    const name = (url: string) => siblingModule('hash-worker', url).href
    expect(name('file:///app/src/transfer/hasher.ts')).toBe('file:///app/src/transfer/hash-worker.ts')
    expect(name('file:///app/dist/transfer/hasher.js')).toBe('file:///app/dist/transfer/hash-worker.js')
  })
})

function hex(algorithm: string, bytes: Uint8Array): string {
  return createHash(algorithm).update(bytes).digest('hex')
}

function streamed(chunks: readonly Buffer[], size: number | null): ByteSource {
  return {
    name: 'a stream',
    size,
    async *stream() {
      yield* chunks
    },
    close: async () => undefined,
  }
}

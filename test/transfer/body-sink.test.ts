import { describe, expect, it } from 'vitest'
import { createBodySink, heldPieces } from '../../src/transfer/body-sink.ts'

const KiB = 1024
const MiB = 1024 * KiB

async function collect(body: AsyncIterable<Uint8Array>): Promise<Buffer> {
  return Buffer.concat(await Array.fromAsync(body, (piece) => Buffer.from(piece)))
}

describe('a body sink', () => {
  it('gives what was written, in few pieces, although the writer uses its buffer again', async () => {
    const sink = createBodySink('body')
    const pieces: number[] = []
    const received = (async () => {
      const copies: Buffer[] = []
      for await (const piece of sink.body) {
        pieces.push(piece.length)
        copies.push(Buffer.from(piece))
      }
      return Buffer.concat(copies)
    })()
    const expected: Buffer[] = []
    const buffer = Buffer.alloc(10_007)
    for (let i = 0; i < 100; i += 1) {
      buffer.fill(i)
      expected.push(Buffer.from(buffer))
      await sink.write(buffer)
    }
    await sink.writeZeros(3 * MiB)
    expected.push(Buffer.alloc(3 * MiB))
    await sink.write(Buffer.from('end'))
    expected.push(Buffer.from('end'))
    await sink.finish()
    expect((await received).equals(Buffer.concat(expected))).toBe(true)
    expect(sink.written).toBe(Buffer.concat(expected).length)
    expect(pieces.length).toBeLessThan(10)
  })

  it('leaves the pieces alone that whoever takes them may still hold', async () => {
    const sink = createBodySink('body')
    const writing = (async () => {
      for (let i = 0; i < 60; i += 1) await sink.write(Buffer.alloc(256 * KiB, i))
      await sink.finish()
    })()
    const held: Uint8Array[] = []
    let taken = 0
    for await (const piece of sink.body) {
      held.push(piece)
      if (held.length > heldPieces) held.shift()
      taken += 1
      // Time enough for the writer to run ahead as far as it can.
      await new Promise((resolve) => setTimeout(resolve, 1))
      const expected = Array.from(held, (_, i) => taken - held.length + i)
      expect(held.map((bytes) => new Set(bytes))).toEqual(expected.map((value) => new Set([value])))
    }
    await writing
    expect(taken).toBe(60)
  })

  it('gives nothing for nothing', async () => {
    const sink = createBodySink('body')
    const received = collect(sink.body)
    await sink.finish()
    expect(await received).toHaveLength(0)
  })

  it('lets the writer run ahead by little', async () => {
    const sink = createBodySink('body')
    let written = 0
    const writing = (async () => {
      for (; written < 100; written += 1) await sink.write(Buffer.alloc(128 * KiB))
      await sink.finish()
    })()
    await new Promise((resolve) => setTimeout(resolve, 20))
    expect(written).toBeLessThanOrEqual(4)
    const received = collect(sink.body)
    await writing
    expect(await received).toHaveLength(100 * 128 * KiB)
  })

  it('fails the writer with the reason its reader went away for', async () => {
    const sink = createBodySink('body')
    const writing = (async () => {
      for (;;) await sink.write(Buffer.alloc(MiB))
    })()
    sink.fail(new Error('the cloud has no room'))
    await expect(writing).rejects.toThrow('the cloud has no room')
    await expect(sink.finish()).rejects.toThrow('the cloud has no room')
  })

  it('fails the writer when its reader stops reading', async () => {
    const sink = createBodySink('body')
    const writing = (async () => {
      for (;;) await sink.write(Buffer.alloc(MiB))
    })()
    for await (const _ of sink.body) break
    await expect(writing).rejects.toMatchObject({ code: 'OUTPUT_CLOSED' })
  })

  it('breaks the body when it is aborted', async () => {
    const sink = createBodySink('body')
    const received = collect(sink.body)
    await sink.write(Buffer.alloc(10))
    await sink.abort()
    await sink.abort()
    await expect(received).rejects.toMatchObject({ code: 'OUTPUT_CLOSED' })
    await expect(sink.write(Buffer.alloc(1))).rejects.toMatchObject({ code: 'OUTPUT_CLOSED' })
  })

  it('stops waiting when it is cancelled', async () => {
    const sink = createBodySink('body')
    const signal = AbortSignal.timeout(20)
    const writing = (async () => {
      for (;;) await sink.write(Buffer.alloc(MiB), { signal })
    })()
    await expect(writing).rejects.toMatchObject({ code: 'CANCELLED' })
  })
})

import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import type { ByteSink } from '../../src/transfer/byte-sink.ts'
import { writeStream } from '../../src/transfer/write-stream.ts'

const content = randomBytes(3_500_003)

async function* chunks(length = 65_536): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < content.length; at += length) yield content.subarray(at, at + length)
}

/** A slow sink that copies what it is given when it is done with it. */
function slowSink({ failAt = Number.POSITIVE_INFINITY } = {}) {
  const pieces: Buffer[] = []
  let underWay = 0
  let most = 0
  const sink: ByteSink = {
    name: 'slow',
    async write(chunk) {
      underWay += 1
      most = Math.max(most, underWay)
      await new Promise((resolve) => setTimeout(resolve, 5))
      pieces.push(Buffer.from(chunk))
      underWay -= 1
      if (pieces.length === failAt) throw new Error('the disk is full')
    },
    finish: async () => undefined,
    abort: async () => undefined,
  }
  return { sink, pieces, underWay: () => underWay, most: () => most }
}

describe('writeStream', () => {
  it.each([1_000, 65_536, 1_048_576, 2_000_000])(
    'writes chunks of %i bytes in pieces of 1 MiB, in order',
    async (length) => {
      const { sink, pieces, most } = slowSink()
      const progress: number[] = []
      expect(await writeStream(chunks(length), sink, { onProgress: (done) => progress.push(done) })).toBe(
        content.length,
      )
      expect(Buffer.concat(pieces).equals(content)).toBe(true)
      expect(pieces.map((piece) => piece.length)).toEqual([1_048_576, 1_048_576, 1_048_576, 354_275])
      expect(most()).toBe(1)
      expect(progress.at(-1)).toBe(content.length)
    },
  )

  it('writes nothing for nothing', async () => {
    const { sink, pieces } = slowSink()
    expect(await writeStream(Readable.from([]), sink)).toBe(0)
    expect(pieces).toEqual([])
  })

  it.each([1, 2, 4])('fails with what the write of piece %i fails with', async (failAt) => {
    const { sink, underWay } = slowSink({ failAt })
    await expect(writeStream(chunks(), sink)).rejects.toThrow('the disk is full')
    expect(underWay()).toBe(0)
  })

  it('waits for the write under way when the stream fails', async () => {
    const { sink, underWay } = slowSink()
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield content.subarray(0, 1_048_576)
      throw new Error('the stream broke')
    }
    await expect(writeStream(broken(), sink)).rejects.toThrow('the stream broke')
    expect(underWay()).toBe(0)
  })
})

import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { streamByReading } from '../../src/transfer/stream-by-reading.ts'
import { memorySource } from '../support/memory-source.ts'

const bytes = randomBytes(2 * 2 ** 20 + 5)

describe('streamByReading', () => {
  it.each([
    [{}, 0, bytes.length],
    [{ transient: true }, 0, bytes.length],
    [{ start: 7 }, 7, bytes.length],
    [{ start: 1_048_000, end: 1_049_000 }, 1_048_000, 1_049_000],
    [{ end: 10 ** 9 }, 0, bytes.length],
    [{ start: 10 ** 9 }, bytes.length, bytes.length],
  ])('gives the range of %j', async (options, start, end) => {
    const chunks: Buffer[] = []
    for await (const chunk of streamByReading(memorySource(bytes), options)) chunks.push(Buffer.from(chunk))
    expect(Buffer.concat(chunks).equals(bytes.subarray(start, end))).toBe(true)
  })

  it('fails when the source has become shorter', async () => {
    const source = { ...memorySource(bytes.subarray(0, 100)), size: 200 }
    const whole = async () => {
      for await (const chunk of streamByReading(source)) expect(chunk.length).toBe(200)
    }
    await expect(whole()).rejects.toMatchObject({ code: 'SOURCE_CHANGED' })
  })
})

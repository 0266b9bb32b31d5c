import { describe, expect, it } from 'vitest'
import { memorySink } from '../../src/transfer/memory-sink.ts'

const open = (maximumBytes: number) =>
  memorySink('memory', { maximumBytes, tooLarge: () => new Error('too much') })

describe('a memory sink', () => {
  it('keeps what is written, with and without room made in advance', async () => {
    for (const reserved of [0, 6]) {
      const sink = open(6)
      await sink.reserve(reserved)
      const chunk = Buffer.from('abc')
      await sink.write(chunk)
      chunk.write('def')
      await sink.write(chunk)
      await sink.finish()
      expect(sink.bytes().toString()).toBe('abcdef')
    }
  })

  it('refuses more than it may keep, in advance and while it comes', async () => {
    await expect(open(5).reserve(6)).rejects.toThrow('too much')
    const sink = open(5)
    await sink.write(Buffer.alloc(5))
    await expect(sink.write(Buffer.alloc(1))).rejects.toThrow('too much')
  })

  it('lets go of everything when it is aborted', async () => {
    const sink = open(5)
    await sink.write(Buffer.alloc(5))
    await sink.abort()
    expect(sink.bytes()).toHaveLength(0)
  })
})

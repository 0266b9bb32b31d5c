import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { frameWalker } from '../../../src/disk/decompression/zstd-frames.ts'
import {
  rawZstd,
  repeatedZstd,
  sketchZstd,
  skippableFrame,
} from '../../../testbed/hostile/compressed-sketch.ts'
import { noiseOf } from '../qcow2/sample-content.ts'

const frames = [
  rawZstd(noiseOf(100, 1)),
  repeatedZstd(1, 3 * 2 ** 17),
  sketchZstd({
    blocks: [{ kind: 'raw', bytes: Buffer.alloc(0) }],
    descriptor: 0b1110_0100,
    fields: Buffer.alloc(8),
  }),
]
// The last has a checksum, of which the walker needs to know the length only.
const [first, second, third] = [frames[0]!, frames[1]!, Buffer.concat([frames[2]!, Buffer.alloc(4)])]

describe('frameWalker', () => {
  it('finds the same frames in whatever pieces they come', () => {
    const stream = Buffer.concat([
      skippableFrame(noiseOf(50, 2)),
      first,
      second,
      skippableFrame(Buffer.alloc(0)),
      third,
      first,
    ])
    const data = Buffer.concat([first, second, third, first])
    const cuts = fc.array(fc.nat({ max: stream.length }), { maxLength: 40 })
    fc.assert(
      fc.property(cuts, (places) => {
        const walker = frameWalker()
        const given: Buffer[] = []
        const ends: number[] = []
        const bounds = [0, ...places.toSorted((a, b) => a - b), stream.length]
        for (let index = 1; index < bounds.length; index += 1) {
          for (const { bytes, end } of walker.take(stream.subarray(bounds[index - 1], bounds[index]))) {
            given.push(Buffer.from(bytes))
            if (end !== null) ends.push(end)
          }
        }
        walker.finish()
        expect(Buffer.concat(given).equals(data)).toBe(true)
        const behindSkipped = 58 + first.length + second.length
        expect(ends).toEqual([
          58 + first.length,
          behindSkipped,
          behindSkipped + 8 + third.length,
          behindSkipped + 8 + third.length + first.length,
        ])
      }),
    )
  })
})

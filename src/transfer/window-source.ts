import type { ByteRange, RandomAccessSource } from './byte-source.ts'

export interface SourceWindow {
  /** For messages. */
  readonly name: string
  /** Bytes from the start of the whole. */
  readonly offset: number
  readonly length: number
}

/** A part of a source as a source of its own: a member of an archive. Closing it leaves the whole open. */
export function windowSource(
  source: RandomAccessSource,
  { name, offset, length }: SourceWindow,
): RandomAccessSource {
  if (offset < 0 || length < 0 || offset + length > source.size) {
    throw new RangeError(`${length} bytes at ${offset} do not lie within ${source.size}`)
  }
  const { dataRanges } = source
  return {
    name,
    size: length,

    async read(target, position, options) {
      const wanted = Math.max(0, Math.min(target.length, length - position))
      return wanted === 0 ? 0 : source.read(target.subarray(0, wanted), offset + position, options)
    },

    stream({ start = 0, end = length, signal, transient } = {}) {
      return source.stream({
        start: offset + Math.min(start, length),
        end: offset + Math.min(end, length),
        signal,
        ...(transient === undefined ? {} : { transient }),
      })
    },

    ...(dataRanges
      ? {
          async *dataRanges(options): AsyncGenerator<ByteRange, void, undefined> {
            for await (const range of dataRanges.call(source, options)) {
              const from = Math.max(range.offset, offset)
              const to = Math.min(range.offset + range.length, offset + length)
              if (to > from) yield { offset: from - offset, length: to - from }
              if (range.offset + range.length >= offset + length) return
            }
          },
        }
      : {}),

    close: async () => undefined,
  }
}

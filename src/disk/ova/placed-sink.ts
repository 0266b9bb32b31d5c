import type { ByteSink, SeekableSink } from '../../transfer/byte-sink.ts'

/** A sink that writes in order from a place in a file. */
export interface PlacedSink extends ByteSink {
  /** Where the next byte goes, from the start of the file. */
  readonly position: number
}

/** Zeros are not written: what was there stays, and what nobody writes is zeros. */
export function placedSink(sink: SeekableSink, start: number): PlacedSink {
  let position = start
  return {
    name: sink.name,
    get position() {
      return position
    },
    async write(chunk, options) {
      const at = position
      position += chunk.length
      await sink.writeAt(chunk, at, options)
    },
    async writeZeros(length) {
      position += length
    },
    finish: async () => undefined,
    abort: async () => undefined,
  }
}

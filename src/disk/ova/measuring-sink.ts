import type { ByteSink } from '../../transfer/byte-sink.ts'
import { writeZeros } from '../../transfer/write-zeros.ts'
import { DiskError } from '../errors.ts'

/** A sink that counts. */
export interface MeasuringSink extends ByteSink {
  /** Bytes so far. */
  readonly size: number
}

/** Counts what would be written. */
export function measuringSink(name: string): MeasuringSink {
  let size = 0
  return {
    name,
    get size() {
      return size
    },
    async write(chunk) {
      size += chunk.length
    },
    async writeZeros(length) {
      size += length
    },
    finish: async () => undefined,
    abort: async () => undefined,
  }
}

/** Passes exactly `length` bytes on; `end` fails for fewer. What the disk gave a moment ago it must give again. */
export function exactSink(sink: ByteSink, length: number): ByteSink & { end(): void } {
  let left = length
  const take = (bytes: number): void => {
    left -= bytes
    if (left < 0) throw changed(sink.name)
  }
  return {
    name: sink.name,
    async write(chunk, options) {
      take(chunk.length)
      await sink.write(chunk, options)
    },
    async writeZeros(bytes, options) {
      take(bytes)
      await writeZeros(sink, bytes, options)
    },
    finish: (options) => sink.finish(options),
    abort: () => sink.abort(),
    end() {
      if (left > 0) throw changed(sink.name)
    },
  }
}

export function changed(name: string): DiskError {
  return new DiskError('DISK_CHANGED', `The disk written to ${name} changed while it was read.`, {
    hint: 'Stop whatever writes to it, for example a running virtual machine, and start again.',
  })
}

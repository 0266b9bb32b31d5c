import type { AbortOptions } from '../core/abort.ts'
import type { ByteSink, SeekableSink } from '../transfer/byte-sink.ts'
import { writeZeros } from '../transfer/write-zeros.ts'

/** Bytes with their place in the file. */
export interface Placed {
  readonly position: number
  readonly bytes: Uint8Array
}

/** Takes bytes with their place in the file. What nobody writes is zeros. */
export interface FileOutput {
  write(placed: Placed, options: AbortOptions): Promise<void>
  /** Makes the file so long, when all of it has been written. */
  extendTo(length: number, options: AbortOptions): Promise<void>
}

export function seekableOutput(sink: SeekableSink): FileOutput {
  return {
    write: ({ position, bytes }, options) => sink.writeAt(bytes, position, options),
    extendTo: (length) => sink.truncate(length),
  }
}

/** Takes ascending places only, and fills what lies between them with zeros. `start` bytes are written already. */
export function sequentialOutput(sink: ByteSink, start: number): FileOutput {
  let at = start

  async function extendTo(length: number, options: AbortOptions): Promise<void> {
    if (length < at) throw new Error(`Byte ${length} of ${sink.name} has been passed: it is at ${at}`)
    if (length > at) await writeZeros(sink, length - at, options)
    at = length
  }

  return {
    async write({ position, bytes }, options) {
      await extendTo(position, options)
      await sink.write(bytes, options)
      at += bytes.length
    },
    extendTo,
  }
}

/** For a plan that is made without writing. */
export const noOutput: FileOutput = { write: async () => undefined, extendTo: async () => undefined }

import { type AbortOptions, throwIfCancelled } from '../../core/abort.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { streamByReading } from '../../transfer/stream-by-reading.ts'
import type { Codec } from './codec.ts'
import { type Content, keptBlock } from './content-scan.ts'
import { openReplay } from './replay.ts'
import type { RestartPoints } from './restart-points.ts'
import type { ScratchFile } from './scratch-file.ts'

export interface DecompressedSourceOptions {
  name: string
  source: RandomAccessSource
  codec: Codec
  content: Content
  points: RestartPoints
  /** Everything is there already. */
  scratch: ScratchFile | null
  /** Makes a file for everything, when going back would cost more than that. */
  openScratch: () => Promise<ScratchFile>
}

/**
 * What was compressed, after a first pass over it, as a source: read front to end it is decompressed a second time, holes are
 * known, and nothing is stored. Reads that go back cost decompressing from a restart point; when that has come to as
 * much as everything once, everything goes to a scratch file, so that no order of reads costs more than four passes.
 */
export function decompressedSource(options: DecompressedSourceOptions): RandomAccessSource {
  const { name, source, codec, content, points, openScratch } = options
  const { size, map } = content
  const replay = openReplay(source, codec, points)
  let { scratch } = options
  let queue: Promise<unknown> = Promise.resolve()

  /** Fills `target`, which lies in the source and holds data that was not kept. */
  async function fetch(target: Uint8Array, position: number, { signal }: AbortOptions): Promise<void> {
    if (!scratch && replay.goesBackFor(position) && replay.decompressed > size) {
      await replay.close()
      scratch = await fillScratch({ signal })
    }
    if (scratch) await scratch.read(target, position, { signal })
    else await replay.read(target, position, { signal })
  }

  async function fillScratch({ signal }: AbortOptions): Promise<ScratchFile> {
    const file = await openScratch()
    try {
      let position = 0
      for await (const chunk of codec.decode(source, { signal })) {
        await file.write(chunk, position, { signal })
        position += chunk.length
      }
      return file
    } catch (error) {
      await file.close()
      throw error
    }
  }

  async function fill(target: Uint8Array, position: number, { signal }: AbortOptions): Promise<void> {
    throwIfCancelled(signal)
    /** Up to here everything is filled, and from here on it is to be fetched. */
    let from = 0
    for (let at = 0; at < target.length; ) {
      const to = Math.min(target.length, at + keptBlock - ((position + at) % keptBlock))
      const part = target.subarray(at, to)
      const isZero = map.isZero(position + at, part.length)
      if (isZero) part.fill(0)
      const known = isZero ? part.length : content.copyKept(part, position + at)
      if (known > 0) {
        if (at > from) await fetch(target.subarray(from, at), position + from, { signal })
        from = at + known
      }
      at = known > 0 ? from : to
    }
    if (from < target.length) await fetch(target.subarray(from), position + from, { signal })
  }

  const read: RandomAccessSource['read'] = async (target, position, { signal } = {}) => {
    const wanted = target.subarray(0, Math.max(0, Math.min(target.length, size - position)))
    const filled = queue.then(() => fill(wanted, position, { signal }))
    queue = filled.catch(() => undefined)
    await filled
    return wanted.length
  }

  return {
    name,
    size,
    read,
    stream: (streamOptions) => streamByReading({ name, size, read }, streamOptions),
    async *dataRanges() {
      yield* map.ranges(size)
    },
    async close() {
      await queue
      await replay.close()
      await scratch?.close()
    },
  }
}

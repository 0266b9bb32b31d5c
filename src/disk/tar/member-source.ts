import type { ByteRange, RandomAccessSource } from '../../transfer/byte-source.ts'
import { windowSource } from '../../transfer/window-source.ts'
import { firstRangeEndingAfter, rangeEnd, rangeStart } from '../byte-ranges.ts'
import type { TarMember } from './read-tar.ts'
import type { SparseMap } from './sparse-map.ts'

/** A member of an archive as a source: nothing is unpacked. Closing it leaves the archive open. */
export function memberSource(archive: RandomAccessSource, member: TarMember): RandomAccessSource {
  const stored = windowSource(archive, {
    name: `${archive.name}:${member.name}`,
    offset: member.offset,
    length: member.storedSize,
  })
  return member.sparse ? sparseSource(stored, member.sparse) : stored
}

const streamChunk = 1024 * 1024

function sparseSource(parts: RandomAccessSource, { size, stored, before }: SparseMap): RandomAccessSource {
  const read: RandomAccessSource['read'] = async (target, position, options) => {
    const wanted = target.subarray(0, Math.max(0, Math.min(target.length, size - position)))
    const end = position + wanted.length
    wanted.fill(0)
    for (let index = firstRangeEndingAfter(stored, position); rangeStart(stored, index) < end; index += 1) {
      const from = Math.max(rangeStart(stored, index), position)
      const to = Math.min(rangeEnd(stored, index), end)
      const place = (before[index] ?? 0) + from - rangeStart(stored, index)
      await parts.read(wanted.subarray(from - position, to - position), place, options)
    }
    return wanted.length
  }

  return {
    name: parts.name,
    size,
    read,

    async *stream({ start = 0, end = size, signal } = {}) {
      for (let position = start; position < Math.min(end, size); position += streamChunk) {
        const chunk = Buffer.allocUnsafeSlow(Math.min(streamChunk, Math.min(end, size) - position))
        await read(chunk, position, { signal })
        yield chunk
      }
    },

    async *dataRanges(): AsyncGenerator<ByteRange, void, undefined> {
      for (let index = 0; index < stored.count; index += 1) {
        const offset = rangeStart(stored, index)
        yield { offset, length: rangeEnd(stored, index) - offset }
      }
    },

    close: () => parts.close(),
  }
}

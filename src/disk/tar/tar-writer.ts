import type { AbortOptions } from '../../core/abort.ts'
import { KiB } from '../../core/bytes.ts'
import type { ByteSink } from '../../transfer/byte-sink.ts'
import { writeZeros } from '../../transfer/write-zeros.ts'
import type { ByteRanges } from '../byte-ranges.ts'
import { encodeSparseMember } from './encode-sparse-map.ts'
import { encodeTarHeader, type NewMember } from './tar-header.ts'
import { tarBlock } from './tar-layout.ts'

export interface TarWriter {
  /** Begins a member and gives the sink for its bytes, which must be exactly as many as announced. */
  begin(member: NewMember, options?: AbortOptions): Promise<ByteSink>
  /** The same for a member of which only these ranges are stored; the sink is for them, one behind the other. */
  beginSparse(member: NewMember, stored: ByteRanges, options?: AbortOptions): Promise<ByteSink>
  /** Ends the last member and the archive. Does not finish the sink below. */
  end(options?: AbortOptions): Promise<void>
}

/** The blocks of an archive are padded to records of this many bytes, as every tar does it. */
const record = 10 * KiB

/** Writes a tar archive front to end into any sink; ustar, with sizes over 8 GiB as GNU tar writes them. */
export function tarWriter(sink: ByteSink): TarWriter {
  let position = 0
  let left = 0
  let name = ''

  async function endMember(options?: AbortOptions): Promise<void> {
    if (left > 0) throw new Error(`${left} bytes of the member ${name} were not written`)
    await pad(tarBlock, options)
  }

  async function pad(granule: number, options?: AbortOptions): Promise<void> {
    const rest = (granule - (position % granule)) % granule
    if (rest === 0) return
    await writeZeros(sink, rest, options)
    position += rest
  }

  function take(length: number): void {
    if (length > left) throw new Error(`The member ${name} is longer than it was announced`)
    left -= length
    position += length
  }

  async function beginWith(
    headers: Iterable<Buffer>,
    member: { name: string; size: number },
    options?: AbortOptions,
  ): Promise<ByteSink> {
    await endMember(options)
    for (const header of headers) {
      await sink.write(header, options)
      position += header.length
    }
    name = member.name
    left = member.size
    return {
      name: `${sink.name}:${name}`,
      async write(chunk, writeOptions) {
        take(chunk.length)
        await sink.write(chunk, writeOptions)
      },
      async writeZeros(length, writeOptions) {
        take(length)
        await writeZeros(sink, length, writeOptions)
      },
      finish: async () => undefined,
      abort: async () => undefined,
    }
  }

  return {
    async begin(member, options) {
      return beginWith([encodeTarHeader(member)], member, options)
    },

    async beginSparse(member, stored, options) {
      return beginWith(encodeSparseMember(member, stored), { name: member.name, size: stored.total }, options)
    },

    async end(options) {
      await endMember(options)
      await writeZeros(sink, 2 * tarBlock, options)
      position += 2 * tarBlock
      await pad(record, options)
    },
  }
}

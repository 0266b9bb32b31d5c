import type { AbortOptions } from '../core/abort.ts'
import { KiB, MiB } from '../core/bytes.ts'
import type { ByteRange } from '../transfer/byte-source.ts'
import { Hasher } from '../transfer/hasher.ts'
import { isZero } from '../transfer/zeros.ts'
import {
  type ByteRanges,
  ByteRangesBuilder,
  firstRangeEndingAfter,
  rangeEnd,
  rangeStart,
} from './byte-ranges.ts'
import { collectDataRuns } from './data-runs.ts'
import type { Disk } from './disk.ts'
import { readAhead } from './read-ahead.ts'

/**
 * The content digest proves what a guest sees, whatever container it is in: SHA-256 over every 64 KiB block of the
 * disk that is not all zeros, in order, each as its offset (64 bits, big-endian) followed by its bytes (the last block
 * may be short), and then the disk's size (64 bits, big-endian). Cost follows data, not virtual size.
 */
const blockSize = 64 * KiB

export interface ContentDigestOptions extends AbortOptions {
  /** Bytes of guest data done and in all. */
  onProgress?: (done: number, total: number) => void
}

/** The content digest of a disk, in hexadecimal, computed in a thread beside the reading. Holds about 16 MiB. */
export async function contentDigest(disk: Disk, options: ContentDigestOptions = {}): Promise<string> {
  const { signal, onProgress } = options
  const runs = await collectDataRuns(disk, { alignment: blockSize, signal })
  const hasher = new ContentHasher(disk.size)
  let done = 0
  try {
    for await (const { offset, data } of readAhead(disk, { runs, signal })) {
      await hasher.update(offset, data)
      done += data.length
      onProgress?.(done, runs.total)
    }
    return await hasher.digest()
  } finally {
    await hasher.close()
  }
}

export interface DigestedDisk extends AsyncDisposable {
  readonly disk: Disk
  /**
   * The content digest of what was read through `disk`, since its reader last began at the front. May be asked for again.
   * @throws Error when some of the data was never read, since the digest would prove nothing about it
   */
  digest(options?: AbortOptions): Promise<string>
}

/**
 * A view of the disk that computes the content digest from what its reader reads, so that a writer's single pass is
 * enough. The reads must be issued in order; a reader that starts again from the front starts the digest again.
 * Dispose of it: that ends the thread.
 */
export function digestWhileReading(disk: Disk): DigestedDisk {
  let hasher = new ContentHasher(disk.size)
  let earlier: Promise<void> = Promise.resolve()
  let taken: Promise<string> | undefined

  async function completeDigest(options: AbortOptions): Promise<string> {
    const covered = hasher.covered.build()
    for await (const extent of disk.extents(options)) {
      for (const part of extent.kind === 'data' ? uncovered(covered, extent) : []) {
        // A file system may allocate a hole while it writes a new file out, and zeros do not count.
        if (await readsAsZeros(disk, part, options)) continue
        throw new Error(`Data at ${part.offset} was never read, so its digest cannot be given.`)
      }
    }
    return hasher.digest()
  }

  return {
    disk: {
      size: disk.size,
      extents: (options) => disk.extents(options),
      close: () => disk.close(),
      async read(target, offset, options) {
        const reading = disk.read(target, offset, options)
        const inOrder = Promise.all([reading, earlier]).then(async () => {
          if (offset < hasher.position) {
            await hasher.close()
            hasher = new ContentHasher(disk.size)
            taken = undefined
          }
          await hasher.update(offset, target)
        })
        earlier = inOrder
        await inOrder
      },
    },
    async digest(options = {}) {
      await earlier
      taken ??= completeDigest(options)
      return taken
    },
    [Symbol.asyncDispose]: () => hasher.close(),
  }
}

function* uncovered(
  covered: ByteRanges,
  { offset, length }: ByteRange,
): Generator<ByteRange, void, undefined> {
  const end = offset + length
  for (let position = offset, index = firstRangeEndingAfter(covered, offset); position < end; index += 1) {
    const next = Math.min(end, rangeStart(covered, index))
    if (next > position) yield { offset: position, length: next - position }
    position = rangeEnd(covered, index)
  }
}

async function readsAsZeros(
  disk: Disk,
  { offset, length }: ByteRange,
  options: AbortOptions,
): Promise<boolean> {
  const buffer = Buffer.allocUnsafeSlow(Math.min(length, MiB))
  for (let done = 0; done < length; done += buffer.length) {
    const part = buffer.subarray(0, Math.min(buffer.length, length - done))
    await disk.read(part, offset + done, options)
    if (!isZero(part)) return false
  }
  return true
}

class ContentHasher {
  readonly #hasher = new Hasher(['sha256'])
  readonly #size: number
  readonly #offsetBytes = Buffer.alloc(8)
  /** A block of which only a part has come so far. */
  readonly #partial = Buffer.alloc(blockSize)
  #partialOffset = -1
  readonly covered = new ByteRangesBuilder()
  /** End of what has been read. */
  position = 0

  constructor(size: number) {
    this.#size = size
  }

  /** Takes a piece of the disk that starts at or after `position`. */
  async update(offset: number, data: Uint8Array): Promise<void> {
    this.covered.add(offset, data.length)
    this.position = offset + data.length
    for (let from = 0; from < data.length; ) {
      const at = offset + from
      const block = at - (at % blockSize)
      const end = Math.min(from + block + blockSize - at, data.length)
      await this.#take(block, at, data.subarray(from, end))
      from = end
    }
  }

  async digest(): Promise<string> {
    await this.#flushPartial()
    await this.#hasher.update(this.#encode(this.#size))
    const { sha256 } = await this.#hasher.digests()
    if (!sha256) throw new Error('The hash thread gave no SHA-256.')
    return sha256
  }

  close(): Promise<void> {
    return this.#hasher.close()
  }

  async #take(block: number, at: number, bytes: Uint8Array): Promise<void> {
    if (this.#partialOffset !== block) await this.#flushPartial()
    if (bytes.length === this.#lengthOf(block)) return this.#add(block, bytes)
    this.#partialOffset = block
    this.#partial.set(bytes, at - block)
  }

  async #flushPartial(): Promise<void> {
    if (this.#partialOffset < 0) return
    await this.#add(this.#partialOffset, this.#partial.subarray(0, this.#lengthOf(this.#partialOffset)))
    this.#partial.fill(0)
    this.#partialOffset = -1
  }

  async #add(block: number, bytes: Uint8Array): Promise<void> {
    if (isZero(bytes)) return
    await this.#hasher.update(this.#encode(block))
    await this.#hasher.update(bytes)
  }

  #lengthOf(block: number): number {
    return Math.min(blockSize, this.#size - block)
  }

  #encode(value: number): Buffer {
    this.#offsetBytes.writeBigUInt64BE(BigInt(value))
    return this.#offsetBytes
  }
}

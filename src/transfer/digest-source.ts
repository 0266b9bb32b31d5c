import type { AbortOptions } from '../core/abort.ts'
import { type ByteRange, type ByteSource, isRandomAccess, type RandomAccessSource } from './byte-source.ts'
import type { DigestAlgorithm, Digests } from './digests.ts'
import { TransferError } from './errors.ts'
import { Hasher } from './hasher.ts'

export interface DigestSourceOptions extends AbortOptions {
  /** Bytes done and in all; null where the source does not know its size. */
  onProgress?: (done: number, total: number | null) => void
}

/**
 * Digests of a source's bytes from front to end, computed in threads. Holes are not read where the source knows them;
 * they still take the time of hashing zeros.
 */
export async function digestSource(
  source: ByteSource,
  algorithms: readonly DigestAlgorithm[],
  options: DigestSourceOptions = {},
): Promise<Digests> {
  const hasher = new Hasher(algorithms)
  try {
    const ranges = isRandomAccess(source) ? source.dataRanges?.(options) : undefined
    if (isRandomAccess(source) && ranges) await hashRanges(source, ranges, { hasher, options })
    else await hashStream(source, { hasher, options })
    return await hasher.digests(options)
  } finally {
    await hasher.close()
  }
}

interface Hashing {
  hasher: Hasher
  options: DigestSourceOptions
}

/** Reads the data straight into the hasher's memory. */
async function hashRanges(
  source: RandomAccessSource,
  ranges: AsyncIterable<ByteRange>,
  { hasher, options }: Hashing,
): Promise<void> {
  let position = 0
  for await (const { offset, length } of ranges) {
    if (offset > position) hasher.zeros(offset - position)
    const end = offset + length
    for (position = offset; position < end; ) {
      const { bytes } = await hasher.lease(options)
      const part = bytes.subarray(0, end - position)
      const filled = await source.read(part, position, options)
      if (filled < part.length) throw endedEarly(source, position + filled)
      hasher.submit(filled)
      position += filled
      options.onProgress?.(position, source.size)
    }
  }
  if (source.size > position) hasher.zeros(source.size - position)
  options.onProgress?.(source.size, source.size)
}

async function hashStream(source: ByteSource, { hasher, options }: Hashing): Promise<void> {
  let done = 0
  for await (const chunk of source.stream({ ...options, transient: true })) {
    await hasher.update(chunk, options)
    done += chunk.length
    options.onProgress?.(done, source.size)
  }
  if (source.size !== null && done !== source.size) throw endedEarly(source, done)
}

function endedEarly(source: ByteSource, position: number): TransferError {
  return new TransferError(
    'SOURCE_CHANGED',
    `${source.name} gave ${position} bytes instead of the ${source.size} it was to have.`,
  )
}

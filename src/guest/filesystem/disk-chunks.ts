import type { AbortOptions } from '../../core/abort.ts'
import type { Disk } from '../../disk/disk.ts'

const chunkBytes = 1024 * 1024

/** A disk's bytes from its start to its end, in pieces of a MiB. */
export async function* diskChunks(
  disk: Disk,
  options: AbortOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  for (let offset = 0; offset < disk.size; offset += chunkBytes) {
    const chunk = new Uint8Array(Math.min(chunkBytes, disk.size - offset))
    await disk.read(chunk, offset, options)
    yield chunk
  }
}

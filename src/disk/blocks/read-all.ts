import type { AbortOptions } from '../../core/abort.ts'
import type { RandomAccessSource } from '../../transfer/byte-source.ts'
import { DiskError } from '../errors.ts'

/**
 * Fills all of `target`, whose place is known to lie in the file.
 * @throws DiskError `IMAGE_TRUNCATED` when the file has become shorter meanwhile
 */
export async function readAll(
  source: RandomAccessSource,
  target: Uint8Array,
  { position, signal }: AbortOptions & { position: number },
): Promise<void> {
  const filled = await source.read(target, position, { signal })
  if (filled === target.length) return
  throw new DiskError('IMAGE_TRUNCATED', `${source.name} has become shorter while it was read.`, {
    details: { offset: position + filled },
  })
}

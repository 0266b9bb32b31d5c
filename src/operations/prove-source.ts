import type { AbortOptions } from '../core/abort.ts'
import type { CheckedDisk } from '../disk/open-disk.ts'
import type { PassProgress } from '../transfer/proven-source.ts'
import { proofOf } from './open-image-disk.ts'

/**
 * To be called before a disk is read from front to end. What is read is proved by the checksum of the cloud it comes
 * from and by the digests that an appliance brings. Gives whether all of a container passes now, so that this is what takes
 * the time and `onProgress` is called.
 */
export function beginPass(source: CheckedDisk, options: PassProgress): boolean {
  const passes = proofOf(source)?.beginPass(options) ?? false
  const ownProof = ownProofOf(source)
  ownProof?.beginPass(passes ? { signal: options.signal } : options)
  return passes || ownProof !== null
}

/**
 * To be called after the last read, and before anything made of the disk is published.
 * @throws CloudError `IMAGE_CORRUPT`; DiskError `IMAGE_DIGEST_MISMATCH`
 */
export async function proveSource(source: CheckedDisk, options: AbortOptions): Promise<void> {
  // What is in the container first: it is read through the pass over the container.
  await ownProofOf(source)?.prove(options)
  await proofOf(source)?.prove(options)
}

/** Where only what is used is to be read, nothing is compared. */
function ownProofOf(source: CheckedDisk) {
  const isRemote = source.source.dataRanges === undefined
  return isRemote && proofOf(source)?.proof === 'used' ? null : (source.ownProof ?? null)
}

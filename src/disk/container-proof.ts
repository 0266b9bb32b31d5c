import type { AbortOptions } from '../core/abort.ts'
import type { RandomAccessSource } from '../transfer/byte-source.ts'
import type { PassProgress } from '../transfer/proven-source.ts'

/** For an image that brings digests of its own files: how what is read of it is proved by them. */
export interface ContainerProof {
  /**
   * To be read from what is proved. Checks that jump about in everything look at the bytes themselves: through here each jump
   * would read a whole block.
   */
  readonly image: RandomAccessSource
  /** To be called before the disk is read from front to end: from now on, one pass serves the reader and the digest. */
  beginPass(options?: PassProgress): void
  /**
   * To be called after the last read, and before anything made of the disk is published.
   * @throws DiskError `IMAGE_DIGEST_MISMATCH`
   */
  prove(options?: AbortOptions): Promise<void>
}

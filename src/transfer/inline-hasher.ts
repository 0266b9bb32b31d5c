import { createHash } from 'node:crypto'
import type { AbortOptions } from '../core/abort.ts'
import type { DigestAlgorithm, Digests } from './digests.ts'

/** What computes digests of one stream of bytes. */
export interface StreamHasher {
  /** Takes the next bytes; the caller may reuse `chunk` when this settles. */
  update(chunk: Uint8Array, options?: AbortOptions): Promise<void>
  /** The digests of everything so far; nothing more can be added. */
  digests(options?: AbortOptions): Promise<Digests>
  close(): Promise<void>
}

/**
 * A digest computed where the bytes pass, in the thread of the caller: for what passes so slowly, being compressed, that a
 * thread for it would mostly wait. A thread takes 11 MiB, whatever it does, and its ring 4.
 */
export function inlineHasher(algorithm: DigestAlgorithm): StreamHasher {
  const hash = createHash(algorithm)
  let digests: Digests | undefined
  return {
    update: async (chunk) => void hash.update(chunk),
    async digests() {
      digests ??= { [algorithm]: hash.digest('hex') }
      return digests
    },
    close: async () => undefined,
  }
}

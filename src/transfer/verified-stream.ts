import type { AbortOptions } from '../core/abort.ts'
import type { DigestAlgorithm, Digests } from './digests.ts'
import { Hasher } from './hasher.ts'

export interface VerifiedStreamOptions extends AbortOptions {
  /** Hexadecimal digests the bytes must have. */
  expected: Digests
  /** Makes the error for bytes whose digest of this name is another. */
  mismatch: (algorithm: DigestAlgorithm, actual: string) => Error
}

/**
 * Passes bytes on and computes their digests in threads beside. Throws after the last byte when one is wrong: whoever
 * takes the stream must not use what it got before it has ended.
 */
export async function* verifiedStream(
  bytes: AsyncIterable<Uint8Array>,
  { expected, mismatch, signal }: VerifiedStreamOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  const wanted = Object.entries(expected).flatMap(([name, value]) =>
    value === undefined ? [] : [{ name: name as DigestAlgorithm, value }],
  )
  const hasher = new Hasher(wanted.map(({ name }) => name))
  try {
    for await (const chunk of bytes) {
      await hasher.update(chunk, { signal })
      yield chunk
    }
    const actual = await hasher.digests({ signal })
    for (const { name, value } of wanted) {
      const digest = actual[name] ?? ''
      if (digest !== value.toLowerCase()) throw mismatch(name, digest)
    }
  } finally {
    await hasher.close()
  }
}

import type { AbortOptions } from '../core/abort.ts'
import type { ByteSink } from './byte-sink.ts'
import type { DigestAlgorithm, Digests } from './digests.ts'
import { Hasher } from './hasher.ts'
import { writeZeros } from './write-zeros.ts'

/** A sink that passes everything on and computes digests of it beside. */
export interface HashingSink extends ByteSink {
  writeZeros(length: number, options?: AbortOptions): Promise<void>
  /**
   * Digests of everything written, in hexadecimal; nothing can be written after it. May be asked for before `finish`,
   * so that content is compared before it is published.
   */
  digests(options?: AbortOptions): Promise<Digests>
}

/**
 * Wraps a sink so that digests of the bytes are computed in threads while they are written. Writes in order only, and
 * zeros stay holes where the inner sink makes holes. Finish or abort it instead of the inner sink: that ends the
 * threads, as does `digests`.
 */
export function hashingSink(sink: ByteSink, algorithms: readonly DigestAlgorithm[]): HashingSink {
  const hasher = new Hasher(algorithms)
  return {
    name: sink.name,

    async write(chunk, options) {
      // Both use the chunk, so neither may be left behind when the other fails.
      const outcomes = await Promise.allSettled([sink.write(chunk, options), hasher.update(chunk, options)])
      for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
    },

    async writeZeros(length, options) {
      hasher.zeros(length)
      await writeZeros(sink, length, options)
    },

    digests: (options) => hasher.digests(options),

    async finish(options) {
      await hasher.digests(options)
      await sink.finish(options)
    },

    async abort() {
      await Promise.all([hasher.close(), sink.abort()])
    },
  }
}

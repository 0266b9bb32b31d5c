import { hash } from 'node:crypto'

const digestLength = 32

export interface BlockDigests {
  has(index: number): boolean
  /** @throws what `mismatch` makes when the block was seen before and was another */
  add(index: number, bytes: Uint8Array): void
}

/** A SHA-256 for each block that has been seen; a second sight of it must be the same. */
export function blockDigests(count: number, mismatch: (index: number) => Error): BlockDigests {
  const digests = Buffer.alloc(count * digestLength)
  const known = new Uint8Array(count)
  return {
    has: (index) => known[index] === 1,
    add(index, bytes) {
      const digest = hash('sha256', bytes, 'buffer')
      const place = digests.subarray(index * digestLength, (index + 1) * digestLength)
      if (known[index] === 1 && !place.equals(digest)) throw mismatch(index)
      place.set(digest)
      known[index] = 1
    },
  }
}

import { createCipheriv, randomBytes } from 'node:crypto'

export interface BlockTags {
  has(index: number): boolean
  /** @throws what `mismatch` makes when the block was seen before and was another */
  add(index: number, bytes: Uint8Array): void
}

const tagLength = 16

/**
 * A tag for each block that has been seen; a second sight of the block must have the same. The tags are GMAC (NIST SP
 * 800-38D) under a key that is made here and never leaves: nobody can make another block to fit, and it takes a
 * sixth of the time of SHA-256. 16 bytes a block.
 */
export function blockTags(count: number, mismatch: (index: number) => Error): BlockTags {
  const key = randomBytes(16)
  // One for all: tags are compared among themselves, and nobody sees them.
  const nonce = Buffer.alloc(12)
  const tags = Buffer.alloc(count * tagLength)
  const known = new Uint8Array(count)

  function tagOf(bytes: Uint8Array): Buffer {
    const cipher = createCipheriv('aes-128-gcm', key, nonce)
    cipher.setAAD(bytes)
    cipher.final()
    return cipher.getAuthTag()
  }

  return {
    has: (index) => known[index] === 1,
    add(index, bytes) {
      const tag = tagOf(bytes)
      const place = tags.subarray(index * tagLength, (index + 1) * tagLength)
      if (known[index] === 1 && !place.equals(tag)) throw mismatch(index)
      place.set(tag)
      known[index] = 1
    },
  }
}

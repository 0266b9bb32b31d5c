/** A search for many literal texts at once. */
export interface MarkerSearch {
  /** Calls `found` for every text that begins in [from, to) of `bytes`, in order; the text itself may end behind `to`. */
  each(
    bytes: Uint8Array,
    range: { from: number; to: number },
    found: (at: number, text: string) => void,
  ): void
}

/**
 * One pass of a table look-up for each byte: every text is found by the two of its bytes that are the rarest in files, and
 * compared only there. Texts are ASCII, of at least three characters.
 */
export function compileMarkers(texts: readonly string[]): MarkerSearch {
  const candidates: Candidate[][] = [[]]
  const table = new Uint8Array(0x1_0000)
  for (const text of new Set(texts)) {
    if (text.length < 3) throw new RangeError(`"${text}" is too short to search for.`)
    const bytes = Buffer.from(text, 'latin1')
    const at = rarestPair(bytes)
    const pair = bytes.readUInt16BE(at)
    const slot = table[pair] || candidates.push([]) - 1
    table[pair] = slot
    candidates[slot]?.push({ text, bytes, at })
  }

  return {
    each(bytes, { from, to }, found) {
      const longest = 64
      const end = Math.min(bytes.length, to + longest)
      let pair = bytes[from] ?? 0
      for (let position = from + 1; position < end; position += 1) {
        pair = ((pair & 0xff) << 8) | (bytes[position] ?? 0)
        const slot = table[pair] ?? 0
        if (slot === 0) continue
        for (const candidate of candidates[slot] ?? []) {
          const start = position - 1 - candidate.at
          if (start >= from && start < to && isAt(bytes, start, candidate.bytes)) found(start, candidate.text)
        }
      }
    },
  }
}

interface Candidate {
  readonly text: string
  readonly bytes: Uint8Array
  /** Where in it the pair stands. */
  readonly at: number
}

function isAt(bytes: Uint8Array, start: number, wanted: Uint8Array): boolean {
  if (start + wanted.length > bytes.length) return false
  for (let index = 0; index < wanted.length; index += 1) {
    if (bytes[start + index] !== wanted[index]) return false
  }
  return true
}

function rarestPair(bytes: Buffer): number {
  let best = 0
  let least = Number.POSITIVE_INFINITY
  for (let at = 0; at + 1 < bytes.length; at += 1) {
    const [first, second] = [bytes.readUInt8(at), bytes.readUInt8(at + 1)]
    const cost = commonness(first) * commonness(second) * (first === second ? 8 : 1)
    if (cost < least) [best, least] = [at, cost]
  }
  return best
}

/** How common a byte is in files of text, roughly. */
function commonness(byte: number): number {
  const character = String.fromCharCode(byte)
  if (/[etaoinsr ]/.test(character)) return 6
  if (/[a-z]/.test(character)) return 4
  return /[0-9_\-/."=:]/.test(character) ? 3 : 1
}

import fc from 'fast-check'

/** A small valid image to start from. */
export interface FuzzSeed {
  readonly bytes: Buffer
  /** Where the structures are, so that most changes hit one: start and length in bytes. */
  readonly structures: readonly (readonly [start: number, length: number])[]
}

export type Mutation =
  | { kind: 'byte'; place: Place; value: number }
  | { kind: 'number'; place: Place; width: 2 | 4 | 8; bigEndian: boolean; value: bigint }
  | { kind: 'copy'; from: Place; place: Place; length: number }
  | { kind: 'cut'; place: Place }

/** `structure` and `at` are taken modulo what there is, so that every place exists in every seed. */
interface Place {
  structure: number
  at: number
}

const place: fc.Arbitrary<Place> = fc.record({
  structure: fc.nat({ max: 20 }),
  at: fc.oneof(fc.nat({ max: 128 }), fc.nat({ max: 2 ** 20 })),
})

/** Edges of every width, sizes around clusters and files of a few KiB, and anything. */
const telling = fc.oneof(
  fc.constantFrom(
    ...[0n, 1n, 2n, 7n, 8n, 9n, 21n, 22n, 63n, 511n, 512n, 4095n, 4096n, 8192n, 28_672n, 65_536n],
    ...[31n, 32n, 40n, 53n, 55n, 56n, 62n, 63n].flatMap((bit) => [
      (1n << bit) - 1n,
      1n << bit,
      (1n << bit) + 1n,
    ]),
    0xffff_ffff_ffff_ffffn,
  ),
  fc.bigInt({ min: 0n, max: 16n }).map((cluster) => cluster * 4096n),
  fc.bigInt({ min: 0n, max: 16n }).map((cluster) => (1n << 63n) | (cluster * 4096n)),
  fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }),
)

const byte = fc.record({ kind: fc.constant('byte' as const), place, value: fc.nat({ max: 255 }) })

const number = fc.record({
  kind: fc.constant('number' as const),
  place,
  width: fc.constantFrom<2 | 4 | 8>(2, 4, 8),
  bigEndian: fc.boolean(),
  value: telling,
})

const copy = fc.record({
  kind: fc.constant('copy' as const),
  from: place,
  place,
  length: fc.constantFrom(8, 16, 128, 512, 4096),
})

const cut = fc.record({ kind: fc.constant('cut' as const), place })

/** Cuts are rare: of what is cut off in the middle, most readers see nothing else. */
export const mutations: fc.Arbitrary<Mutation[]> = fc.array(
  fc.oneof<fc.WeightedArbitrary<Mutation>[]>(
    { weight: 8, arbitrary: byte },
    { weight: 16, arbitrary: number },
    { weight: 8, arbitrary: copy },
    { weight: 1, arbitrary: cut },
  ),
  { minLength: 1, maxLength: 5 },
)

/** A changed copy of the seed, in a buffer that has room for it: a new one for every case would be most of the work. */
export function mutate(seed: FuzzSeed, changes: readonly Mutation[], room: Buffer): Buffer {
  let bytes = room.subarray(0, seed.bytes.length)
  seed.bytes.copy(bytes)
  for (const change of changes) {
    const at = resolve(seed, change.place)
    if (change.kind === 'cut') bytes = bytes.subarray(0, at)
    else if (change.kind === 'copy') {
      const from = resolve(seed, change.from)
      if (from < bytes.length && at < bytes.length) bytes.copy(bytes, at, from, from + change.length)
    } else if (change.kind === 'byte') {
      if (at < bytes.length) bytes[at] = change.value
    } else writeNumber(bytes, at - (at % change.width), change)
  }
  return bytes
}

function resolve({ bytes, structures }: FuzzSeed, { structure, at }: Place): number {
  const [start, length] = structures[structure] ?? [0, bytes.length]
  return start + (at % length)
}

function writeNumber(
  bytes: Buffer,
  at: number,
  { width, bigEndian, value }: Extract<Mutation, { kind: 'number' }>,
): void {
  if (at + width > bytes.length) return
  const encoded = Buffer.alloc(8)
  encoded.writeBigUInt64BE(value)
  const digits = encoded.subarray(8 - width)
  bytes.set(bigEndian ? digits : Buffer.from(digits).reverse(), at)
}

import { resealArchive, type SketchMember, sketchArchive } from './ova-sketch.ts'

/** A raw disk that is recognised as nothing else. */
export const rawDisk = Buffer.alloc(4096, 'x')

/** An archive with Google's one member, and what else there is. */
export function sketchGcp(...more: readonly SketchMember[]): Buffer {
  return sketchArchive([{ name: 'disk.raw', bytes: rawDisk }, ...more]).bytes
}

/** An archive of these members, changed afterwards; its checksums are right. */
export function changedArchive(members: readonly SketchMember[], change: (bytes: Buffer) => void): Buffer {
  const { bytes } = sketchArchive(members)
  change(bytes)
  resealArchive(bytes)
  return bytes
}

export interface SparseSketch {
  /** Offset and length of each part. */
  readonly parts?: readonly (readonly [offset: number, length: number])[]
  /** Bytes of the file with its holes. */
  readonly realSize?: number
  /** Bytes that are stored, whatever the map says. */
  readonly stored?: Buffer
  /** What says that a block of the map follows: of the header, and of each such block. */
  readonly extended?: readonly number[]
  /** Pairs in each block behind the header. */
  readonly pairsPerBlock?: number
}

/** A sparse `disk.raw` in the old GNU form. */
export function sketchSparse({
  parts = [
    [512, 512],
    [2048, 1024],
  ],
  realSize = 8192,
  stored = Buffer.alloc(
    parts.reduce((sum, [, length]) => sum + length, 0),
    'x',
  ),
  pairsPerBlock = 21,
  extended,
}: SparseSketch = {}): Buffer {
  const blocks: Buffer[] = []
  for (let from = 4; from < parts.length; from += pairsPerBlock) {
    const block = Buffer.alloc(512)
    writePairs(block, 0, parts.slice(from, from + pairsPerBlock))
    blocks.push(block)
  }
  const flags = extended ?? [...blocks.map(() => 1), 0]
  for (const [index, block] of blocks.entries()) block[504] = flags[index + 1] ?? 0
  const map = Buffer.concat(blocks)
  // The blocks of the map are not counted in the size.
  const member = { name: 'disk.raw', bytes: Buffer.concat([map, stored]), size: stored.length, type: 'S' }
  return changedArchive([member], (bytes) => {
    bytes.write('ustar  \0', 257, 'latin1')
    writePairs(bytes, 386, parts.slice(0, 4))
    bytes[482] = flags[0] ?? 0
    bytes.write(`${realSize.toString(8).padStart(11, '0')}\0`, 483, 'latin1')
  })
}

function writePairs(block: Buffer, at: number, pairs: readonly (readonly [number, number])[]): void {
  for (const [index, numbers] of pairs.entries()) {
    for (const [place, value] of numbers.entries()) {
      block.write(`${value.toString(8).padStart(11, '0')}\0`, at + index * 24 + place * 12, 'latin1')
    }
  }
}

/** A record of a pax header. */
export function paxRecord(key: string, value: string): string {
  const rest = ` ${key}=${value}\n`
  const digits = String(rest.length + String(rest.length).length).length
  return `${rest.length + digits}${rest}`
}

/** A header that says more about the member behind it. */
export function paxHeader(records: string, type: 'x' | 'g' = 'x'): SketchMember {
  return { name: 'pax', bytes: Buffer.from(records), type }
}

export function longName(name: string): SketchMember {
  return { name: '././@LongLink', bytes: Buffer.from(`${name}\0`), type: 'L' }
}

import { deflateSync } from 'node:zlib'
import { accepted, type HostileImage, refused } from './hostile-image.ts'
import { spoiltVmdk } from './hostile-vmdk-headers.ts'
import { at, entry, secondGrain, setEntry } from './vmdk-entries.ts'
import {
  compressedGrain,
  grainBytes,
  letters,
  marker,
  sector,
  sketchVmdk,
  type VmdkKind,
  type VmdkSketch,
} from './vmdk-sketch.ts'

/** A valid stream in which the first grain's marker is changed. */
function firstMarker(kind: VmdkKind, change: (bytes: Buffer, place: number) => void): () => Buffer {
  return spoiltVmdk({ kind }, ({ bytes, places }) => change(bytes, places.grains[0] ?? 0))
}

/** A stream that goes on differently from one place on. */
function replaced(place: (sketch: VmdkSketch) => number, parts: readonly Buffer[]): () => Buffer {
  return () => {
    const { bytes, ...sketch } = sketchVmdk({ kind: 'front' })
    const padded = parts.map((part) => Buffer.concat([part], Math.ceil(part.length / sector) * sector))
    return Buffer.concat([bytes.subarray(0, place({ bytes, ...sketch })), ...padded])
  }
}

/** Lies in the markers and the footers of streams. */
export const hostileVmdkStreams: readonly HostileImage[] = [
  ...(['front', 'stream'] as const).flatMap((kind) => [
    refused(
      `a stream, ${kind}, whose marker is of another grain`,
      'IMAGE_COPIES_DIFFER',
      firstMarker(kind, (bytes, place) => bytes.writeBigUInt64LE(8n, place)),
    ),
    refused(
      `a stream, ${kind}, whose marker is of a grain beyond the disk`,
      'IMAGE_COPIES_DIFFER',
      firstMarker(kind, (bytes, place) => bytes.writeBigUInt64LE(2n ** 63n, place)),
    ),
    refused(
      `bomb: a stream, ${kind}, with a grain of 4 GiB`,
      'IMAGE_ENTRY_INVALID',
      firstMarker(kind, (bytes, place) => bytes.writeUInt32LE(0xffff_ffff, place + 8)),
    ),
    refused(
      `a stream, ${kind}, with a grain of more than twice its size`,
      'IMAGE_ENTRY_INVALID',
      firstMarker(kind, (bytes, place) => bytes.writeUInt32LE(2 * grainBytes + 1, place + 8)),
    ),
    refused(
      `a stream, ${kind}, with a grain of twice its size, which hides the next one`,
      'IMAGE_TRUNCATED',
      firstMarker(kind, (bytes, place) => bytes.writeUInt32LE(2 * grainBytes, place + 8)),
    ),
    refused(
      `a stream, ${kind}, with a grain of one sector too many`,
      'IMAGE_COPIES_DIFFER',
      firstMarker(kind, (bytes, place) => bytes.writeUInt32LE(600, place + 8)),
    ),
    refused(
      `a stream, ${kind}, with a grain of no size`,
      'IMAGE_COPIES_DIFFER',
      firstMarker(kind, (bytes, place) => bytes.writeUInt32LE(0, place + 8)),
    ),
    refused(
      `a stream, ${kind}, that hides a grain from its tables`,
      'IMAGE_COPIES_DIFFER',
      entry(kind, 2, () => 0),
    ),
    refused(
      `a stream, ${kind}, that has a grain only in its tables`,
      'IMAGE_COPIES_DIFFER',
      entry(kind, 1, (sketch) => at(secondGrain(sketch))),
    ),
    refused(
      `a stream, ${kind}, with its grains in the wrong order`,
      'IMAGE_COPIES_DIFFER',
      spoiltVmdk({ kind }, (sketch) => {
        const [first = 0, , last = 0] = sketch.places.grains
        setEntry(sketch, sketch.places.table, 0, at(last))
        setEntry(sketch, sketch.places.table, 2, at(first))
      }),
    ),
    refused(
      `bomb: a stream, ${kind}, that uses a grain twice`,
      'IMAGE_COPIES_DIFFER',
      entry(kind, 0, (sketch) => at(secondGrain(sketch))),
    ),
  ]),
  refused(
    'a stream with a grain table only in its directory',
    'IMAGE_COPIES_DIFFER',
    spoiltVmdk({ kind: 'stream' }, ({ bytes, places }) => {
      bytes.writeUInt32LE(4, places.tableMarker + 12)
    }),
  ),
  ...[0n, 3n, 5n, 2n ** 40n].map((length) =>
    refused(
      `a stream with a grain table of ${length} sectors`,
      'IMAGE_COPIES_DIFFER',
      spoiltVmdk({ kind: 'stream' }, ({ bytes, places }) => {
        bytes.writeBigUInt64LE(length, places.tableMarker)
      }),
    ),
  ),
  ...[0n, 2n, 2n ** 63n].map((length) =>
    refused(
      `a stream with a grain directory of ${length} sectors`,
      'IMAGE_COPIES_DIFFER',
      spoiltVmdk({ kind: 'stream' }, ({ bytes, places }) => {
        bytes.writeBigUInt64LE(length, places.directoryMarker)
      }),
    ),
  ),
  refused(
    'a stream whose grain directory has no marker',
    'IMAGE_COPIES_DIFFER',
    spoiltVmdk({ kind: 'stream' }, ({ bytes, places }) => {
      bytes.writeUInt32LE(5, places.directoryMarker + 12)
    }),
  ),
  accepted(
    'a stream with a progress marker',
    replaced(({ places }) => places.end, [marker(4, 0), marker(0, 0)]),
  ),
  accepted(
    'a stream with its tables in front and no end',
    replaced(({ places }) => places.end, []),
  ),
  accepted(
    'a stream with its tables in front and padding',
    replaced(({ places }) => places.end, [Buffer.alloc(65_536)]),
  ),
  refused(
    'a stream with something behind its end',
    'IMAGE_COPIES_DIFFER',
    replaced(({ places }) => places.end, [marker(0, 0), letters('C')]),
  ),
  refused(
    'a stream with a grain behind its last',
    'IMAGE_COPIES_DIFFER',
    replaced(({ places }) => places.end, [compressedGrain(8, deflateSync(letters('C'))), marker(0, 0)]),
  ),
  refused(
    'a stream with a marker of an unknown kind',
    'IMAGE_COPIES_DIFFER',
    replaced(({ places }) => places.end, [marker(5, 0), marker(0, 0)]),
  ),

  ...(
    [
      [
        'footerMarker',
        0,
        'of two sectors',
        'IMAGE_TRUNCATED',
        (bytes: Buffer, place: number) => bytes.writeUInt8(2, place),
      ],
      [
        'footerMarker',
        8,
        'of a grain',
        'IMAGE_TRUNCATED',
        (bytes: Buffer, place: number) => bytes.writeUInt8(1, place),
      ],
      [
        'footerMarker',
        12,
        'of a table',
        'IMAGE_TRUNCATED',
        (bytes: Buffer, place: number) => bytes.writeUInt8(1, place),
      ],
      [
        'footerMarker',
        16,
        'with something in its padding',
        'IMAGE_TRUNCATED',
        (bytes: Buffer, place: number) => bytes.writeUInt8(1, place),
      ],
      [
        'footer',
        0,
        'without its signature',
        'IMAGE_TRUNCATED',
        (bytes: Buffer, place: number) => bytes.writeUInt8(1, place),
      ],
      [
        'footer',
        4,
        'of another version',
        'IMAGE_COPIES_DIFFER',
        (bytes: Buffer, place: number) => bytes.writeUInt8(2, place),
      ],
      [
        'footer',
        8,
        'with other flags',
        'IMAGE_COPIES_DIFFER',
        (bytes: Buffer, place: number) => bytes.writeUInt8(3, place),
      ],
      [
        'footer',
        12,
        'with another capacity',
        'IMAGE_COPIES_DIFFER',
        (bytes: Buffer, place: number) => bytes.writeUInt8(32, place),
      ],
      [
        'footer',
        20,
        'with other grains',
        'IMAGE_COPIES_DIFFER',
        (bytes: Buffer, place: number) => bytes.writeUInt8(16, place),
      ],
      [
        'footer',
        28,
        'without a descriptor',
        'IMAGE_COPIES_DIFFER',
        (bytes: Buffer, place: number) => bytes.writeUInt8(0, place),
      ],
      [
        'footer',
        36,
        'with another descriptor',
        'IMAGE_COPIES_DIFFER',
        (bytes: Buffer, place: number) => bytes.writeUInt8(1, place),
      ],
      [
        'footer',
        56,
        'that names another footer',
        'IMAGE_HEADER_INVALID',
        (bytes: Buffer, place: number) => bytes.fill(0xff, place, place + 8),
      ],
      [
        'end',
        0,
        'and something in the end',
        'IMAGE_TRUNCATED',
        (bytes: Buffer, place: number) => bytes.writeUInt8(1, place),
      ],
      [
        'end',
        511,
        'and something at the end of the end',
        'IMAGE_TRUNCATED',
        (bytes: Buffer, place: number) => bytes.writeUInt8(1, place),
      ],
    ] as const
  ).map(([place, offset, name, code, change]) =>
    refused(
      `a stream with a footer ${name}`,
      code,
      spoiltVmdk({ kind: 'stream' }, ({ bytes, places }) => {
        change(bytes, places[place] + offset)
      }),
    ),
  ),
  ...[1, 511, 512, 1536].map((length) =>
    refused(`a stream with ${length} bytes behind its footer`, 'IMAGE_TRUNCATED', () =>
      Buffer.concat([sketchVmdk({ kind: 'stream' }).bytes, Buffer.alloc(length)]),
    ),
  ),
]

import type { HeaderFieldName } from '../../src/disk/vmdk/vmdk-layout.ts'
import { accepted, type HostileImage, refused } from './hostile-image.ts'
import {
  describeVmdk,
  setHeader,
  sketchVmdk,
  type VmdkKind,
  type VmdkSketch,
  type VmdkSketchOptions,
} from './vmdk-sketch.ts'

type Code = Parameters<typeof refused>[1]

/** A valid image, changed in one way. */
export function spoiltVmdk(options: VmdkSketchOptions, change: (sketch: VmdkSketch) => void): () => Buffer {
  return () => {
    const sketch = sketchVmdk(options)
    change(sketch)
    return sketch.bytes
  }
}

const all64 = 2n ** 64n - 1n

type Lie = readonly [kind: VmdkKind, field: HeaderFieldName, value: number | bigint, code: Code]

/** One field of the header, and of the footer where there is one, with a value that it must not have. */
const lies: readonly Lie[] = [
  ['sparse', 'version', 0, 'IMAGE_UNKNOWN_FEATURE'],
  ['sparse', 'version', 4, 'IMAGE_UNKNOWN_FEATURE'],
  ['sparse', 'version', 0xffff_ffff, 'IMAGE_UNKNOWN_FEATURE'],
  // Compressed without markers, markers without compression, and every bit that a reader must know.
  ['sparse', 'flags', 0x1_0003, 'IMAGE_UNKNOWN_FEATURE'],
  ['sparse', 'flags', 0x2_0003, 'IMAGE_UNKNOWN_FEATURE'],
  ...Array.from(
    { length: 14 },
    (_, bit): Lie => ['sparse', 'flags', 2 ** (18 + bit) + 3, 'IMAGE_UNKNOWN_FEATURE'],
  ),
  ['sparse', 'flags', 0x3_0003, 'IMAGE_HEADER_INVALID'],
  ['stream', 'flags', 1, 'IMAGE_HEADER_INVALID'],
  ['sparse', 'compressAlgorithm', 1, 'IMAGE_HEADER_INVALID'],
  ['stream', 'compressAlgorithm', 0, 'IMAGE_HEADER_INVALID'],
  ['stream', 'compressAlgorithm', 2, 'IMAGE_HEADER_INVALID'],
  // A transfer in text mode.
  ['sparse', 'newlineTest', 0x0d0a_200a, 'IMAGE_HEADER_INVALID'],
  ['sparse', 'capacity', 0, 'IMAGE_HEADER_INVALID'],
  ['sparse', 'capacity', 23, 'IMAGE_SIZE_AMBIGUOUS'],
  ['sparse', 'capacity', 25, 'IMAGE_SIZE_AMBIGUOUS'],
  ['stream', 'capacity', 25, 'IMAGE_SIZE_AMBIGUOUS'],
  ['sparse', 'capacity', 2 ** 35 + 1, 'IMAGE_SIZE_LIMIT'],
  ['sparse', 'capacity', 2n ** 54n, 'IMAGE_HEADER_INVALID'],
  ['sparse', 'capacity', all64, 'IMAGE_HEADER_INVALID'],
  ...[0, 1, 4, 7, 9, 24, 8192, 2n ** 32n, all64].map(
    (value): Lie => ['sparse', 'grainSize', value, 'IMAGE_HEADER_INVALID'],
  ),
  ...[0, 1, 511, 513, 0xffff_ffff].map(
    (value): Lie => ['sparse', 'numGTEsPerGT', value, 'IMAGE_HEADER_INVALID'],
  ),
  ['sparse', 'descriptorOffset', 0, 'IMAGE_HEADER_INVALID'],
  ['sparse', 'descriptorOffset', 2, 'IMAGE_HEADER_INVALID'],
  ['sparse', 'descriptorOffset', all64, 'IMAGE_HEADER_INVALID'],
  ['sparse', 'descriptorSize', 0, 'IMAGE_HEADER_INVALID'],
  ['sparse', 'descriptorSize', 2047, 'IMAGE_TRUNCATED'],
  ['sparse', 'descriptorSize', 2048, 'IMAGE_HEADER_INVALID'],
  ['sparse', 'descriptorSize', 3, 'IMAGE_OVERLAP'],
  ['sparse', 'gdOffset', 0, 'IMAGE_OFFSET_OUT_OF_FILE'],
  ['sparse', 'gdOffset', 1, 'IMAGE_OFFSET_OUT_OF_FILE'],
  ['sparse', 'gdOffset', 3, 'IMAGE_OVERLAP'],
  ['sparse', 'gdOffset', 1_000_000, 'IMAGE_OFFSET_OUT_OF_FILE'],
  ['sparse', 'gdOffset', 2n ** 63n, 'IMAGE_HEADER_INVALID'],
  ['sparse', 'gdOffset', all64, 'IMAGE_HEADER_INVALID'],
  ['sparse', 'rgdOffset', 2, 'IMAGE_OVERLAP'],
  ['sparse', 'rgdOffset', 1_000_000, 'IMAGE_OFFSET_OUT_OF_FILE'],
  ['sparse', 'rgdOffset', all64, 'IMAGE_HEADER_INVALID'],
  ['front', 'overHead', 0, 'IMAGE_OVERLAP'],
  ['front', 'overHead', 1_000_000, 'IMAGE_OVERLAP'],
  ['front', 'overHead', all64, 'IMAGE_HEADER_INVALID'],
  ['front', 'overHead', 9, 'IMAGE_COPIES_DIFFER'],
  ['stream', 'overHead', 2, 'IMAGE_OVERLAP'],
  ['stream', 'overHead', 4, 'IMAGE_COPIES_DIFFER'],
  ['front', 'gdOffset', all64, 'IMAGE_TRUNCATED'],
  ['stream', 'gdOffset', 3, 'IMAGE_OVERLAP'],
]

/** Lies in headers of sparse extents, and the values next to them that are allowed. */
export const hostileVmdkHeaders: readonly HostileImage[] = [
  ...(['sparse', 'stream', 'front'] as const).map((kind) =>
    accepted(`a valid VMDK, ${kind}`, () => sketchVmdk({ kind }).bytes),
  ),
  ...[1, 2, 3].flatMap((version) =>
    (['sparse', 'stream', 'front'] as const).map((kind) =>
      accepted(`a valid VMDK of version ${version}, ${kind}`, () => sketchVmdk({ kind, version }).bytes),
    ),
  ),
  ...lies.map(([kind, field, value, code]) =>
    refused(
      `a VMDK, ${kind}, with the ${field} ${value}`,
      code,
      spoiltVmdk({ kind }, (sketch) => {
        setHeader(sketch, field, value)
        if (kind === 'stream') setHeader(sketch, field, value, sketch.places.footer)
      }),
    ),
  ),
  ...Array.from({ length: 13 }, (_, bit) => bit + 3).map((bit) =>
    accepted(
      `a VMDK with the flag ${bit}, which may be ignored`,
      spoiltVmdk({}, (sketch) => setHeader(sketch, 'flags', 3 + 2 ** bit)),
    ),
  ),
  accepted(
    'a VMDK without the test of newlines',
    spoiltVmdk({}, (sketch) => {
      setHeader(sketch, 'flags', 2)
      setHeader(sketch, 'newlineTest', 0)
    }),
  ),
  accepted(
    'a VMDK without its second tables',
    spoiltVmdk({}, (sketch) => {
      setHeader(sketch, 'flags', 1)
      setHeader(sketch, 'rgdOffset', 2 ** 30)
    }),
  ),
  accepted(
    'a VMDK that was not closed',
    spoiltVmdk({}, (sketch) => setHeader(sketch, 'uncleanShutdown', 1)),
    { code: 'IMAGE_MARKED_DIRTY' },
  ),
  accepted('a VMDK that ends inside a grain of the disk', () => sketchVmdk({ sectors: 17 }).bytes),
  refused(
    'a VMDK as large as the limit, whose grain directory leaves the file',
    'IMAGE_OFFSET_OUT_OF_FILE',
    () => {
      const sketch = sketchVmdk({ descriptor: describeVmdk({ sectors: 2 ** 35 }) })
      setHeader(sketch, 'capacity', 2 ** 35)
      return sketch.bytes
    },
  ),
  ...[4, 72, 511].map((length) =>
    refused(`a VMDK cut off after ${length} bytes, in the header`, 'IMAGE_TRUNCATED', () =>
      sketchVmdk().bytes.subarray(0, length),
    ),
  ),
]

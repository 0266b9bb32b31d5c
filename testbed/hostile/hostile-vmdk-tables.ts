import { accepted, type HostileImage, refused } from './hostile-image.ts'
import { spoiltVmdk } from './hostile-vmdk-headers.ts'
import { at, entry, secondGrain, setEntry } from './vmdk-entries.ts'
import { letters, setHeader } from './vmdk-sketch.ts'

/** Lies in grain directories and grain tables. */
export const hostileVmdkTables: readonly HostileImage[] = [
  accepted(
    'a VMDK with a grain of zeros by its entry',
    spoiltVmdk({}, (sketch) => {
      setHeader(sketch, 'flags', 7)
      setEntry(sketch, sketch.places.table, 1, 1)
    }),
  ),
  accepted(
    'a VMDK without a grain table',
    spoiltVmdk({}, (sketch) => setEntry(sketch, sketch.places.directory, 0, 0)),
  ),
  accepted(
    'a VMDK with grains in the wrong order',
    spoiltVmdk({}, (sketch) => {
      const [first = 0, , last = 0] = sketch.places.grains
      setEntry(sketch, sketch.places.table, 0, at(last))
      setEntry(sketch, sketch.places.table, 2, at(first))
    }),
  ),
  accepted(
    'a VMDK with entries beyond the end of the disk',
    entry('sparse', 3, () => 0xffff_ffff),
  ),
  ...(['sparse', 'front', 'stream'] as const).flatMap((kind) => [
    refused(
      `a VMDK, ${kind}, whose grain table is outside the file`,
      'IMAGE_OFFSET_OUT_OF_FILE',
      spoiltVmdk({ kind }, (sketch) => setEntry(sketch, sketch.places.directory, 0, 0xffff_ffff)),
    ),
    refused(
      `a VMDK, ${kind}, whose grain table leaves the file`,
      'IMAGE_OFFSET_OUT_OF_FILE',
      spoiltVmdk({ kind }, (sketch) =>
        setEntry(sketch, sketch.places.directory, 0, at(sketch.bytes.length) - 3),
      ),
    ),
    refused(
      `a VMDK, ${kind}, whose grain directory is its own grain table`,
      'IMAGE_OVERLAP',
      spoiltVmdk({ kind }, (sketch) =>
        setEntry(sketch, sketch.places.directory, 0, at(sketch.places.directory)),
      ),
    ),
    refused(
      `a VMDK, ${kind}, whose header is a grain table`,
      'IMAGE_OVERLAP',
      spoiltVmdk({ kind }, (sketch) => setEntry(sketch, sketch.places.directory, 0, 2)),
    ),
  ]),
  refused(
    'a VMDK whose second grain directory points outside the file',
    'IMAGE_OFFSET_OUT_OF_FILE',
    spoiltVmdk({}, (sketch) => setEntry(sketch, sketch.places.redundantDirectory, 0, 0xffff_ffff)),
  ),
  refused(
    'a VMDK whose two directories share a grain table',
    'IMAGE_OVERLAP',
    spoiltVmdk({}, (sketch) =>
      setEntry(sketch, sketch.places.redundantDirectory, 0, at(sketch.places.table)),
    ),
  ),
  refused(
    'a VMDK that uses a grain table twice',
    'IMAGE_OVERLAP',
    spoiltVmdk({ sectors: 5000 }, (sketch) =>
      setEntry(sketch, sketch.places.directory, 1, at(sketch.places.table)),
    ),
  ),
  refused(
    'a VMDK with a grain outside the file',
    'IMAGE_OFFSET_OUT_OF_FILE',
    entry('sparse', 0, () => 0xffff_ffff),
  ),
  refused(
    'a VMDK with a grain at the end of the file',
    'IMAGE_OFFSET_OUT_OF_FILE',
    entry('sparse', 0, ({ bytes }) => at(bytes.length)),
  ),
  refused(
    'a VMDK with a grain that leaves the file',
    'IMAGE_TRUNCATED',
    entry('sparse', 0, ({ bytes }) => at(bytes.length) - 7),
  ),
  refused(
    'a VMDK that uses a grain twice',
    'IMAGE_OVERLAP',
    entry('sparse', 0, (sketch) => at(secondGrain(sketch))),
  ),
  ...[-7, -1, 1, 7].map((shift) =>
    refused(
      `a VMDK with a grain ${shift} sectors beside another one`,
      'IMAGE_OVERLAP',
      spoiltVmdk({ grains: [letters('A'), letters('B'), letters('C'), letters('D')] }, (sketch) =>
        setEntry(sketch, sketch.places.table, 0, at(sketch.places.grains[2] ?? 0) + shift),
      ),
    ),
  ),
  ...[1, 2, 3, 5, 8, 9, 12].map((place) =>
    refused(
      `a VMDK with a grain in sector ${place}, among its tables`,
      'IMAGE_OVERLAP',
      entry('sparse', 0, () => place),
    ),
  ),
]

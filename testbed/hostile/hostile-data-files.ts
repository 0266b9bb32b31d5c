import { accepted, type HostileImage, refused } from './hostile-image.ts'
import { validWithDataFile } from './qcow2-extras.ts'
import { compressedEntry, type Qcow2Sketch, setEntry, setField } from './qcow2-sketch.ts'

const copied = 1n << 63n
const readsAsZeros = 1n

/** A valid image with an external data file, changed in one way. */
function spoilt(change: (sketch: Qcow2Sketch) => void): () => Buffer {
  return () => {
    const sketch = validWithDataFile('disk.raw')
    change(sketch)
    return sketch.bytes
  }
}

/** Changes the entry of the second cluster, at byte 4096 of the disk. */
function secondEntry(value: bigint): () => Buffer {
  return spoilt((sketch) => setEntry(sketch, sketch.places.l2 + 8, value))
}

const valid = () => validWithDataFile('disk.raw').bytes
const allowed = { allowOtherFiles: true } as const

/** Lies about external data files, told to someone who allows them. */
export const hostileDataFiles: readonly HostileImage[] = [
  refused('CVE-2024-32498: a valid image with a data file, not allowed', 'IMAGE_DATA_FILE', valid),
  accepted('a valid image with a data file', valid, {
    ...allowed,
    code: 'IMAGE_DATA_FILE',
    qemuImgCheck: 'clean',
  }),
  accepted(
    'a data file that is a raw disk by itself',
    spoilt((sketch) => setField(sketch, 'autoclear_features', 2)),
    { ...allowed, code: 'IMAGE_DATA_FILE', qemuImgCheck: 'clean' },
  ),
  accepted('a cluster of zeros in a data file', secondEntry(copied | 4096n | readsAsZeros), {
    ...allowed,
    code: 'IMAGE_DATA_FILE',
    qemuImgCheck: 'clean',
  }),
  accepted('a cluster of zeros in no place, marked as used once', secondEntry(copied | readsAsZeros), {
    ...allowed,
    code: 'IMAGE_DATA_FILE',
    qemuImgCheck: 'clean',
  }),
  refused(
    'a data file without a name',
    'IMAGE_DATA_FILE',
    spoilt((sketch) => sketch.bytes.fill(0, 112, 128)),
    allowed,
  ),
  refused(
    'the name of a data file without its feature bit',
    'IMAGE_DATA_FILE',
    spoilt((sketch) => setField(sketch, 'incompatible_features', 0)),
    allowed,
  ),
  ...['json:{"driver":"file"}', 'nbd:127.0.0.1:10809'].map((name) =>
    refused(`${name} as data file`, 'IMAGE_UNSAFE_NAME', () => validWithDataFile(name).bytes, allowed),
  ),
  refused(
    'a raw data file and a backing file',
    'IMAGE_HEADER_INVALID',
    spoilt((sketch) => {
      setField(sketch, 'autoclear_features', 2)
      setField(sketch, 'backing_file_offset', 512)
      setField(sketch, 'backing_file_size', 8)
      sketch.bytes.write('base.raw', 512, 'latin1')
    }),
    allowed,
  ),
  refused(
    'a raw data file in an image without a data file',
    'IMAGE_HEADER_INVALID',
    spoilt((sketch) => {
      setField(sketch, 'incompatible_features', 0)
      setField(sketch, 'autoclear_features', 2)
    }),
    allowed,
  ),
  // Reading such a cluster makes QEMU mark the image as corrupt; its check passes over it.
  ...[0n, 8192n, 1n << 50n].map((host) =>
    refused(
      `byte 4096 of the disk at byte ${host} of the data file`,
      'IMAGE_ENTRY_INVALID',
      secondEntry(copied | host),
      allowed,
    ),
  ),
  refused(
    'a place in the data file that is not aligned',
    'IMAGE_ENTRY_INVALID',
    secondEntry(copied | 0x1200n),
    {
      ...allowed,
      qemuImgCheck: 'errors',
    },
  ),
  refused(
    'a compressed cluster in a data file',
    'IMAGE_ENTRY_INVALID',
    secondEntry(compressedEntry(12, 4096, 0)),
    {
      ...allowed,
      qemuImgCheck: 'errors',
    },
  ),
  refused(
    'a cluster of a data file that is not marked as used once',
    'IMAGE_REFCOUNT_WRONG',
    secondEntry(4096n),
    {
      ...allowed,
      qemuImgCheck: 'errors',
    },
  ),
  accepted(
    'a cluster of a data file that is not marked as used once, in an image not closed',
    spoilt((sketch) => {
      setEntry(sketch, sketch.places.l2 + 8, 4096n)
      setField(sketch, 'incompatible_features', 5)
    }),
    { ...allowed, code: 'IMAGE_REFCOUNT_WRONG' },
  ),
  refused(
    'an internal snapshot beside a data file',
    'IMAGE_ENTRY_INVALID',
    spoilt((sketch) => {
      setField(sketch, 'nb_snapshots', 1)
      setField(sketch, 'snapshots_offset', sketch.places.l2)
    }),
    allowed,
  ),
  refused(
    'an L2 table that lies in the data file',
    'IMAGE_OFFSET_OUT_OF_FILE',
    spoilt((sketch) => setEntry(sketch, sketch.places.l1, copied | BigInt(sketch.bytes.length))),
    allowed,
  ),
]

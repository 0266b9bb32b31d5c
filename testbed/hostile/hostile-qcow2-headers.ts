import { TiB } from '../../src/core/bytes.ts'
import { headerExtensions } from '../../src/disk/qcow2/qcow2-layout.ts'
import { accepted, type HostileImage, refused } from './hostile-image.ts'
import {
  type Qcow2Sketch,
  type SketchOptions,
  setEntry,
  setField,
  setRefcount,
  sketchQcow2,
} from './qcow2-sketch.ts'

/** A valid image, changed in one way. */
export function spoilt(change: (sketch: Qcow2Sketch) => void, options: SketchOptions = {}): () => Buffer {
  return () => {
    const sketch = sketchQcow2(options)
    change(sketch)
    return sketch.bytes
  }
}

function backing(name: string): () => Buffer {
  return spoilt((sketch) => {
    setField(sketch, 'backing_file_offset', 512)
    setField(sketch, 'backing_file_size', name.length)
    sketch.bytes.write(name, 512, 'latin1')
  })
}

function extension(type: number, length: number, data = Buffer.alloc(0)): (sketch: Qcow2Sketch) => void {
  return ({ bytes }) => {
    bytes.writeUInt32BE(type, 112)
    bytes.writeUInt32BE(length, 116)
    data.copy(bytes, 120)
  }
}

const unknownBits = Array.from({ length: 59 }, (_, index) => index + 5)

/** Lies in the header and its extensions. */
export const hostileQcow2Headers: readonly HostileImage[] = [
  refused('CVE-2011-3147: backing file of the host', 'IMAGE_BACKING_FILE', backing('/etc/shadow')),
  refused('CVE-2015-5163: backing file in an import', 'IMAGE_BACKING_FILE', backing('/etc/passwd'), {
    declared: 'qcow2',
  }),
  refused(
    'CVE-2024-4467: json: name as backing file',
    'IMAGE_BACKING_FILE',
    backing('json:{"driver":"file"}'),
  ),
  refused(
    'CVE-2024-4467: json: name as backing file, backing files allowed',
    'IMAGE_UNSAFE_NAME',
    backing('json:{"driver":"nbd"}'),
    { allowOtherFiles: true },
  ),
  refused(
    'nbd: name as backing file, backing files allowed',
    'IMAGE_UNSAFE_NAME',
    backing('nbd:127.0.0.1:10809'),
    {
      allowOtherFiles: true,
    },
  ),
  accepted('a backing file with a plain name, backing files allowed', backing('base.raw'), {
    allowOtherFiles: true,
    code: 'IMAGE_BACKING_FILE',
  }),
  refused(
    'CVE-2024-32498: external data file by its feature bit',
    'IMAGE_DATA_FILE',
    spoilt((sketch) => setField(sketch, 'incompatible_features', 4)),
  ),
  refused(
    'CVE-2024-32498: external data file by its header extension',
    'IMAGE_DATA_FILE',
    spoilt(extension(headerExtensions.externalDataFile, 11, Buffer.from('/etc/shadow'))),
  ),
  ...unknownBits.map((bit) =>
    refused(
      `incompatible feature bit ${bit}`,
      'IMAGE_UNKNOWN_FEATURE',
      spoilt((sketch) => setField(sketch, 'incompatible_features', 1n << BigInt(bit))),
    ),
  ),
  refused(
    'the mark of corruption',
    'IMAGE_MARKED_CORRUPT',
    spoilt((sketch) => setField(sketch, 'incompatible_features', 2)),
  ),
  accepted(
    'the mark of an image not closed',
    spoilt((sketch) => setField(sketch, 'incompatible_features', 1)),
    { code: 'IMAGE_MARKED_DIRTY' },
  ),
  accepted(
    'an image not closed, with old refcounts',
    spoilt((sketch) => {
      setField(sketch, 'incompatible_features', 1)
      setRefcount(sketch, sketch.places.data / sketch.clusterSize, 0)
    }),
    { code: 'IMAGE_REFCOUNT_WRONG' },
  ),
  accepted('extended L2', () => sketchQcow2({ extendedL2: true, clusterBits: 14 }).bytes, {
    code: 'IMAGE_FEATURE_UNPORTABLE',
    qemuImgCheck: 'clean',
  }),
  refused(
    'extended L2 with clusters too small for it',
    'IMAGE_HEADER_INVALID',
    spoilt((sketch) => setField(sketch, 'incompatible_features', 16)),
  ),
  ...[0, 1, 4, 0xffff_ffff].map((version) =>
    refused(
      `version ${version}`,
      version === 1 ? 'IMAGE_FORMAT_UNSUPPORTED' : 'IMAGE_UNKNOWN_FEATURE',
      spoilt((sketch) => setField(sketch, 'version', version)),
    ),
  ),
  ...[0, 8, 22, 31, 0xffff_ffff].map((bits) =>
    refused(
      `CVE-2014-0144: cluster_bits ${bits}`,
      'IMAGE_HEADER_INVALID',
      spoilt((sketch) => setField(sketch, 'cluster_bits', bits)),
    ),
  ),
  ...[9, 21].map((bits) =>
    accepted(`cluster_bits ${bits}`, () => sketchQcow2({ clusterBits: bits }).bytes, {
      qemuImgCheck: 'clean',
    }),
  ),
  accepted('version 2', () => sketchQcow2({ version: 2 }).bytes, { qemuImgCheck: 'clean' }),
  ...[0, 96, 103, 105, 4104, 0xffff_fff8].map((length) =>
    refused(
      `header_length ${length}`,
      'IMAGE_HEADER_INVALID',
      spoilt((sketch) => setField(sketch, 'header_length', length)),
    ),
  ),
  accepted(
    'header_length 104, without a compression type',
    spoilt((sketch) => setField(sketch, 'header_length', 104)),
    { qemuImgCheck: 'clean' },
  ),
  ...[7, 63, 0xffff_ffff].map((order) =>
    refused(
      `CVE-2014-0142: refcount_order ${order}`,
      'IMAGE_HEADER_INVALID',
      spoilt((sketch) => setField(sketch, 'refcount_order', order)),
    ),
  ),
  ...[1, 2, 3, 0xffff_ffff].map((method) =>
    refused(
      `crypt_method ${method}`,
      'IMAGE_ENCRYPTED',
      spoilt((sketch) => setField(sketch, 'crypt_method', method)),
    ),
  ),
  refused(
    'a LUKS header in an extension',
    'IMAGE_ENCRYPTED',
    spoilt(extension(headerExtensions.encryptionHeader, 16)),
  ),
  refused(
    'compression type without its feature bit',
    'IMAGE_HEADER_INVALID',
    spoilt((sketch) => setField(sketch, 'compression_type', 1)),
  ),
  refused(
    'an unknown compression type',
    'IMAGE_UNKNOWN_FEATURE',
    spoilt((sketch) => {
      setField(sketch, 'compression_type', 2)
      setField(sketch, 'incompatible_features', 8)
    }),
  ),
  ...[0xffff_ffff, 3977].map((length) =>
    refused(
      `CVE-2014-0143: a header extension of ${length} bytes`,
      'IMAGE_HEADER_INVALID',
      spoilt(extension(0x1234, length)),
    ),
  ),
  refused(
    'a backing file name of 1024 bytes',
    'IMAGE_HEADER_INVALID',
    spoilt((sketch) => {
      setField(sketch, 'backing_file_offset', 512)
      setField(sketch, 'backing_file_size', 1024)
    }),
  ),
  refused(
    'a backing file name outside the header',
    'IMAGE_HEADER_INVALID',
    spoilt((sketch) => {
      setField(sketch, 'backing_file_offset', 4090)
      setField(sketch, 'backing_file_size', 10)
    }),
  ),
  refused(
    'CVE-2013-2096: a disk of 64 PiB',
    'IMAGE_HEADER_INVALID',
    spoilt((sketch) => setField(sketch, 'size', 1n << 56n)),
  ),
  accepted(
    'a disk as large as the limit',
    () => sketchQcow2({ clusterBits: 16, size: 16 * TiB, l1Clusters: 4 }).bytes,
    {
      qemuImgCheck: 'clean',
    },
  ),
  refused('a disk larger than the limit by a sector', 'IMAGE_SIZE_LIMIT', () => {
    return sketchQcow2({ clusterBits: 16, size: 16 * TiB + 512, l1Clusters: 5 }).bytes
  }),
  refused(
    'CVE-2014-0223: an L1 table too small for the disk',
    'IMAGE_HEADER_INVALID',
    spoilt((sketch) => setField(sketch, 'size', 2 ** 21 + 1)),
  ),
  refused(
    'an L1 table larger than the limit by an entry',
    'IMAGE_TABLES_LIMIT',
    spoilt((sketch) => setField(sketch, 'l1_size', 2 ** 22 + 1)),
  ),
  refused(
    'an L1 table as large as the limit, outside the file',
    'IMAGE_OFFSET_OUT_OF_FILE',
    spoilt((sketch) => setField(sketch, 'l1_size', 2 ** 22)),
  ),
  refused(
    'CVE-2014-0222: an L1 table of 2^32 entries',
    'IMAGE_TABLES_LIMIT',
    spoilt((sketch) => setField(sketch, 'l1_size', 0xffff_ffff)),
  ),
  ...(['l1_table_offset', 'refcount_table_offset'] as const).flatMap((field) => [
    refused(
      `${field} beyond the end of the file`,
      'IMAGE_OFFSET_OUT_OF_FILE',
      spoilt((sketch) => setField(sketch, field, 2 ** 40)),
    ),
    refused(
      `${field} not at a cluster`,
      'IMAGE_HEADER_INVALID',
      spoilt((sketch) => setField(sketch, field, sketch.places.l1 + 8)),
    ),
    refused(
      `CVE-2014-0144: ${field} beyond 63 bits`,
      'IMAGE_HEADER_INVALID',
      spoilt((sketch) => setField(sketch, field, 0xffff_ffff_ffff_f000n)),
    ),
    refused(
      `${field} zero`,
      'IMAGE_HEADER_INVALID',
      spoilt((sketch) => setField(sketch, field, 0)),
    ),
  ]),
  refused(
    'no refcount table',
    'IMAGE_HEADER_INVALID',
    spoilt((sketch) => setField(sketch, 'refcount_table_clusters', 0)),
  ),
  ...[2049, 0xffff_ffff].map((clusters) =>
    refused(
      `CVE-2014-0144: a refcount table of ${clusters} clusters`,
      'IMAGE_OFFSET_OUT_OF_FILE',
      spoilt((sketch) => setField(sketch, 'refcount_table_clusters', clusters)),
    ),
  ),
  refused('a refcount table larger than the limit, in the file', 'IMAGE_TABLES_LIMIT', () => {
    const sketch = sketchQcow2({ spareClusters: 2049 })
    setField(sketch, 'refcount_table_offset', sketch.places.data)
    setField(sketch, 'refcount_table_clusters', 2049)
    return sketch.bytes
  }),
  accepted(
    'a feature bit that may be ignored',
    spoilt((sketch) => {
      setField(sketch, 'compatible_features', 1n << 40n)
      setField(sketch, 'autoclear_features', 1n << 40n)
    }),
    { qemuImgCheck: 'clean' },
  ),
  accepted(
    'bytes after the last cluster',
    () => Buffer.concat([sketchQcow2().bytes, Buffer.alloc(12_345, 'x')]),
    { qemuImgCheck: 'clean' },
  ),
  refused(
    '0xFF after the magic number',
    'IMAGE_UNKNOWN_FEATURE',
    () => {
      const image = Buffer.alloc(65_536, 0xff)
      image.write('QFI\xfb', 0, 'latin1')
      return image
    },
    { declared: 'qcow2' },
  ),
  refused('zeros after the magic number', 'IMAGE_UNKNOWN_FEATURE', () => {
    const image = Buffer.alloc(65_536)
    image.write('QFI\xfb', 0, 'latin1')
    return image
  }),
  accepted(
    'an L1 table that the refcounts do not know of, in an image not closed',
    spoilt((sketch) => {
      setField(sketch, 'incompatible_features', 1)
      setEntry(sketch, sketch.places.refcountTable, 0n)
    }),
    { code: 'IMAGE_REFCOUNT_WRONG' },
  ),
]

import { accepted, type HostileImage, refused } from './hostile-image.ts'
import { type DescribedVmdk, describeVmdk, sketchVmdk } from './vmdk-sketch.ts'

type Code = Parameters<typeof refused>[1]

/** A descriptor that is a file of its own. */
function text(options: DescribedVmdk, more: Buffer = Buffer.alloc(0)): () => Buffer {
  return () => Buffer.concat([Buffer.from(describeVmdk(options), 'latin1'), more])
}

/** A descriptor inside a valid disk. */
function embedded(options: DescribedVmdk): () => Buffer {
  return () => sketchVmdk({ descriptor: describeVmdk(options) }).bytes
}

const allowed = { allowOtherFiles: true } as const
const flat = (name: string, after = ' 0') => ({
  createType: 'monolithicFlat',
  extents: [`RW 24 FLAT "${name}"${after}`],
})
const sparse = (...names: string[]) => ({
  createType: 'twoGbMaxExtentSparse',
  extents: names.map((name) => `RW 24 SPARSE "${name}"`),
})

/** What any descriptor may be wrong in. */
const lies: readonly (readonly [name: string, code: Code, options: DescribedVmdk])[] = [
  ['of a difference to another disk', 'IMAGE_BACKING_FILE', { parentCid: '12345678' }],
  // QEMU follows the hint whatever parentCID says, and finds it in comments.
  ['with the hint of a parent', 'IMAGE_BACKING_FILE', { more: 'parentFileNameHint="/etc/shadow"\n' }],
  [
    'with the hint of a parent in a comment',
    'IMAGE_BACKING_FILE',
    { more: '# parentFileNameHint="base.vmdk"\n' },
  ],
  ['with a line of an unknown kind', 'IMAGE_HEADER_INVALID', { more: 'anything at all\n' }],
  ['with a word and a space before its value', 'IMAGE_HEADER_INVALID', { more: 'word = 1\n' }],
  ['with a byte that is not ASCII', 'IMAGE_HEADER_INVALID', { more: 'comment="\xe9"\n' }],
  ['with a control character', 'IMAGE_HEADER_INVALID', { more: '# \x1b[2J\n' }],
  ['with two types', 'IMAGE_HEADER_INVALID', { more: 'createType="monolithicSparse"\n' }],
  ['with a second type in a comment', 'IMAGE_HEADER_INVALID', { more: '# createType="vmfs"\n' }],
  ['with two CIDs', 'IMAGE_HEADER_INVALID', { more: 'cid=00000000\n' }],
  ['without an extent', 'IMAGE_HEADER_INVALID', { extents: [] }],
  ['with an extent of no size', 'IMAGE_HEADER_INVALID', { extents: ['RW 0 SPARSE "disk.vmdk"'] }],
  [
    'with an extent of 2^60 sectors',
    'IMAGE_HEADER_INVALID',
    { extents: [`RW ${2n ** 60n} SPARSE "disk.vmdk"`] },
  ],
  [
    'with an extent that must not be read',
    'IMAGE_FORMAT_UNSUPPORTED',
    { extents: ['NOACCESS 24 SPARSE "disk.vmdk"'] },
  ],
  ...[
    'vmfs',
    'vmfsSparse',
    'vmfsThin',
    'vmfsRaw',
    'vmfsRawDeviceMap',
    'fullDevice',
    'partitionedDevice',
    'seSparse',
    'custom',
  ].map((createType) => [`of the kind ${createType}`, 'IMAGE_FORMAT_UNSUPPORTED', { createType }] as const),
]

const unsafeNames = [
  '/etc/shadow',
  '../disk-flat.vmdk',
  'folder/disk.vmdk',
  '..',
  '.',
  'C:\\disk.vmdk',
  '\\\\host\\disk.vmdk',
]

/** Lies in descriptors, inside a disk and as a file of their own. */
export const hostileVmdkDescriptors: readonly HostileImage[] = [
  ...lies.map(([name, code, options]) => refused(`a VMDK ${name}`, code, embedded(options))),
  ...lies.map(([name, code, options]) =>
    refused(
      `a VMDK in other files, ${name}`,
      code,
      text({ createType: 'twoGbMaxExtentSparse', ...options }),
      // The extent of no size and its like are of a kind that a text may have.
      allowed,
    ),
  ),
  accepted(
    'a VMDK whose name in it is another',
    embedded({ extents: ['RW 24 SPARSE "call-me-stream.vmdk"'] }),
  ),
  accepted(
    'a VMDK that is read-only by its descriptor',
    embedded({ extents: ['RDONLY 24 SPARSE "disk.vmdk"'] }),
  ),
  accepted('a VMDK with lines that end as in Windows', () => {
    return sketchVmdk({ descriptor: describeVmdk().replaceAll('\n', '\r\n') }).bytes
  }),
  accepted(
    'a VMDK with other words in its descriptor',
    embedded({ more: 'encoding="UTF-8"\nisNativeSnapshot="no"\n' }),
  ),
  ...unsafeNames.map((name) =>
    refused(
      `a VMDK with the name ${name} in it`,
      'IMAGE_UNSAFE_NAME',
      embedded({ extents: [`RW 24 SPARSE "${name}"`] }),
    ),
  ),
  refused(
    'a VMDK of two extents',
    'IMAGE_TABLES_LIMIT',
    embedded({ extents: ['RW 12 SPARSE "a.vmdk"', 'RW 12 SPARSE "b.vmdk"'] }),
  ),
  refused(
    'a VMDK that is flat by its descriptor',
    'IMAGE_FORMAT_UNSUPPORTED',
    embedded(flat('disk-flat.vmdk')),
  ),
  refused(
    'a VMDK with a flat extent',
    'IMAGE_FORMAT_UNSUPPORTED',
    embedded({ extents: ['RW 24 FLAT "disk.vmdk" 0'] }),
  ),
  refused(
    'a VMDK with an extent of zeros',
    'IMAGE_FORMAT_UNSUPPORTED',
    embedded({ extents: ['RW 24 ZERO'] }),
  ),
  refused(
    'a VMDK with an extent without a name',
    'IMAGE_HEADER_INVALID',
    embedded({ extents: ['RW 24 SPARSE'] }),
  ),

  refused('a VMDK in another file, not allowed', 'IMAGE_DATA_FILE', text(flat('disk-flat.vmdk'))),
  refused('a VMDK in two other files, not allowed', 'IMAGE_DATA_FILE', text(sparse('a.vmdk', 'b.vmdk'))),
  accepted('a VMDK in another file', text(flat('disk-flat.vmdk')), { ...allowed, code: 'IMAGE_DATA_FILE' }),
  accepted('a VMDK in two other files', text(sparse('a.vmdk', 'b.vmdk')), {
    ...allowed,
    code: 'IMAGE_DATA_FILE',
  }),
  accepted(
    'a VMDK with an extent of zeros between two others',
    text({
      createType: 'twoGbMaxExtentFlat',
      extents: ['RW 8 FLAT "a.vmdk" 0', 'RW 8 ZERO', 'RW 8 FLAT "a.vmdk" 8'],
    }),
    { ...allowed, code: 'IMAGE_DATA_FILE' },
  ),
  accepted('a VMDK in another file, padded with zeros', text(flat('disk-flat.vmdk'), Buffer.alloc(512)), {
    ...allowed,
    code: 'IMAGE_DATA_FILE',
  }),
  ...unsafeNames.flatMap((name) => [
    refused(`CVE-2022-47951: a VMDK in the file ${name}, not allowed`, 'IMAGE_UNSAFE_NAME', text(flat(name))),
    refused(`CVE-2022-47951: a VMDK in the file ${name}`, 'IMAGE_UNSAFE_NAME', text(flat(name)), allowed),
    refused(
      `CVE-2022-47951: a VMDK in the sparse file ${name}`,
      'IMAGE_UNSAFE_NAME',
      text(sparse(name)),
      allowed,
    ),
  ]),
  ...['json:{"driver":"file"}', 'nbd:127.0.0.1:10809', 'http:host'].map((name) =>
    refused(
      `a VMDK in the file ${name.replaceAll('"', '')}`,
      name.includes('"') ? 'IMAGE_HEADER_INVALID' : 'IMAGE_UNSAFE_NAME',
      text(flat(name)),
      allowed,
    ),
  ),
  refused(
    'a VMDK on a device',
    'IMAGE_UNSAFE_NAME',
    text(flat('/dev/sda', ' 0 partitionUUID /dev/sda')),
    allowed,
  ),
  refused(
    'a VMDK of ESX in another file',
    'IMAGE_FORMAT_UNSUPPORTED',
    text({ createType: 'vmfs', extents: ['RW 24 VMFS "disk-flat.vmdk"'] }),
    allowed,
  ),
  refused(
    'a VMDK of ESX in another file that calls itself flat',
    'IMAGE_FORMAT_UNSUPPORTED',
    text({ createType: 'monolithicFlat', extents: ['RW 24 VMFS "disk-flat.vmdk"'] }),
    allowed,
  ),
  refused('a VMDK that calls itself sparse, in another file', 'IMAGE_FORMAT_UNSUPPORTED', text({}), allowed),
  refused(
    'a flat VMDK without a file',
    'IMAGE_HEADER_INVALID',
    text({ createType: 'monolithicFlat', extents: ['RW 24 FLAT'] }),
    allowed,
  ),
  refused(
    'a VMDK that uses a part of a file twice',
    'IMAGE_OVERLAP',
    text({
      createType: 'twoGbMaxExtentFlat',
      extents: ['RW 16 FLAT "a.vmdk" 0', 'RW 8 FLAT "a.vmdk" 15'],
    }),
    allowed,
  ),
  refused('a VMDK that uses a sparse file twice', 'IMAGE_OVERLAP', text(sparse('a.vmdk', 'a.vmdk')), allowed),
  accepted('a VMDK in 512 files', text(sparse(...names(512))), { ...allowed, code: 'IMAGE_DATA_FILE' }),
  refused('a VMDK in 513 files', 'IMAGE_TABLES_LIMIT', text(sparse(...names(513))), allowed),
  refused(
    'a VMDK in another file, larger than the limit',
    'IMAGE_SIZE_LIMIT',
    text({
      createType: 'monolithicFlat',
      extents: [`RW ${2 ** 35 + 1} FLAT "disk-flat.vmdk" 0`],
    }),
    allowed,
  ),
  refused(
    'a VMDK in another file, with something behind its descriptor',
    'IMAGE_HEADER_INVALID',
    text(flat('disk-flat.vmdk'), Buffer.from('\0\0KDMV')),
    allowed,
  ),
  refused(
    'a VMDK descriptor of 1 MiB',
    'IMAGE_HEADER_INVALID',
    text({ ...flat('disk-flat.vmdk'), more: `#${' '.repeat(2 ** 20)}\n` }),
    allowed,
  ),
  refused(
    'a raw disk that begins like a VMDK descriptor',
    'IMAGE_HEADER_INVALID',
    text(flat('disk-flat.vmdk'), Buffer.alloc(2 ** 20)),
    allowed,
  ),
]

function names(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `disk-s${index}.vmdk`)
}

import { accepted, type HostileImage, refused } from './hostile-image.ts'
import {
  type DescriptorSketch,
  diskName,
  oneDisk,
  oneFile,
  plainDisk,
  sketchArchive,
  sketchDescriptor,
  sketchManifest,
  sketchOva,
} from './ova-sketch.ts'
import { sketchQcow2 } from './qcow2-sketch.ts'

const mebibyte = 2 ** 20

/** An OVA whose descriptor is spoilt, and whose manifest fits it. */
function described(sketch: DescriptorSketch): () => Buffer {
  return () => sketchOva({ descriptor: sketchDescriptor(sketch) }).bytes
}

function fileNamed(href: string): () => Buffer {
  return described({ files: `<File ovf:href="${href}" ovf:id="file1"/>` })
}

function nested(depth: number): string {
  return `${'<Section>'.repeat(depth)}${'</Section>'.repeat(depth)}`
}

/** A descriptor filled up with blanks to so many bytes. */
function longDescriptor(length: number): Buffer {
  const descriptor = sketchDescriptor()
  return Buffer.concat([descriptor, Buffer.alloc(length - descriptor.length, ' ')])
}

const harmless: readonly HostileImage[] = [
  accepted('a valid OVA', () => sketchOva().bytes),
  accepted('an OVA without a manifest', () => sketchOva({ manifest: false }).bytes),
  accepted('an OVA whose descriptor has the largest size', () => {
    return sketchOva({ descriptor: longDescriptor(mebibyte), manifest: false }).bytes
  }),
  accepted('an OVA with a comment that mentions an entity', described({ prolog: '<!-- &x; <b> -->' })),
  accepted('an OVA whose descriptor has a byte order mark', () => {
    const descriptor = Buffer.concat([Buffer.from('\ufeff'), sketchDescriptor()])
    return sketchOva({ descriptor }).bytes
  }),
  accepted(
    'an OVA whose descriptor gives the file of its disk another size',
    described({ files: `<File ovf:href="${diskName}" ovf:id="file1" ovf:size="9"/>` }),
    { code: 'IMAGE_OVF_INVALID' },
  ),
  accepted(
    'an OVA whose manifest leaves the disk out',
    () => sketchOva({ manifest: sketchManifest([{ name: 'a.ovf', bytes: sketchDescriptor() }]) }).bytes,
    { code: 'IMAGE_MANIFEST_INVALID' },
  ),
  accepted('an OVA with 64 members', () => {
    const more = Array.from({ length: 61 }, (_, index) => ({ name: `m${index}`, bytes: Buffer.alloc(0) }))
    return sketchOva({ more }).bytes
  }),
]

const entities: readonly HostileImage[] = [
  refused(
    'an OVA whose entities expand to a billion laughs',
    'IMAGE_OVF_INVALID',
    described({
      prolog: `<!DOCTYPE a [<!ENTITY a0 "ha">${Array.from(
        { length: 30 },
        (_, index) => `<!ENTITY a${index + 1} "&a${index};&a${index};">`,
      ).join('')}]>`,
      inMachine: '&a30;',
    }),
  ),
  refused(
    'an OVA with an entity that is a file of the host',
    'IMAGE_OVF_INVALID',
    described({
      prolog: '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/shadow">]>',
      inMachine: '<Info>&x;</Info>',
    }),
  ),
  refused(
    'an OVA with a document type on another machine',
    'IMAGE_OVF_INVALID',
    described({ prolog: '<!DOCTYPE a SYSTEM "http://192.0.2.1/a.dtd">' }),
  ),
  refused('an OVA with an entity that nobody declared', 'IMAGE_OVF_INVALID', described({ inMachine: '&x;' })),
  refused(
    'an OVA whose descriptor nests a hundred deep',
    'IMAGE_OVF_INVALID',
    described({ inMachine: nested(100) }),
  ),
  refused(
    'an OVA whose descriptor nests thirty thousand deep',
    'IMAGE_OVF_INVALID',
    described({ inMachine: nested(30_000) }),
  ),
  refused(
    'an OVA whose descriptor has a hundred thousand elements',
    'IMAGE_OVF_INVALID',
    described({ inMachine: '<a/>'.repeat(100_000) }),
  ),
  refused('an OVA whose descriptor is one byte too long', 'IMAGE_ARCHIVE_LIMIT', () => {
    return sketchOva({ descriptor: longDescriptor(mebibyte + 1) }).bytes
  }),
  refused('an OVA whose descriptor has 64 MiB', 'IMAGE_ARCHIVE_LIMIT', () => {
    return sketchOva({ descriptor: longDescriptor(64 * mebibyte), manifest: false }).bytes
  }),
  refused('an OVA whose descriptor is not UTF-8', 'IMAGE_OVF_INVALID', () => {
    return sketchOva({ descriptor: Buffer.from(sketchDescriptor().toString(), 'utf16le') }).bytes
  }),
  refused('an OVA whose descriptor is cut off', 'IMAGE_OVF_INVALID', () => {
    return sketchOva({ descriptor: sketchDescriptor().subarray(0, 300) }).bytes
  }),
  refused('an OVA whose descriptor is empty', 'IMAGE_OVF_INVALID', () => {
    return sketchOva({ descriptor: Buffer.alloc(0) }).bytes
  }),
  refused(
    'an OVA that names the file of its disk twice, in two namespaces',
    'IMAGE_OVF_INVALID',
    described({ files: `<File ovf:href="${diskName}" x:href="/etc/shadow" ovf:id="file1"/>` }),
  ),
]

const references: readonly HostileImage[] = [
  ...[
    '../../../etc/shadow',
    '/etc/shadow',
    'a/../../../etc/shadow',
    '%2e%2e/%2e%2e/etc/shadow',
    '..\\..\\boot.ini',
    'file:///etc/shadow',
    'http://192.0.2.1/disk.vmdk',
    'json:{&quot;driver&quot;:&quot;file&quot;}',
    'a//b',
    './',
  ].map((href) => refused(`an OVA whose disk is ${href}`, 'IMAGE_UNSAFE_NAME', fileNamed(href))),
  refused('an OVA whose disk is missing', 'IMAGE_FILE_MISSING', fileNamed('other.vmdk')),
  refused(
    'an OVA with a disk in a file that it does not name',
    'IMAGE_OVF_INVALID',
    described({ files: oneFile.replace('file1', 'file2') }),
  ),
  refused(
    'an OVA with thousands of files and disks',
    'IMAGE_OVF_INVALID',
    described({
      files: Array.from({ length: 5000 }, (_, index) => oneFile.replace('file1', `f${index}`)).join(''),
      disks: Array.from({ length: 5000 }, (_, index) => {
        return oneDisk.replace('file1', `f${index}`).replace('vmdisk1', `d${index}`)
      }).join(''),
    }),
  ),
  refused('an OVA without a disk', 'IMAGE_ARCHIVE_CONTENT', described({ disks: '' })),
  refused(
    'an OVA with a disk that begins empty',
    'IMAGE_ARCHIVE_CONTENT',
    described({ disks: '<Disk ovf:capacity="1" ovf:diskId="vmdisk1"/>' }),
  ),
  refused(
    'an OVA with two disks',
    'IMAGE_DISK_NOT_CHOSEN',
    described({ disks: `${oneDisk}${oneDisk.replace('vmdisk1', 'vmdisk2')}` }),
  ),
  refused(
    'an OVA with two disks of one id',
    'IMAGE_OVF_INVALID',
    described({ disks: `${oneDisk}${oneDisk}` }),
  ),
  refused(
    'an OVA whose disk is a snapshot of another',
    'IMAGE_BACKING_FILE',
    described({ disks: oneDisk.replace('/>', ' ovf:parentRef="vmdisk0"/>') }),
  ),
  refused(
    'an OVA whose disk is cut into pieces',
    'IMAGE_UNKNOWN_FEATURE',
    described({ files: oneFile.replace('/>', ' ovf:chunkSize="1000"/>') }),
  ),
  refused(
    'an OVA whose disk is compressed in a way of its own',
    'IMAGE_UNKNOWN_FEATURE',
    described({ files: oneFile.replace('/>', ' ovf:compression="lzma"/>') }),
  ),
]

const manifests: readonly HostileImage[] = [
  refused('an OVA with another descriptor than its manifest says', 'IMAGE_DIGEST_MISMATCH', () => {
    const manifest = sketchManifest([{ name: 'a.ovf', bytes: Buffer.from('another') }])
    return sketchOva({ manifest }).bytes
  }),
  refused('an OVA with another descriptor than its strongest digest says', 'IMAGE_DIGEST_MISMATCH', () => {
    const files = [{ name: 'a.ovf', bytes: sketchDescriptor() }]
    const manifest = `${sketchManifest(files, 'sha1')}SHA512(a.ovf)= ${'0'.repeat(128)}\n`
    return sketchOva({ manifest }).bytes
  }),
  refused('an OVA with a manifest of no known form', 'IMAGE_MANIFEST_INVALID', () => {
    return sketchOva({ manifest: 'MD5(a.ovf)= 0123456789abcdef0123456789abcdef\n' }).bytes
  }),
  refused(
    'an OVA with an empty manifest',
    'IMAGE_MANIFEST_INVALID',
    () => sketchOva({ manifest: '\n' }).bytes,
  ),
  refused('an OVA whose manifest gives its descriptor two digests', 'IMAGE_MANIFEST_INVALID', () => {
    const right = sketchManifest([{ name: 'a.ovf', bytes: sketchDescriptor() }])
    return sketchOva({ manifest: `${right}SHA256(a.ovf)= ${'0'.repeat(64)}\n` }).bytes
  }),
  refused('an OVA with a manifest of more than 5 MiB', 'IMAGE_ARCHIVE_LIMIT', () => {
    return sketchOva({ manifest: '\n'.repeat(5 * mebibyte + 1) }).bytes
  }),
]

const archives: readonly HostileImage[] = [
  refused('an OVA with 65 members', 'IMAGE_ARCHIVE_LIMIT', () => {
    const more = Array.from({ length: 62 }, (_, index) => ({ name: `m${index}`, bytes: Buffer.alloc(0) }))
    return sketchOva({ more }).bytes
  }),
  refused('an OVA with fifty thousand members', 'IMAGE_ARCHIVE_LIMIT', () => {
    const more = Array.from({ length: 50_000 }, (_, index) => ({ name: `m${index}`, bytes: Buffer.alloc(0) }))
    return sketchOva({ more }).bytes
  }),
  refused('an OVA with two files of the name of its disk', 'IMAGE_ARCHIVE_MEMBER', () => {
    return sketchOva({ more: [{ name: diskName, bytes: Buffer.alloc(512) }] }).bytes
  }),
  refused('an OVA with two files of one name but for capitals', 'IMAGE_ARCHIVE_MEMBER', () => {
    return sketchOva({ more: [{ name: 'A.OVF', bytes: sketchDescriptor() }] }).bytes
  }),
  refused('an OVA with a member outside of its folder', 'IMAGE_UNSAFE_NAME', () => {
    return sketchOva({ more: [{ name: '../../.ssh/authorized_keys', bytes: Buffer.alloc(1) }] }).bytes
  }),
  refused('an OVA whose disk is a symbolic link', 'IMAGE_ARCHIVE_MEMBER', () => {
    const link = { name: diskName, bytes: Buffer.alloc(0), type: '2' }
    return sketchArchive([{ name: 'a.ovf', bytes: sketchDescriptor() }, link]).bytes
  }),
  refused('an OVA whose disk is longer than the archive', 'IMAGE_TRUNCATED', () => {
    const disk = { name: diskName, bytes: plainDisk, size: 2 ** 32 }
    return sketchArchive([{ name: 'a.ovf', bytes: sketchDescriptor() }, disk]).bytes
  }),
]

const disks: readonly HostileImage[] = [
  refused('an OVA whose disk is declared a VMDK and is a qcow2 image', 'IMAGE_FORMAT_MISMATCH', () => {
    const format = 'http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized'
    const descriptor = sketchDescriptor({ disks: oneDisk.replace('http://example.org/unknown', format) })
    return sketchOva({ descriptor, disk: sketchQcow2().bytes }).bytes
  }),
  refused('CVE-2022-47951 in an OVA: its VMDK names a file of the host', 'IMAGE_UNSAFE_NAME', () => {
    const text =
      '# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType="monolithicFlat"\nRW 128 FLAT "/etc/shadow" 0\n'
    return sketchOva({ disk: Buffer.from(text) }).bytes
  }),
  refused(
    'CVE-2011-3147 in an OVA: its qcow2 image takes data from a file of the host',
    'IMAGE_BACKING_FILE',
    () => {
      const { bytes } = sketchQcow2()
      const name = '/etc/shadow'
      bytes.write(name, 512)
      bytes.writeBigUInt64BE(512n, 8)
      bytes.writeUInt32BE(name.length, 16)
      return sketchOva({ disk: bytes }).bytes
    },
  ),
  refused(
    'an OVA whose disk is an OVA',
    'IMAGE_NESTED_FORMAT',
    () => sketchOva({ disk: sketchOva().bytes }).bytes,
  ),
  refused('an OVA whose disk is a descriptor', 'IMAGE_NESTED_FORMAT', () => {
    return sketchOva({ disk: sketchDescriptor() }).bytes
  }),
  refused('an OVF descriptor whose files were not allowed', 'IMAGE_DATA_FILE', () => sketchDescriptor()),
]

/** Appliances: what XML, a manifest, names and archives can do to whoever reads them. */
export const hostileOvas: readonly HostileImage[] = [
  ...harmless,
  ...entities,
  ...references,
  ...manifests,
  ...archives,
  ...disks,
]

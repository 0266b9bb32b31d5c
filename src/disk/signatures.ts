/** Disk-image and other formats that are recognised by a signature, with their names for messages. */
export const recognisedFormats = {
  raw: 'a raw disk',
  qcow2: 'a qcow2 image',
  qcow: 'a QCOW version 1 image',
  qed: 'a QED image',
  vmdk: 'a VMDK image',
  vhd: 'a VHD image',
  vhdx: 'a VHDX image',
  vdi: 'a VDI image',
  parallels: 'a Parallels image',
  dmg: 'an Apple disk image',
  cloop: 'a cloop image',
  bochs: 'a Bochs image',
  luks: 'a LUKS container',
  iso: 'an ISO 9660 image',
  gzip: 'gzip data',
  xz: 'xz data',
  zstd: 'zstd data',
  bzip2: 'bzip2 data',
  tar: 'a tar archive',
  ovf: 'an OVF descriptor',
} as const

export type RecognisedFormat = keyof typeof recognisedFormats

export interface FormatMatch {
  readonly format: RecognisedFormat
  /** Where its signature stands, in bytes from the start of the file. */
  readonly offset: number
}

/** `from: 'end'` counts back from the end of the file. */
interface Signature {
  readonly format: RecognisedFormat
  readonly from: 'start' | 'end'
  readonly offset: number
  /** Each character stands for one byte. */
  readonly bytes: string
}

/** The formats QEMU and others would open when they are left to guess, so that no guess of theirs can surprise us. */
const signatures: readonly Signature[] = [
  { format: 'qcow2', from: 'start', offset: 0, bytes: 'QFI\xfb' },
  { format: 'qed', from: 'start', offset: 0, bytes: 'QED\0' },
  { format: 'vmdk', from: 'start', offset: 0, bytes: 'KDMV' },
  { format: 'vmdk', from: 'start', offset: 0, bytes: 'COWD' },
  { format: 'vhd', from: 'start', offset: 0, bytes: 'conectix' },
  { format: 'vhd', from: 'end', offset: 512, bytes: 'conectix' },
  // Virtual PC before 2004 wrote a footer of 511 bytes.
  { format: 'vhd', from: 'end', offset: 511, bytes: 'conectix' },
  { format: 'vhdx', from: 'start', offset: 0, bytes: 'vhdxfile' },
  { format: 'vdi', from: 'start', offset: 64, bytes: '\x7f\x10\xda\xbe' },
  { format: 'parallels', from: 'start', offset: 0, bytes: 'WithoutFreeSpace' },
  { format: 'parallels', from: 'start', offset: 0, bytes: 'WithouFreSpacExt' },
  { format: 'dmg', from: 'end', offset: 512, bytes: 'koly' },
  { format: 'cloop', from: 'start', offset: 0, bytes: '#!/bin/sh\n#V2.0 Format\n' },
  { format: 'bochs', from: 'start', offset: 0, bytes: 'Bochs Virtual HD Image' },
  { format: 'luks', from: 'start', offset: 0, bytes: 'LUKS\xba\xbe' },
  { format: 'iso', from: 'start', offset: 0x8001, bytes: 'CD001' },
  { format: 'iso', from: 'start', offset: 0x8801, bytes: 'CD001' },
  { format: 'iso', from: 'start', offset: 0x9001, bytes: 'CD001' },
  { format: 'gzip', from: 'start', offset: 0, bytes: '\x1f\x8b\x08' },
  { format: 'xz', from: 'start', offset: 0, bytes: '\xfd7zXZ\0' },
  { format: 'zstd', from: 'start', offset: 0, bytes: '\x28\xb5\x2f\xfd' },
  // A skippable frame, with which pzstd begins.
  { format: 'zstd', from: 'start', offset: 0, bytes: '\x50\x2a\x4d\x18' },
  { format: 'bzip2', from: 'start', offset: 0, bytes: 'BZh' },
  { format: 'tar', from: 'start', offset: 257, bytes: 'ustar' },
]

/** Every signature in the first and last bytes of a file of `size` bytes. */
export function findSignatures({ head, tail, size }: FileEnds): FormatMatch[] {
  const matches: FormatMatch[] = []
  for (const { format, from, offset, bytes } of signatures) {
    const [part, start] = from === 'start' ? [head, offset] : [tail, tail.length - offset]
    if (start < 0 || part.toString('latin1', start, start + bytes.length) !== bytes) continue
    matches.push({
      format: format === 'qcow2' && isQcowVersion1(head) ? 'qcow' : format,
      offset: from === 'start' ? offset : size - offset,
    })
  }
  if (isVmdkDescriptor(head)) matches.push({ format: 'vmdk', offset: 0 })
  if (isOvfDescriptor(head)) matches.push({ format: 'ovf', offset: 0 })
  return matches
}

/** What `findSignatures` looks at. */
export interface FileEnds {
  readonly head: Buffer
  readonly tail: Buffer
  readonly size: number
}

/**
 * Whether the format leaves the first sector to the disk: hybrid ISO images boot from disks too, and fixed VHD and
 * Apple images are raw disks with a trailer; and compressed data may have any bytes there. In any other container a
 * boot record makes a polyglot.
 */
export function mayHoldBootRecord({ format, offset }: FormatMatch): boolean {
  // A dynamic VHD begins with a copy of its footer.
  if (format === 'vhd') return offset > 0
  return ['iso', 'dmg', 'gzip', 'xz', 'zstd', 'bzip2'].includes(format)
}

function isQcowVersion1(head: Buffer): boolean {
  return head.length >= 8 && head.readUInt32BE(4) === 1
}

/**
 * The text form of VMDK, which can name any file of the host (CVE-2022-47951). QEMU takes for one whatever has
 * `version=1`, `2` or `3` as its first line that is neither a comment nor blank.
 */
function isVmdkDescriptor(head: Buffer): boolean {
  const text = head.toString('latin1')
  return /^# *Disk *DescriptorFile/i.test(text) || /^(?:(?:#[^\n]*| *\r?)\n)*version=[1-3]\r?\n/i.test(text)
}

/** XML whose root is an envelope, with or without a prefix; comments may come first. */
function isOvfDescriptor(head: Buffer): boolean {
  const text = head.toString('latin1', 0, 16 * 1024)
  return (
    /^(?:\xef\xbb\xbf)?\s*<(?:\?xml\s|!--|(?:\w+:)?Envelope\s)/.test(text) &&
    /<(?:\w+:)?Envelope\s/.test(text)
  )
}

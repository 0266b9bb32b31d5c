import { createHash } from 'node:crypto'

/** A member of an archive to be; `type` is the letter in its header. */
export interface SketchMember {
  readonly name: string
  readonly bytes: Buffer
  readonly type?: string
  /** Says another size than it has. */
  readonly size?: number
}

export interface DescriptorSketch {
  /** What stands between the tags of `References`. */
  readonly files?: string
  /** What stands between the tags of `DiskSection`. */
  readonly disks?: string
  /** Stands before the root. */
  readonly prolog?: string
  /** Stands in the machine. */
  readonly inMachine?: string
}

export interface OvaSketch {
  readonly bytes: Buffer
  /** Start and length of every header, and of what it announces. */
  readonly places: readonly (readonly [start: number, length: number])[]
}

export const diskName = 'a-disk1.vmdk'
export const oneFile = `<File ovf:href="${diskName}" ovf:id="file1"/>`
export const oneDisk =
  '<Disk ovf:capacity="65536" ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:format="http://example.org/unknown"/>'

/** A raw disk of zeros: nothing in an appliance says that it must be anything else. */
export const plainDisk = Buffer.alloc(65_536)

/** A small valid descriptor, made from the specification (DSP0243) and not by our own writer. */
export function sketchDescriptor(sketch: DescriptorSketch = {}): Buffer {
  const { files = oneFile, disks = oneDisk, prolog = '', inMachine = '' } = sketch
  return Buffer.from(`<?xml version="1.0"?>${prolog}
<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1">
  <References>${files}</References>
  <DiskSection><Info>Disks</Info>${disks}</DiskSection>
  <VirtualSystem ovf:id="a"><Info>A machine</Info><Name>a</Name>${inMachine}</VirtualSystem>
</Envelope>
`)
}

/** An archive with these members, headers as POSIX has them (ustar). */
export function sketchArchive(members: readonly SketchMember[]): OvaSketch {
  const parts: Buffer[] = []
  const places: [number, number][] = []
  let position = 0
  const put = (bytes: Buffer, isStructure = true): void => {
    if (isStructure) places.push([position, bytes.length])
    parts.push(bytes)
    position += bytes.length
  }
  for (const member of members) {
    put(sketchHeader(member))
    put(member.bytes)
    put(Buffer.alloc(-member.bytes.length & 511), false)
  }
  put(Buffer.alloc(1024))
  return { bytes: Buffer.concat(parts), places }
}

/** An OVA of a descriptor, a disk and, unless it is to have none, a manifest that is right. */
export function sketchOva({
  descriptor = sketchDescriptor(),
  disk = plainDisk,
  manifest = true,
  more = [],
}: {
  descriptor?: Buffer
  disk?: Buffer
  manifest?: boolean | string
  more?: readonly SketchMember[]
} = {}): OvaSketch {
  const files = [
    { name: 'a.ovf', bytes: descriptor },
    { name: diskName, bytes: disk },
  ]
  const text = typeof manifest === 'string' ? manifest : sketchManifest(files)
  return sketchArchive([...files, ...(manifest ? [{ name: 'a.mf', bytes: Buffer.from(text) }] : []), ...more])
}

export function sketchManifest(
  files: readonly SketchMember[],
  algorithm: 'sha1' | 'sha256' | 'sha512' = 'sha256',
): string {
  return files
    .map(({ name, bytes }) => {
      return `${algorithm.toUpperCase()}(${name})= ${createHash(algorithm).update(bytes).digest('hex')}\n`
    })
    .join('')
}

/** Makes the checksums of all headers that can be found right again. */
export function resealArchive(bytes: Buffer): void {
  for (let at = 0; at + 512 <= bytes.length; at += 512) {
    const header = bytes.subarray(at, at + 512)
    if (header.toString('latin1', 257, 262) === 'ustar') sealHeader(header)
  }
}

function sketchHeader({ name, bytes, type = '0', size = bytes.length }: SketchMember): Buffer {
  const header = Buffer.alloc(512)
  header.write(name, 0, 100, 'latin1')
  header.write(`0000644\0${'0000000\0'.repeat(2)}`, 100, 'latin1')
  header.write(`${size.toString(8).padStart(11, '0')}\0${'0'.repeat(11)}\0`, 124, 'latin1')
  header.write(type, 156, 'latin1')
  header.write('ustar\x0000', 257, 'latin1')
  sealHeader(header)
  return header
}

function sealHeader(header: Buffer): void {
  header.fill(' ', 148, 156)
  const sum = header.reduce((total, byte) => total + byte, 0)
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
}

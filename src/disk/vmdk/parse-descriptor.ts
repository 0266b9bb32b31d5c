import { DiskError } from '../errors.ts'
import { sectorSize } from './vmdk-layout.ts'

/** "The Descriptor File": what the text says, as it stands there: untrusted. */
export interface VmdkDescriptor {
  readonly createType: string
  /** Whether the disk is a difference to another one. */
  readonly hasParent: boolean
  readonly extents: readonly VmdkExtent[]
  /** Bytes of all extents. */
  readonly size: number
}

/** "Extent description": a part of the disk, in order. */
export interface VmdkExtent {
  readonly access: 'RW' | 'RDONLY' | 'NOACCESS'
  /** Bytes. */
  readonly size: number
  /** `FLAT`, `SPARSE`, `ZERO`, `VMFS` ... */
  readonly type: string
  /** Null where the type needs no file. */
  readonly fileName: string | null
  /** Byte in a flat file at which the part begins. */
  readonly offset: number
}

export interface DescriptorText {
  readonly text: Buffer
  /** The image, and where in it the text stands: for messages. */
  readonly name: string
  readonly start: number
}

/** `RW 4192256 SPARSE "disk-s001.vmdk"`, `RW 63 FLAT "disk-flat.vmdk" 0`, `RW 63 ZERO`; devices have more after it. */
const extentLine = /^(RW|RDONLY|NOACCESS) +(\d{1,16}) +([A-Z]+)(?: +"([^"]*)"(?: +(\d{1,16})(?: .*)?)?)?$/i
const headerLine = /^([a-z]\w*)=(.*)$/i

/**
 * Reads the text up to its first NUL. Every line must be a comment, a line of the disk data base, `word=value` or an extent:
 * the rules of OpenStack's inspector, so that no program sees a line here that another one does not.
 * @throws DiskError `IMAGE_HEADER_INVALID` with the byte at which the line begins
 */
export function parseDescriptor({ text, name, start }: DescriptorText): VmdkDescriptor {
  const end = text.indexOf(0)
  const used = text.toString('latin1', 0, end < 0 ? text.length : end)
  const foreign = used.search(/[^\t\n\r\x20-\x7e]/)
  if (foreign >= 0) throw invalid(name, start + foreign, 'has something else than ASCII text in it')
  const values = new Map<string, string>()
  const extents: VmdkExtent[] = []
  let position = start
  for (const raw of used.split('\n')) {
    const at = position
    position += raw.length + 1
    const line = raw.trim()
    if (line === '' || line.startsWith('#') || /^ddb/i.test(line)) continue
    const extent = extentLine.exec(line)
    const [, key, value = ''] = headerLine.exec(line) ?? []
    if (extent) extents.push(extentOf(extent, { name, at }))
    else if (key === undefined) throw invalid(name, at, 'has a line of an unknown kind')
    else if (values.has(key.toLowerCase())) throw invalid(name, at, `says twice what its ${key} is`)
    else values.set(key.toLowerCase(), unquoted(value))
  }
  const size = extents.reduce((sum, extent) => sum + extent.size, 0)
  if (!Number.isSafeInteger(size)) throw invalid(name, start, 'describes a disk that is too large')
  const createType = values.get('createtype')
  if (createType === undefined) throw invalid(name, start, 'does not say which type of disk it is')
  // QEMU takes the first place that it finds, in a comment too.
  if (used.match(/createType/gi)?.length !== 1)
    throw invalid(name, start, 'says twice what its createType is')
  if (extents.length === 0) throw invalid(name, start, 'has no extent')
  return {
    createType,
    hasParent:
      (values.get('parentcid') ?? noParent).toLowerCase() !== noParent ||
      // QEMU follows the hint wherever it finds the word, in a comment too, and whatever parentCID says.
      /parentFileNameHint/i.test(used),
    extents,
    size,
  }
}

/** `parentCID` of a disk that is complete by itself. */
const noParent = 'ffffffff'

function extentOf(match: RegExpExecArray, { name, at }: { name: string; at: number }): VmdkExtent {
  const [, access = '', sectors, type = '', fileName, offset] = match
  const size = Number(sectors) * sectorSize
  const start = Number(offset ?? 0) * sectorSize
  if (!Number.isSafeInteger(size) || !Number.isSafeInteger(start)) {
    throw invalid(name, at, 'has an extent that is too large')
  }
  if (size === 0) throw invalid(name, at, 'has an extent of no size')
  return {
    access: accessOf(access),
    size,
    type: type.toUpperCase(),
    fileName: fileName ?? null,
    offset: start,
  }
}

function accessOf(text: string): VmdkExtent['access'] {
  const access = text.toUpperCase()
  return access === 'RW' || access === 'RDONLY' ? access : 'NOACCESS'
}

function unquoted(value: string): string {
  return /^"(.*)"$/.exec(value)?.[1] ?? value
}

function invalid(name: string, offset: number, problem: string): DiskError {
  return new DiskError('IMAGE_HEADER_INVALID', `${name}: the VMDK descriptor ${problem}.`, {
    details: { offset },
  })
}

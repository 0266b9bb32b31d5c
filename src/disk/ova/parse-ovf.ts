import { DiskError } from '../errors.ts'
import { allocationUnit, wholeNumber } from './allocation-unit.ts'
import type { OvfDescriptor, OvfDisk, OvfFile } from './ovf-descriptor.ts'
import { parseMachine } from './parse-machine.ts'
import { parseXml } from './parse-xml.ts'
import { attributeOf, childOf, childrenOf, sectionsOf, type XmlElement } from './xml-element.ts'

/** Of files and of disks: more than an archive may have members. */
const maximumItems = 256

/**
 * Reads a descriptor of OVF 0.9, 1.x or 2.x (DSP0243), as every program writes it: the names of elements and attributes
 * count, their namespaces do not.
 * @throws DiskError `IMAGE_OVF_INVALID`
 */
export function parseOvf(bytes: Uint8Array): OvfDescriptor {
  const envelope = parseXml(bytes)
  if (envelope.name !== 'Envelope') throw invalid('is some other XML document')
  const files = childrenOf(childOf(envelope, 'References'), 'File').map(parseFile)
  const disks = sectionsOf(envelope, 'DiskSection').flatMap((section) => {
    return childrenOf(section, 'Disk').map(parseDisk)
  })
  for (const [what, items] of Object.entries({ files, disks })) {
    if (items.length > maximumItems) throw invalid(`has more than ${maximumItems} ${what}`)
    requireUnique(items, what)
  }
  const fileIds = new Set(files.map(({ id }) => id))
  if (disks.some(({ fileId }) => fileId !== null && !fileIds.has(fileId))) {
    throw invalid('has a disk in a file that it does not refer to')
  }
  return { files, disks, machines: systemsOf(envelope).map(parseMachine) }
}

function systemsOf(element: XmlElement): XmlElement[] {
  const collections = sectionsOf(element, 'VirtualSystemCollection')
  return [...sectionsOf(element, 'VirtualSystem'), ...collections.flatMap(systemsOf)]
}

function parseFile(element: XmlElement): OvfFile {
  const id = attributeOf(element, 'id')
  const href = attributeOf(element, 'href')
  if (id === null || href === null) throw invalid('refers to a file without an id or a name')
  return {
    id,
    href,
    size: wholeNumber(attributeOf(element, 'size')),
    compression: attributeOf(element, 'compression'),
    isChunked: attributeOf(element, 'chunkSize') !== null,
  }
}

function parseDisk(element: XmlElement): OvfDisk {
  const id = attributeOf(element, 'diskId')
  if (id === null) throw invalid('has a disk without an id')
  const unit = allocationUnit(attributeOf(element, 'capacityAllocationUnits') ?? 'byte')
  const capacity = wholeNumber(attributeOf(element, 'capacity'))
  const bytes = capacity === null || unit === null ? null : capacity * unit
  return {
    id,
    fileId: attributeOf(element, 'fileRef'),
    capacity: Number.isSafeInteger(bytes) ? bytes : null,
    format: declaredFormat(element),
    parentId: attributeOf(element, 'parentRef'),
  }
}

/** By the address of the format's specification. oVirt writes that of VMDK for everything, and the truth beside it. */
function declaredFormat(element: XmlElement): OvfDisk['format'] {
  const volumeFormat = attributeOf(element, 'volume-format')
  if (volumeFormat === 'COW') return 'qcow2'
  if (volumeFormat === 'RAW') return 'raw'
  const address = attributeOf(element, 'format')?.toLowerCase() ?? ''
  if (address.includes('vmdk')) return 'vmdk'
  if (address.includes('qcow')) return 'qcow2'
  return address.includes('vhd') ? 'vhd' : null
}

function requireUnique(items: readonly { id: string }[], what: string): void {
  if (new Set(items.map(({ id }) => id)).size < items.length) throw invalid(`has two ${what} with one id`)
}

function invalid(what: string): DiskError {
  return new DiskError('IMAGE_OVF_INVALID', `The OVF descriptor ${what}.`)
}

import { allocationUnit, wholeNumber } from './allocation-unit.ts'
import type { OvfMachine } from './ovf-descriptor.ts'
import { attributeOf, childOf, childrenOf, sectionsOf, textOf, type XmlElement } from './xml-element.ts'

/** CIM_ResourceAllocationSettingData.ResourceType. */
const resource = { processor: '3', memory: '4', ethernet: '10', disk: '17' } as const

const controllerTypes: Readonly<Record<string, string>> = { 5: 'IDE', 6: 'SCSI', 20: 'SATA' }

/** What a `VirtualSystem` says about its machine, for people to read. */
export function parseMachine(system: XmlElement): OvfMachine {
  const [hardware] = sectionsOf(system, 'VirtualHardwareSection')
  const [os] = sectionsOf(system, 'OperatingSystemSection')
  const [product] = sectionsOf(system, 'ProductSection')
  const [annotation] = sectionsOf(system, 'AnnotationSection')
  const items = itemsOf(hardware)
  const processor = items.find((item) => typeOf(item) === resource.processor)
  const memory = items.find((item) => typeOf(item) === resource.memory)
  return {
    name: textOf(system, 'Name') ?? attributeOf(system, 'id') ?? '',
    cpus: wholeNumber(textOf(processor, 'VirtualQuantity')),
    memory: bytesOf(memory),
    firmware: firmwareOf(system, hardware),
    os: textOf(os, 'Description') ?? textOf(os, 'OSType'),
    vmwareOs: attributeOf(os, 'osType'),
    hardware: textOf(childOf(hardware, 'System'), 'VirtualSystemType'),
    product: textOf(product, 'Product'),
    version: textOf(product, 'Version') ?? textOf(product, 'FullVersion'),
    vendor: textOf(product, 'Vendor'),
    annotation: textOf(annotation, 'Annotation'),
    nics: items
      .filter((item) => typeOf(item) === resource.ethernet)
      .map((item) => ({ model: textOf(item, 'ResourceSubType'), network: textOf(item, 'Connection') })),
    disks: disksOf(items),
  }
}

/** OVF 2 has items of their own for disks and adapters. */
function itemsOf(hardware: XmlElement | undefined): XmlElement[] {
  return ['Item', 'StorageItem', 'EthernetPortItem'].flatMap((name) => childrenOf(hardware, name))
}

function typeOf(item: XmlElement): string | null {
  return textOf(item, 'ResourceType')
}

function bytesOf(memory: XmlElement | undefined): number | null {
  const quantity = wholeNumber(textOf(memory, 'VirtualQuantity'))
  const unit = allocationUnit(textOf(memory, 'AllocationUnits') ?? 'byte * 2^20')
  const bytes = quantity === null || unit === null ? Number.NaN : quantity * unit
  return Number.isSafeInteger(bytes) ? bytes : null
}

/** VMware's word for it, or that of VirtualBox's own section. */
function firmwareOf(system: XmlElement, hardware: XmlElement | undefined): OvfMachine['firmware'] {
  const setting = childrenOf(hardware, 'Config').find((config) => attributeOf(config, 'key') === 'firmware')
  const virtualBox = childOf(childOf(childOf(system, 'Machine'), 'Hardware'), 'Firmware')
  const word = attributeOf(setting, 'value') ?? attributeOf(virtualBox, 'type')
  if (word === null) return null
  return /^efi/i.test(word) ? 'uefi' : 'bios'
}

function disksOf(items: readonly XmlElement[]): OvfMachine['disks'] {
  const byId = new Map(items.map((item) => [textOf(item, 'InstanceID') ?? textOf(item, 'InstanceId'), item]))
  return items
    .filter((item) => typeOf(item) === resource.disk)
    .flatMap((item) => {
      const [, diskId] = /\/disk\/(.+)$/.exec(textOf(item, 'HostResource') ?? '') ?? []
      const parent = byId.get(textOf(item, 'Parent'))
      const controller = parent === undefined ? null : nameOfController(parent)
      return diskId === undefined ? [] : [{ diskId, controller }]
    })
}

function nameOfController(controller: XmlElement): string | null {
  return textOf(controller, 'ResourceSubType') ?? controllerTypes[typeOf(controller) ?? ''] ?? null
}

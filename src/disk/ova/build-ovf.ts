import { MiB } from '../../core/bytes.ts'
import { escapeXml } from './escape-xml.ts'
import type { DiskBus, MachineDescription, NicModel } from './machine.ts'
import { diskUuid, virtualBoxMachine } from './virtualbox-machine.ts'

export interface OvfContent {
  readonly machine: MachineDescription
  /** Identifies the machine; plain, see `applianceNames`. */
  readonly id: string
  readonly disk: {
    readonly fileName: string
    /** Bytes of the file. */
    readonly fileSize: number
    /** Bytes of the guest's disk. */
    readonly capacity: number
    /** Bytes of the guest's disk that hold data. */
    readonly populatedSize: number
  }
}

/** No file is longer, so that a descriptor has its place before the size is known. */
const longestFileSize = Number.MAX_SAFE_INTEGER

/**
 * The descriptor of an appliance with one disk: OVF 1.0 (DMTF DSP0243), in the form that VMware and VirtualBox read. Its
 * length does not depend on the size of the disk's file: what that number leaves free is filled with blanks.
 */
export function buildOvf(content: OvfContent): Buffer {
  const reserved = { ...content, disk: { ...content.disk, fileSize: longestFileSize } }
  return ovfText(content, ovfText(reserved, 0).length)
}

function ovfText(content: OvfContent, length: number): Buffer {
  const body = [
    ...diskSections(content.disk),
    ...(content.machine.nic === 'none' ? [] : networkSection),
    ...virtualSystem(content),
  ]
  const start = Buffer.from([...head, ...indented(body)].map((line) => `${line}\n`).join(''))
  const end = Buffer.from('</Envelope>\n')
  const padding = Math.max(0, length - start.length - end.length)
  return Buffer.concat([start, Buffer.alloc(padding, ' '), end])
}

const head = [
  '<?xml version="1.0" encoding="UTF-8"?>',
  '<Envelope ovf:version="1.0" xml:lang="en-US"',
  '    xmlns="http://schemas.dmtf.org/ovf/envelope/1"',
  '    xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"',
  '    xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData"',
  '    xmlns:vssd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_VirtualSystemSettingData"',
  '    xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"',
  '    xmlns:vmw="http://www.vmware.com/schema/ovf"',
  '    xmlns:vbox="http://www.virtualbox.org/ovf/machine">',
]

const instance = { processor: 1, memory: 2, controller: 3, disk: 4, adapter: 5 } as const

/** VirtualBox and VMware's desktop products connect a network of this name to their NAT; others ask which one is meant. */
const networkName = 'nat'

const networkSection = [
  '<NetworkSection>',
  '  <Info>The network</Info>',
  `  <Network ovf:name="${networkName}">`,
  '    <Description>The network of the machine</Description>',
  '  </Network>',
  '</NetworkSection>',
]

/** The capacity is in bytes, without units, since that is what every importer computes with. */
function diskSections({ fileName, fileSize, capacity, populatedSize }: OvfContent['disk']): string[] {
  const format = 'http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized'
  return [
    '<References>',
    `  <File ovf:href="${fileName}" ovf:id="file1" ovf:size="${fileSize}"/>`,
    '</References>',
    '<DiskSection>',
    '  <Info>The disk</Info>',
    `  <Disk ovf:capacity="${capacity}" ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:format="${format}" ovf:populatedSize="${populatedSize}" vbox:uuid="${diskUuid}"/>`,
    '</DiskSection>',
  ]
}

function virtualSystem({ id, machine }: OvfContent): string[] {
  return [
    `<VirtualSystem ovf:id="${escapeXml(id)}">`,
    '  <Info>A virtual machine</Info>',
    `  <Name>${escapeXml(machine.name)}</Name>`,
    ...indented(productSection(machine)),
    ...indented(annotationSection(machine)),
    ...indented(operatingSystemSection(machine)),
    ...indented(hardwareSection(id, machine)),
    // Everything but the firmware VirtualBox finds in the sections above.
    ...(machine.firmware === 'uefi' ? indented(virtualBoxMachine(id, machine)) : []),
    '</VirtualSystem>',
  ]
}

function productSection({ name, vendor, version }: MachineDescription): string[] {
  return [
    '<ProductSection>',
    '  <Info>What is installed</Info>',
    `  <Product>${escapeXml(name)}</Product>`,
    ...(vendor === null ? [] : [`  <Vendor>${escapeXml(vendor)}</Vendor>`]),
    ...(version === null ? [] : [`  <Version>${escapeXml(version)}</Version>`]),
    '</ProductSection>',
  ]
}

function annotationSection({ annotation }: MachineDescription): string[] {
  if (annotation.length === 0) return []
  return [
    '<AnnotationSection>',
    '  <Info>What it is and where it comes from</Info>',
    `  <Annotation>${escapeXml(annotation.join('\n'))}</Annotation>`,
    '</AnnotationSection>',
  ]
}

function operatingSystemSection({ os }: MachineDescription): string[] {
  return [
    `<OperatingSystemSection ovf:id="${os.cim}" vmw:osType="${escapeXml(os.vmware)}">`,
    '  <Info>The guest operating system</Info>',
    `  <Description>${escapeXml(os.description)}</Description>`,
    `  <vbox:OSType ovf:required="false">${escapeXml(os.virtualBox)}</vbox:OSType>`,
    '</OperatingSystemSection>',
  ]
}

function hardwareSection(id: string, machine: MachineDescription): string[] {
  const firmware = machine.firmware === 'uefi' ? 'efi' : 'bios'
  return [
    '<VirtualHardwareSection>',
    '  <Info>The virtual hardware</Info>',
    '  <System>',
    '    <vssd:ElementName>Virtual Hardware Family</vssd:ElementName>',
    '    <vssd:InstanceID>0</vssd:InstanceID>',
    `    <vssd:VirtualSystemIdentifier>${escapeXml(id)}</vssd:VirtualSystemIdentifier>`,
    `    <vssd:VirtualSystemType>${hardwareVersion(machine.diskBus)}</vssd:VirtualSystemType>`,
    '  </System>',
    ...indented(itemsOf(machine).flatMap(item)),
    `  <vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="${firmware}"/>`,
    '</VirtualHardwareSection>',
  ]
}

type ItemFields = Readonly<Record<string, string | number>>

/** Memory is in MiB, the unit that every importer knows. */
function itemsOf({ cpus, memory, diskBus, nic }: MachineDescription): ItemFields[] {
  const mebibytes = Math.floor(memory / MiB)
  return [
    {
      AllocationUnits: 'hertz * 10^6',
      Description: 'Number of virtual CPUs',
      ElementName: `${cpus} virtual CPU(s)`,
      InstanceID: instance.processor,
      ResourceType: 3,
      VirtualQuantity: cpus,
    },
    {
      AllocationUnits: 'byte * 2^20',
      Description: 'Memory size',
      ElementName: `${mebibytes} MB of memory`,
      InstanceID: instance.memory,
      ResourceType: 4,
      VirtualQuantity: mebibytes,
    },
    { Address: 0, ...controllers[diskBus], InstanceID: instance.controller },
    {
      AddressOnParent: 0,
      ElementName: 'Hard disk 1',
      HostResource: 'ovf:/disk/vmdisk1',
      InstanceID: instance.disk,
      Parent: instance.controller,
      ResourceType: 17,
    },
    ...(nic === 'none' ? [] : [networkAdapter(nic)]),
  ]
}

/** Elements of CIM stand in alphabetical order, which its schema demands. */
function item(fields: ItemFields): string[] {
  const elements = Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1))
  return [
    '<Item>',
    ...elements.map(([name, value]) => `  <rasd:${name}>${escapeXml(String(value))}</rasd:${name}>`),
    '</Item>',
  ]
}

/** ESXi 5.5 and everything after it; NVMe came later. */
function hardwareVersion(diskBus: DiskBus): string {
  return diskBus === 'nvme' ? 'vmx-13' : 'vmx-10'
}

/** Names of the subtypes that VMware and VirtualBox both know; IDE has none. */
const controllers: Readonly<Record<DiskBus, ItemFields>> = {
  sata: { ElementName: 'SATA controller 0', ResourceSubType: 'AHCI', ResourceType: 20 },
  scsi: { ElementName: 'SCSI controller 0', ResourceSubType: 'lsilogic', ResourceType: 6 },
  pvscsi: { ElementName: 'SCSI controller 0', ResourceSubType: 'VirtualSCSI', ResourceType: 6 },
  ide: { ElementName: 'IDE controller 0', ResourceType: 5 },
  nvme: { ElementName: 'NVMe controller 0', ResourceSubType: 'vmware.nvme.controller', ResourceType: 20 },
}

const adapterNames: Readonly<Record<Exclude<NicModel, 'none'>, string>> = {
  e1000: 'E1000',
  e1000e: 'E1000e',
  vmxnet3: 'VmxNet3',
  pcnet: 'PCNet32',
}

function networkAdapter(nic: Exclude<NicModel, 'none'>): ItemFields {
  return {
    AutomaticAllocation: 'true',
    Connection: networkName,
    ElementName: 'Ethernet 1',
    InstanceID: instance.adapter,
    ResourceSubType: adapterNames[nic],
    ResourceType: 10,
  }
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => `  ${line}`)
}

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

/**
 * Elements of CIM stand in alphabetical order, which its schema demands. The disk's capacity is in bytes, without units,
 * and memory in MiB, the only two that every importer computes with.
 */
function ovfText({ machine, id, disk }: OvfContent, length: number): Buffer {
  const { name, cpus, memory, firmware, diskBus, nic, os, version, vendor, annotation } = machine
  const mebibytes = Math.floor(memory / MiB)
  const body = [
    ...['<References>', `  <File ovf:href="${disk.fileName}" ovf:id="file1" ovf:size="${disk.fileSize}"/>`],
    '</References>',
    ...['<DiskSection>', '  <Info>The disk</Info>', `  ${diskElement(disk)}`, '</DiskSection>'],
    ...(nic === 'none' ? [] : networkSection),
    `<VirtualSystem ovf:id="${escapeXml(id)}">`,
    '  <Info>A virtual machine</Info>',
    `  <Name>${escapeXml(name)}</Name>`,
    '  <ProductSection>',
    '    <Info>What is installed</Info>',
    `    <Product>${escapeXml(name)}</Product>`,
    ...(vendor === null ? [] : [`    <Vendor>${escapeXml(vendor)}</Vendor>`]),
    ...(version === null ? [] : [`    <Version>${escapeXml(version)}</Version>`]),
    '  </ProductSection>',
    ...(annotation.length === 0 ? [] : indented(annotationSection(annotation))),
    `  <OperatingSystemSection ovf:id="${os.cim}" vmw:osType="${escapeXml(os.vmware)}">`,
    '    <Info>The guest operating system</Info>',
    `    <Description>${escapeXml(os.description)}</Description>`,
    `    <vbox:OSType ovf:required="false">${escapeXml(os.virtualBox)}</vbox:OSType>`,
    '  </OperatingSystemSection>',
    '  <VirtualHardwareSection>',
    '    <Info>The virtual hardware</Info>',
    '    <System>',
    '      <vssd:ElementName>Virtual Hardware Family</vssd:ElementName>',
    '      <vssd:InstanceID>0</vssd:InstanceID>',
    `      <vssd:VirtualSystemIdentifier>${escapeXml(id)}</vssd:VirtualSystemIdentifier>`,
    `      <vssd:VirtualSystemType>${hardwareVersion(diskBus)}</vssd:VirtualSystemType>`,
    '    </System>',
    ...indented(
      item({
        AllocationUnits: 'hertz * 10^6',
        Description: 'Number of virtual CPUs',
        ElementName: `${cpus} virtual CPU(s)`,
        InstanceID: instance.processor,
        ResourceType: 3,
        VirtualQuantity: cpus,
      }),
      2,
    ),
    ...indented(
      item({
        AllocationUnits: 'byte * 2^20',
        Description: 'Memory size',
        ElementName: `${mebibytes} MB of memory`,
        InstanceID: instance.memory,
        ResourceType: 4,
        VirtualQuantity: mebibytes,
      }),
      2,
    ),
    ...indented(item({ Address: 0, ...controllers[diskBus], InstanceID: instance.controller }), 2),
    ...indented(
      item({
        AddressOnParent: 0,
        ElementName: 'Hard disk 1',
        HostResource: 'ovf:/disk/vmdisk1',
        InstanceID: instance.disk,
        Parent: instance.controller,
        ResourceType: 17,
      }),
      2,
    ),
    ...(nic === 'none' ? [] : indented(item(networkAdapter(nic)), 2)),
    `    <vmw:Config ovf:required="false" vmw:key="firmware" vmw:value="${firmware === 'uefi' ? 'efi' : 'bios'}"/>`,
    '  </VirtualHardwareSection>',
    // Everything but the firmware VirtualBox finds in the sections above.
    ...(firmware === 'uefi' ? indented(virtualBoxMachine(id, machine)) : []),
    '</VirtualSystem>',
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

function annotationSection(lines: readonly string[]): string[] {
  return [
    '<AnnotationSection>',
    '  <Info>What it is and where it comes from</Info>',
    `  <Annotation>${escapeXml(lines.join('\n'))}</Annotation>`,
    '</AnnotationSection>',
  ]
}

function diskElement({ capacity, populatedSize }: OvfContent['disk']): string {
  const format = 'http://www.vmware.com/interfaces/specifications/vmdk.html#streamOptimized'
  return `<Disk ovf:capacity="${capacity}" ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:format="${format}" ovf:populatedSize="${populatedSize}" vbox:uuid="${diskUuid}"/>`
}

/** ESXi 5.5 and everything after it; NVMe came later. */
function hardwareVersion(diskBus: DiskBus): string {
  return diskBus === 'nvme' ? 'vmx-13' : 'vmx-10'
}

type ItemFields = Readonly<Record<string, string | number>>

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

function item(fields: ItemFields): string[] {
  const elements = Object.entries(fields).sort(([a], [b]) => (a < b ? -1 : 1))
  return [
    '<Item>',
    ...elements.map(([name, value]) => `  <rasd:${name}>${escapeXml(String(value))}</rasd:${name}>`),
    '</Item>',
  ]
}

function indented(lines: readonly string[], depth = 1): string[] {
  return lines.map((line) => `${'  '.repeat(depth)}${line}`)
}

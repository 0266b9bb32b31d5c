import { MiB } from '../../core/bytes.ts'
import { escapeXml } from './escape-xml.ts'
import type { DiskBus, MachineDescription, NicModel } from './machine.ts'

/** Ties the disk to its place in VirtualBox's section; VirtualBox gives both new ones when it imports. */
export const diskUuid = '7d0c9a55-1d0e-4d44-9b53-5f1f0c6f2a01'
const machineUuid = '7d0c9a55-1d0e-4d44-9b53-5f1f0c6f2a02'

const controllers: Readonly<Record<DiskBus, string>> = {
  sata: 'AHCI',
  scsi: 'LsiLogic',
  // VirtualBox has no such controller; a guest with its driver has that of LSI Logic too.
  pvscsi: 'LsiLogic',
  ide: 'PIIX4',
  nvme: 'NVMe',
}

/** Its names for the adapters, the one most like it where VirtualBox does not have it. */
const adapters: Readonly<Record<Exclude<NicModel, 'none'>, string>> = {
  e1000: '82540EM',
  e1000e: '82540EM',
  vmxnet3: '82540EM',
  pcnet: 'Am79C973',
}

/**
 * VirtualBox's own description of the machine, in which alone it looks for the firmware. It then takes everything
 * from here, so all of the machine is said once more.
 */
export function virtualBoxMachine(id: string, machine: MachineDescription): string[] {
  const { cpus, memory, firmware, diskBus, nic, os } = machine
  const controller = controllers[diskBus]
  return [
    `<vbox:Machine ovf:required="false" version="1.16-linux" uuid="{${machineUuid}}" name="${escapeXml(id)}" OSType="${escapeXml(os.virtualBox)}">`,
    '  <ovf:Info>The machine in the words of VirtualBox</ovf:Info>',
    '  <Hardware>',
    `    <CPU count="${cpus}"/>`,
    `    <Memory RAMSize="${Math.floor(memory / MiB)}"/>`,
    ...(firmware === 'uefi' ? ['    <Firmware type="EFI"/>'] : []),
    '    <Display VRAMSize="16"/>',
    '    <BIOS>',
    '      <IOAPIC enabled="true"/>',
    '    </BIOS>',
    ...(nic === 'none'
      ? []
      : [
          '    <Network>',
          `      <Adapter slot="0" enabled="true" type="${adapters[nic]}">`,
          '        <NAT/>',
          '      </Adapter>',
          '    </Network>',
        ]),
    '    <AudioAdapter driver="Null" enabled="false"/>',
    '    <RTC localOrUTC="UTC"/>',
    '  </Hardware>',
    '  <StorageControllers>',
    `    <StorageController name="${controller}" type="${controller}" PortCount="1" useHostIOCache="false" Bootable="true">`,
    '      <AttachedDevice type="HardDisk" hotpluggable="false" port="0" device="0">',
    `        <Image uuid="{${diskUuid}}"/>`,
    '      </AttachedDevice>',
    '    </StorageController>',
    '  </StorageControllers>',
    '</vbox:Machine>',
  ]
}

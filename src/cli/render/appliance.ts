import { formatSize } from '../../core/bytes.ts'
import type { Appliance, ApplianceDisk } from '../../disk/ova/appliance.ts'
import type { OvfMachine } from '../../disk/ova/ovf-descriptor.ts'
import type { Inspection } from '../../operations/inspect-thing.ts'
import { properties, table } from './table.ts'

const verdicts = {
  matches: 'every file has its digest',
  differs: 'A FILE HAS ANOTHER DIGEST',
  'not compared': 'compared when it is read',
} as const

/** What an appliance says about itself, and whether its files are what its manifest says. */
export function presentAppliance(appliance: Appliance, verdict: Inspection['manifest']): string {
  const { machines, disks, manifest, isSigned } = appliance
  const algorithms = manifest?.algorithms.join(', ')
  return [
    ...machines.map(presentMachine),
    properties([
      [
        'manifest',
        algorithms === undefined ? 'none' : `${algorithms}: ${verdicts[verdict ?? 'not compared']}`,
      ],
      ['certificate', isSigned ? 'there is one; it is not looked at' : null],
    ]),
    table(
      ['DISK', 'FILE', 'SIZE', 'HOLDS', 'ATTACHED TO', 'SHOWN'],
      disks.map((disk) => diskRow(disk, machines)),
    ),
  ].join('\n\n')
}

function presentMachine(machine: OvfMachine): string {
  const { name, cpus, memory, firmware, hardware, os, vmwareOs, product, version, vendor, nics, annotation } =
    machine
  return properties([
    ['machine', name],
    ['product', [product, version].filter((word) => word !== null).join(' ') || null],
    ['vendor', vendor],
    ['processors', cpus === null ? null : String(cpus)],
    ['memory', memory === null ? null : formatSize(memory)],
    ['firmware', firmware],
    ['hardware', hardware],
    ['guest', [os, vmwareOs].filter((word) => word !== null).join(', ') || null],
    ...nics.map(({ model, network }): [string, string] => [
      'network',
      `${model ?? 'adapter'}${network === null ? '' : ` on ${network}`}`,
    ]),
    ...(annotation ?? '')
      .split('\n')
      .filter((line) => line.trim() !== '')
      .slice(0, 16)
      .map((line, index): [string, string] => [index === 0 ? 'annotation' : '', line.trim()]),
  ])
}

function diskRow(disk: ApplianceDisk, machines: readonly OvfMachine[]): string[] {
  const place = machines.flatMap(({ disks }) => disks).find(({ diskId }) => diskId === disk.id)
  return [
    String(disk.number),
    disk.file ?? 'none, begins empty',
    disk.fileSize === null ? '-' : `${formatSize(disk.fileSize)}${disk.isCompressed ? ', gzip' : ''}`,
    disk.capacity === null ? '-' : formatSize(disk.capacity),
    place?.controller ?? '-',
    disk.isChosen ? 'yes' : '',
  ]
}

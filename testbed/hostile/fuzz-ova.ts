import { openCheckedDisk } from '../../src/disk/open-disk.ts'
import type { FuzzTarget } from './fuzz-target.ts'
import { type OvaSketch, oneDisk, resealArchive, sketchDescriptor, sketchOva } from './ova-sketch.ts'
import { sketchQcow2 } from './qcow2-sketch.ts'
import { sketchVmdk } from './vmdk-sketch.ts'

const hardware = `<VirtualHardwareSection><Info>x</Info>
  <Item><InstanceID>1</InstanceID><ResourceType>4</ResourceType><AllocationUnits>byte * 2^20</AllocationUnits><VirtualQuantity>512</VirtualQuantity></Item>
  <Item><InstanceID>2</InstanceID><ResourceType>20</ResourceType><ResourceSubType>AHCI</ResourceSubType></Item>
  <Item><HostResource>ovf:/disk/vmdisk1</HostResource><InstanceID>3</InstanceID><Parent>2</Parent><ResourceType>17</ResourceType></Item>
</VirtualHardwareSection>`

/** A change of the descriptor is noticed by the manifest, so most have none. */
function sketches(): OvaSketch[] {
  const { bytes: disk } = sketchQcow2({ clusterBits: 9 })
  const descriptor = sketchDescriptor({ inMachine: hardware })
  return [
    sketchOva(),
    sketchOva({ descriptor, manifest: false }),
    sketchOva({ descriptor, disk, manifest: false }),
    sketchOva({ descriptor, disk: sketchVmdk({ kind: 'stream' }).bytes, manifest: false }),
    sketchOva({
      descriptor: sketchDescriptor({ disks: `${oneDisk}${oneDisk.replace('vmdisk1', 'vmdisk2')}` }),
      manifest: false,
    }),
  ]
}

/** Archive, descriptor, manifest and what is in the disk, together, as they come in. */
export const fuzzOva: FuzzTarget = {
  format: 'ova',
  seeds: () => sketches().map(({ bytes, places }) => ({ bytes, structures: [...places, [0, bytes.length]] })),
  reseal: resealArchive,
  open: async (source) => (await openCheckedDisk(source)).disk,
}

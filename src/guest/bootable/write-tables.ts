import { memoryDisk } from '../../disk/memory-disk.ts'
import type { DiskWindow } from '../../disk/overlay-disk.ts'
import { encodeGpt, encodeGptEntries } from '../../disk/partition/encode-gpt.ts'
import { encodeMbr, encodeProtectiveMbr, mbrTableOffset } from '../../disk/partition/encode-mbr.ts'
import { gptTypes, mbrTypes } from '../../disk/partition/partition-types.ts'
import { derivedGuid } from './derived-ids.ts'
import type { DiskIdentity } from './disk-identity.ts'
import type { DiskLayout } from './disk-layout.ts'

const typesOf = {
  root: { gpt: gptTypes.linuxRootX86_64, mbr: mbrTypes.linuxFilesystem },
  boot: { gpt: gptTypes.linuxFilesystem, mbr: mbrTypes.fat32 },
  'bios-boot': { gpt: gptTypes.biosBoot, mbr: mbrTypes.data },
  'efi-system': { gpt: gptTypes.efiSystem, mbr: mbrTypes.efiSystem },
} as const

/** The partition table of a layout, at its places. */
export function tableWindows(
  { scheme, size, partitions }: DiskLayout,
  { seed, diskGuid, mbrSignature }: DiskIdentity,
): DiskWindow[] {
  if (scheme === 'mbr') {
    const entries = partitions.map((partition) => ({
      ...partition,
      type: typesOf[partition.purpose].mbr,
      bootable: partition.purpose === 'root',
    }))
    return [{ offset: mbrTableOffset, disk: memoryDisk(encodeMbr(entries, { signature: mbrSignature })) }]
  }
  const entries = encodeGptEntries(
    partitions.map((partition) => ({
      ...partition,
      type: typesOf[partition.purpose].gpt,
      uuid: derivedGuid(seed, partition.purpose),
      name: partition.purpose,
    })),
  )
  const { primary, backup } = encodeGpt({ size, guid: diskGuid, entries })
  return [
    { offset: mbrTableOffset, disk: memoryDisk(encodeProtectiveMbr(size)) },
    { offset: 512, disk: memoryDisk(primary) },
    { offset: size - backup.length, disk: memoryDisk(backup) },
  ]
}

import type { AbortOptions } from '../../core/abort.ts'
import type { Disk } from '../../disk/disk.ts'
import type { Guest, GuestVolume } from '../guest.ts'

/** A partition, or the whole disk, and what it holds. Sizes are bytes. */
export interface InspectedVolume {
  /** `null` for a disk without partitions. */
  readonly number: number | null
  readonly offset: number
  readonly length: number
  /** The partition's type in words; empty without partitions. */
  readonly partitionType: string
  readonly bootable: boolean
  /** `ext4`, `swap`, `xfs`...; `null` when nothing is recognised. */
  readonly filesystem: string | null
  readonly uuid: string
  readonly label: string
  /** Of a volume inside another one: what it is, as `The logical volume vg/root`. Its offset is that of the outer one. */
  readonly name?: string
  readonly mountPoint: string | null
  /** Bytes in use, where the file system says so. */
  readonly used: number | null
}

export async function describeVolumes(
  { disk, volumes }: Pick<Guest, 'disk' | 'volumes'>,
  options: AbortOptions = {},
): Promise<InspectedVolume[]> {
  const described: InspectedVolume[] = []
  for (const volume of volumes) {
    described.push({
      number: volume.partition?.number ?? null,
      offset: volume.offset,
      length: volume.length,
      partitionType: volume.partition?.typeName ?? '',
      bootable: volume.partition?.bootable ?? false,
      filesystem: volume.probe?.type ?? null,
      uuid: volume.probe?.uuid ?? '',
      label: volume.probe?.label ?? '',
      mountPoint: volume.mountPoint,
      ...(volume.inner && { name: volume.inner.name }),
      used: await usedBytes(disk, volume, options),
    })
  }
  return described
}

/** Block counts of the super block; ext4.h, struct ext4_super_block. */
async function usedBytes(disk: Disk, volume: GuestVolume, options: AbortOptions): Promise<number | null> {
  if (!volume.probe?.type.startsWith('ext') || volume.inner || volume.length < 2048) return null
  const block = Buffer.alloc(1024)
  await disk.read(block, volume.offset + 1024, options)
  const is64Bit = (block.readUInt32LE(96) & 0x80) !== 0
  const high = (offset: number): number => (is64Bit ? block.readUInt32LE(offset) * 2 ** 32 : 0)
  const blocks = block.readUInt32LE(4) + high(0x150)
  const freeBlocks = block.readUInt32LE(12) + high(0x158)
  const blockSize = 1024 * 2 ** Math.min(block.readUInt32LE(24), 6)
  const used = (blocks - freeBlocks) * blockSize
  return used >= 0 && used <= volume.length ? used : null
}

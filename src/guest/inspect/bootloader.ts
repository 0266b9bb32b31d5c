import type { AbortOptions } from '../../core/abort.ts'
import type { Guest } from '../guest.ts'
import type { GuestTree } from '../guest-tree.ts'

/** How the machine starts, as far as it can be told without starting it. */
export interface GuestBoot {
  /** `grub` in the first sector, and configurations of boot loaders that were found. */
  readonly loaders: readonly ('grub2' | 'grub-legacy' | 'extlinux' | 'systemd-boot')[]
  /** Paths of the configurations found. */
  readonly configurations: readonly string[]
  /** Whether the first sector holds code for a BIOS, and whose. */
  readonly bios: 'grub' | 'syslinux' | 'other' | null
  /** Whether there is an EFI system partition. */
  readonly efi: boolean
}

const configurations = [
  ['/boot/grub/grub.cfg', 'grub2'],
  ['/boot/grub2/grub.cfg', 'grub2'],
  ['/boot/grub/grub.conf', 'grub-legacy'],
  ['/boot/grub/menu.lst', 'grub-legacy'],
  ['/boot/extlinux/extlinux.conf', 'extlinux'],
  ['/boot/syslinux/syslinux.cfg', 'extlinux'],
  ['/boot/extlinux.conf', 'extlinux'],
  ['/boot/loader/loader.conf', 'systemd-boot'],
] as const

export async function readBoot(
  { disk, partitionTable }: Pick<Guest, 'disk' | 'partitionTable'>,
  tree: GuestTree | null,
  options: AbortOptions = {},
): Promise<GuestBoot> {
  const loaders = new Set<GuestBoot['loaders'][number]>()
  const found: string[] = []
  for (const [path, loader] of tree ? configurations : []) {
    if ((await tree?.stat(path, { ...options, follow: true }))?.kind !== 'file') continue
    found.push(path)
    loaders.add(loader)
  }
  return {
    loaders: [...loaders],
    configurations: found,
    bios: await readBootSector(disk, options),
    efi: partitionTable.partitions.some(({ type }) => efiTypes.has(type)),
  }
}

const efiTypes = new Set(['c12a7328-f81f-11d2-ba4b-00a0c93ec93b', '0xef'])

/** The code area of the first sector; boot loaders have a word of their own in their messages. */
async function readBootSector(disk: Guest['disk'], options: AbortOptions): Promise<GuestBoot['bios']> {
  if (disk.size < 512) return null
  const sector = Buffer.alloc(512)
  await disk.read(sector, 0, options)
  const code = sector.subarray(0, 440)
  if (code.every((byte) => byte === 0)) return null
  if (code.includes('GRUB')) return 'grub'
  return code.includes('SYSLINUX') || code.includes('EXTLINUX') || code.includes('Missing operating system')
    ? 'syslinux'
    : 'other'
}

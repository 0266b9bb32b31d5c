import type { AbortOptions } from '../../core/abort.ts'
import type { Filesystem } from '../filesystem/filesystem.ts'
import type { Guest, GuestVolume } from '../guest.ts'
import { usesBootLoaderSpecification } from './grub-config.ts'

/** A folder with a grub.cfg, in one of the file systems of a disk. */
export interface GrubPlace {
  readonly volume: GuestVolume & { readonly filesystem: Filesystem }
  /** In that file system. */
  readonly folder: string
  readonly usesBls: boolean
}

/** In the root file system, and in one that is mounted at /boot. */
export const grubPlaces = ['/boot/grub', '/boot/grub2', '/grub', '/grub2'] as const
const maximumConfig = 1024 * 1024

/** Every folder of GRUB 2 with a configuration, in the file systems that can be looked into. */
export async function findGrubPlaces(
  { volumes }: Pick<Guest, 'volumes'>,
  options: AbortOptions = {},
): Promise<GrubPlace[]> {
  const places: GrubPlace[] = []
  for (const volume of volumes) {
    if (!isOpen(volume)) continue
    for (const folder of grubPlaces) {
      const path = `${folder}/grub.cfg`
      const stat = await volume.filesystem.stat(path, { ...options, follow: true })
      if (stat?.kind !== 'file' || stat.size === 0 || stat.size > maximumConfig) continue
      const text = Buffer.from(await volume.filesystem.read(path, options)).toString('latin1')
      places.push({ volume, folder, usesBls: usesBootLoaderSpecification(text) })
    }
  }
  return places
}

export function isOpen(volume: GuestVolume): volume is GrubPlace['volume'] {
  return volume.filesystem !== null
}

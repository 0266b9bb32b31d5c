import type { AbortOptions } from '../../core/abort.ts'
import { windowDisk } from '../../disk/window-disk.ts'
import { GuestError } from '../errors.ts'
import { openFat } from '../filesystem/fat/open-fat.ts'
import type { Filesystem } from '../filesystem/filesystem.ts'
import type { Guest, GuestVolume } from '../guest.ts'
import { usesBootLoaderSpecification } from './grub-config.ts'

/** A folder with a grub.cfg, in one of the file systems of a disk. */
export interface GrubPlace {
  readonly volume: GuestVolume
  /** In that file system. */
  readonly folder: string
  readonly usesBls: boolean
}

/** In the root file system, and in one that is mounted at /boot. */
export const grubPlaces = ['/boot/grub', '/boot/grub2', '/grub', '/grub2'] as const
const maximumConfig = 1024 * 1024

/** Reads a file that a configuration may be; null when there is none of a sensible size. */
type ReadConfig = (path: string) => Promise<Uint8Array | null>

/** Every folder of GRUB 2 with a configuration, in the file systems that can be looked into. */
export async function findGrubPlaces(guest: Guest, options: AbortOptions = {}): Promise<GrubPlace[]> {
  const places: GrubPlace[] = []
  for (const volume of guest.volumes) {
    const read = await readerOf(guest, volume, options)
    for (const folder of read ? grubPlaces : []) {
      const config = await read?.(`${folder}/grub.cfg`)
      if (!config) continue
      const text = Buffer.from(config).toString('latin1')
      places.push({ volume, folder, usesBls: usesBootLoaderSpecification(text) })
    }
  }
  return places
}

/** A volume with a file system that can be changed. */
export type OpenVolume = GuestVolume & { readonly filesystem: Filesystem }

export function isOpen(volume: GuestVolume): volume is OpenVolume {
  return volume.filesystem !== null
}

async function readerOf(
  { disk }: Guest,
  volume: GuestVolume,
  options: AbortOptions,
): Promise<ReadConfig | null> {
  const { filesystem, probe, offset, length } = volume
  if (filesystem) {
    return async (path) => {
      const stat = await filesystem.stat(path, { ...options, follow: true })
      const isConfig = stat?.kind === 'file' && stat.size > 0 && stat.size <= maximumConfig
      return isConfig ? filesystem.read(path, options) : null
    }
  }
  if (probe?.type !== 'vfat') return null
  return async (path) => {
    try {
      const volume = await openFat(windowDisk(disk, offset, length), options)
      const file = await volume.find(path, options)
      if (!file || file.isDirectory || file.size === 0 || file.size > maximumConfig) return null
      const bytes = Buffer.alloc(file.size)
      await volume.content(file).read(bytes, 0, options)
      return bytes
    } catch (error) {
      // Damaged: no configuration that could be used is in it.
      if (error instanceof GuestError) return null
      throw error
    }
  }
}

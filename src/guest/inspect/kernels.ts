import type { AbortOptions } from '../../core/abort.ts'
import { joinPath } from '../guest-path.ts'
import type { GuestTree } from '../guest-tree.ts'

export interface GuestKernel {
  /** As `uname -r` would say: `6.1.0-18-cloud-amd64`. */
  readonly version: string
  /** Paths in the guest; `null` where the file is missing. */
  readonly image: string | null
  readonly initramfs: string | null
  readonly modules: string | null
}

/** Every kernel the guest has an image or modules of, newest last as far as names tell. */
export async function readKernels(tree: GuestTree, options: AbortOptions = {}): Promise<GuestKernel[]> {
  const images = new Map<string, string>()
  const initramfs = new Map<string, string>()
  const modules = new Map<string, string>()
  for (const entry of await tree.list('/boot', options)) {
    if (entry.kind !== 'file') continue
    const path = joinPath('/boot', entry.name)
    const image = /^(?:vmlinu[xz]|kernel|bzImage|Image)-(.+)$/.exec(entry.name)?.[1]
    if (image !== undefined && !image.endsWith('.old')) images.set(image, path)
    const ramdisk = /^(?:initrd\.img|initramfs|initrd)-(.+?)(?:\.img)?$/.exec(entry.name)?.[1]
    if (ramdisk !== undefined && !/kdump|rescue|\.bak$|\.old$/.test(ramdisk)) initramfs.set(ramdisk, path)
  }
  for (const directory of ['/lib/modules', '/usr/lib/modules']) {
    for (const entry of await tree.list(directory, options)) {
      if (entry.kind === 'directory' && !modules.has(entry.name))
        modules.set(entry.name, joinPath(directory, entry.name))
    }
  }
  const versions = [...new Set([...images.keys(), ...modules.keys()])]
  return versions
    .sort((one, other) => one.localeCompare(other, 'en', { numeric: true }))
    .map((version) => ({
      version,
      image: images.get(version) ?? null,
      initramfs: initramfs.get(version) ?? null,
      modules: modules.get(version) ?? null,
    }))
}

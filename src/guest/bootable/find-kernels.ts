import type { AbortOptions } from '../../core/abort.ts'
import { MiB } from '../../core/bytes.ts'
import { memoryDisk } from '../../disk/memory-disk.ts'
import type { GuestTree } from '../guest-tree.ts'
import { readKernels } from '../inspect/kernels.ts'
import { isPlainPath } from './grub-config.ts'
import { isXenName, readKernelImage } from './kernel-image.ts'

/** A kernel in the guest that could start it. */
export interface UsableKernel {
  readonly version: string
  /** Paths in the guest. */
  readonly image: string
  readonly ramdisk: string | null
  readonly modules: string | null
  readonly is64Bit: boolean
  readonly startsFromUefi: boolean
}

export interface FoundKernels {
  /** The one to start first: the newest with modules and a ramdisk, else the newest. */
  readonly usable: readonly UsableKernel[]
  /** Those that were passed over, each with the reason as the end of a sentence. */
  readonly passedOver: readonly { readonly image: string; readonly why: string }[]
}

/** Above what kernels have; the file is read as a whole. */
const maximumKernel = 64 * MiB

/** The kernels in a guest's /boot that a boot loader on a disk can start. */
export async function findKernels(tree: GuestTree, options: AbortOptions = {}): Promise<FoundKernels> {
  const usable: UsableKernel[] = []
  const passedOver: { image: string; why: string }[] = []
  const known = await readKernels(tree, options)
  for (const { version: name, image, initramfs, modules } of known) {
    if (image === null || /rescue|kdump/.test(name)) continue
    const why = await obstacleOutside(tree, { name, image }, options)
    if (why !== null) {
      passedOver.push({ image, why })
      continue
    }
    const bytes = await tree.read(image, { ...options, maximumBytes: maximumKernel })
    const kernel = await readKernelImage(memoryDisk(bytes ?? new Uint8Array()), options)
    if (kernel.obstacle !== null) {
      passedOver.push({ image, why: kernel.obstacle })
      continue
    }
    const { version, is64Bit, startsFromUefi } = kernel
    // Where files are not named by versions, as in Arch and Alpine, the kernel itself knows which modules are its own.
    const own = version === null ? null : (known.find((other) => other.version === version)?.modules ?? null)
    const ramdisk = initramfs !== null && isPlainPath(initramfs) ? initramfs : null
    usable.push({
      version: version ?? name,
      image,
      ramdisk,
      modules: modules ?? own,
      is64Bit,
      startsFromUefi,
    })
  }
  return { usable: usable.sort(byPreference), passedOver }
}

/** What can be told without the file itself. */
async function obstacleOutside(
  tree: GuestTree,
  { name, image }: { name: string; image: string },
  options: AbortOptions,
): Promise<string | null> {
  if (isXenName(name)) return 'is made for Xen’s paravirtual machines only, as its name says'
  if (!isPlainPath(image)) return 'has a name with odd characters'
  const stat = await tree.stat(image, options)
  if (stat === null || stat.size > maximumKernel)
    return `has more than the ${maximumKernel / MiB} MiB of a kernel`
  const config = await tree.stat(`/boot/config-${name}`, { ...options, follow: true })
  if (config?.kind !== 'file' || config.size > MiB) return null
  const text = Buffer.from((await tree.read(`/boot/config-${name}`, options)) ?? []).toString('latin1')
  return /^CONFIG_X86(?:_64)?_XEN=y$/m.test(text)
    ? 'is made for Xen’s paravirtual machines only, as its configuration says'
    : null
}

/** Complete ones first, then those that are not for debugging, then newer ones. */
function byPreference(one: UsableKernel, other: UsableKernel): number {
  const rank = ({ version, ramdisk, modules }: UsableKernel) =>
    2 * (Number(ramdisk !== null) + Number(modules !== null)) + Number(!/debug/.test(version))
  return rank(other) - rank(one) || other.version.localeCompare(one.version, 'en', { numeric: true })
}

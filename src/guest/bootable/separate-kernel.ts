import type { AbortOptions } from '../../core/abort.ts'
import { GuestError } from '../errors.ts'
import type { GuestWarning } from '../warnings.ts'
import type { BootableOptions, SeparateFile } from './bootable.ts'
import { type KernelImage, readKernelImage } from './kernel-image.ts'
import { recogniseRamdisk } from './ramdisk-image.ts'

/** A kernel, and perhaps a ramdisk, that are not in the image and can be used. */
export interface SeparateKernel {
  readonly kernel: SeparateFile
  readonly ramdisk: SeparateFile | null
  readonly image: KernelImage
  /** Names something in paths: the version, as far as it can be. */
  readonly version: string
}

/**
 * Looks at the kernel and ramdisk that were given.
 * @param hasOwn whether the image has a kernel that can be used instead of one that was only suggested
 * @throws GuestError `BOOT_KERNEL_UNUSABLE` | `BOOT_RAMDISK_UNUSABLE`
 */
export async function checkSeparateKernel(
  { kernel, ramdisk, signal }: Pick<BootableOptions, 'kernel' | 'ramdisk'> & AbortOptions,
  { hasOwn }: { hasOwn: boolean },
): Promise<{ separate: SeparateKernel | null; warnings: GuestWarning[] }> {
  if (!kernel) return { separate: null, warnings: [] }
  const image = await readKernelImage(kernel.content, { signal })
  if (image.obstacle !== null) {
    const message = `${kernel.name} ${image.obstacle}`
    if (kernel.isSuggestion && hasOwn) {
      const warning = {
        code: 'BOOT_KERNEL_PASSED_OVER' as const,
        message: `${message}; the image’s own kernel is used.`,
      }
      return { separate: null, warnings: [warning] }
    }
    throw new GuestError('BOOT_KERNEL_UNUSABLE', `${message}.`, {
      hint: 'Give the bzImage of a kernel for ordinary machines, for example /boot/vmlinuz of the same distribution, together with its ramdisk; its modules have to be in the image.',
    })
  }
  if (ramdisk && (await recogniseRamdisk(ramdisk.content, { signal })) === null) {
    throw new GuestError('BOOT_RAMDISK_UNUSABLE', `${ramdisk.name} does not begin like an initial ramdisk.`, {
      hint: 'It is a cpio archive, plain or compressed. Were kernel and ramdisk mixed up?',
    })
  }
  const version = (image.version ?? 'separate').replace(/[^\w.+-]/g, '_')
  return { separate: { kernel, ramdisk, image, version }, warnings: [] }
}

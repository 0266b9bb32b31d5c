import type { Command } from 'commander'
import { parseSize } from '../../core/bytes.ts'
import { OperationError } from '../../operations/errors.ts'
import type { BootableRequest } from '../../operations/requests.ts'

export interface BootableOptions {
  bootable?: boolean
  firmware?: 'bios' | 'uefi' | 'both'
  kernel?: string
  ramdisk?: string
  growTo?: number
  grubFolder?: string
  dryRun?: boolean
}

/** Adds the options that make a disk start by itself; `--firmware` is shared with appliances and added there. */
export function addBootableOptions(command: Command): Command {
  return command
    .option('--bootable', 'make it a disk that starts by itself: with partition table and boot loader')
    .option('--kernel <file|cloud:image>', 'the kernel of a bare root file system that has none inside')
    .option('--ramdisk <file|cloud:image>', 'its initial ramdisk')
    .option(
      '--grow-to <size>',
      'size of a disk that is made around a root file system, for example 10G',
      parseSize,
    )
    .option('--grub-folder <folder>', 'where the files of GRUB are (default: /usr/lib/grub)')
    .option('--dry-run', 'with --bootable: say what would be done, and do nothing')
}

/**
 * How the disk is to be made bootable, or not at all.
 * @throws OperationError `INPUT_INVALID` for an option that is of no use without `--bootable`
 */
export function readBootableOptions(options: BootableOptions): BootableRequest | null {
  const { firmware, kernel, ramdisk, growTo, grubFolder } = options
  const chosen = {
    ...(kernel === undefined ? {} : { kernel }),
    ...(ramdisk === undefined ? {} : { ramdisk }),
    ...(growTo === undefined ? {} : { growTo }),
    ...(grubFolder === undefined ? {} : { grubFolder }),
  }
  if (options.bootable) return { ...chosen, ...(firmware === undefined ? {} : { firmware }) }
  const useless = [
    ...Object.keys(chosen),
    ...(options.dryRun ? ['dryRun'] : []),
    ...(firmware === 'both' ? ['firmware both'] : []),
  ]
  if (useless.length === 0) return null
  const name = useless[0]?.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
  throw new OperationError('INPUT_INVALID', `--${name} is about disks that start by themselves.`, {
    hint: 'Ask for one with --bootable, or leave it out.',
  })
}

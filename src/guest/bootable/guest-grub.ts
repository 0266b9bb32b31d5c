import type { AbortOptions } from '../../core/abort.ts'
import { MiB } from '../../core/bytes.ts'
import type { Filesystem } from '../filesystem/filesystem.ts'
import { isUefiProgram } from './kernel-image.ts'

/*
 * What a guest brings along of GRUB: programs that are complete. They are bytes for the guest's own disk and never run
 * here; its modules are not used at all.
 */

const bootImageBytes = 512
const largestCore = MiB
const largestProgram = 16 * MiB

/**
 * The boot sector and core image that grub-install has left in the guest. The core image knows where its folder is on the
 * disk it was made for, so it is for that disk only.
 * @param folder of GRUB, in this file system
 */
export async function readGuestCore(
  filesystem: Filesystem,
  folder: string,
  options: AbortOptions = {},
): Promise<{ boot: Buffer; core: Buffer } | null> {
  const boot = await readFile(filesystem, `${folder}/i386-pc/boot.img`, {
    ...options,
    maximumBytes: bootImageBytes,
  })
  const core = await readFile(filesystem, `${folder}/i386-pc/core.img`, {
    ...options,
    maximumBytes: largestCore,
  })
  return boot?.length === bootImageBytes && core && core.length > bootImageBytes ? { boot, core } : null
}

/** Where Debian and its relatives have GRUB for UEFI as one program, which looks for grub.cfg in the folder of its distribution. */
const programs = [
  '/usr/lib/grub/x86_64-efi/monolithic/grubx64.efi',
  '/usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed',
] as const

/** GRUB for UEFI as a program of the guest's, with the paths at which it looks for its configuration. */
export async function readGuestUefiProgram(
  filesystem: Filesystem,
  distribution: string,
  options: AbortOptions = {},
): Promise<{ program: Buffer; configPaths: readonly string[] } | null> {
  if (!/^[a-z0-9]{1,32}$/.test(distribution)) return null
  for (const path of programs) {
    const program = await readFile(filesystem, path, { ...options, maximumBytes: largestProgram })
    if (program && isUefiProgram(program.subarray(0, 4096))) {
      return { program, configPaths: [`/EFI/${distribution}/grub.cfg`, '/EFI/BOOT/grub.cfg'] }
    }
  }
  return null
}

async function readFile(
  filesystem: Filesystem,
  path: string,
  { maximumBytes, signal }: AbortOptions & { maximumBytes: number },
): Promise<Buffer | null> {
  const stat = await filesystem.stat(path, { signal, follow: true })
  if (stat?.kind !== 'file' || stat.size > maximumBytes) return null
  return Buffer.from(await filesystem.read(path, { signal, maximumBytes }))
}

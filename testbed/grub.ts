import { type FileHandle, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AbortOptions } from '../src/core/abort.ts'
import { runProgram } from '../src/core/program.ts'
import type { DiskLayout, PartitionLabel } from './partition-table.ts'

const sector = 512
const modules =
  'biosdisk part_msdos part_gpt ext2 normal search search_fs_uuid serial linux terminal configfile'.split(' ')

/** The grub.cfg of a guest with a serial console. Paths are inside the root file system. */
export function grubConfiguration(guest: {
  uuid: string
  title: string
  kernel: string
  initrd: string
  kernelArguments: string
}): string {
  return `set timeout=0
serial --unit=0 --speed=115200
terminal_output serial
search --no-floppy --fs-uuid --set=root ${guest.uuid}
menuentry "${guest.title}" {
  linux ${guest.kernel} ${guest.kernelArguments}
  initrd ${guest.initrd}
}
`
}

/**
 * Writes GRUB for BIOS by bytes, as grub-install would have, but without a loop device or root: the boot sector's
 * code, and the core image behind the MBR or in the BIOS boot partition.
 */
export async function writeBootLoader(
  image: FileHandle,
  label: PartitionLabel,
  layout: DiskLayout,
  { signal }: AbortOptions = {},
): Promise<void> {
  if (!layout.core) throw new Error('A disk without a partition table has no room for GRUB.')
  const bootSector = await readFile('/usr/lib/grub/i386-pc/boot.img')
  const core = await makeCoreImage(label, { signal })
  if (core.length > layout.core.length) throw new Error(`GRUB's core image has ${core.length} bytes.`)
  const first = layout.core.offset / sector
  // boot.img: kernel_sector at 0x5c; diskboot.img, the core's first sector: start of its block list at 0x1f4.
  bootSector.writeBigUInt64LE(BigInt(first), 0x5c)
  core.writeBigUInt64LE(BigInt(first + 1), 0x1f4)
  await image.write(bootSector, 0, 440, 0)
  await image.write(core, 0, core.length, layout.core.offset)
}

async function makeCoreImage(label: PartitionLabel, { signal }: AbortOptions): Promise<Buffer> {
  const work = await mkdtemp(join(tmpdir(), 'imagewright-grub-'))
  try {
    const output = join(work, 'core.img')
    const partition = label === 'gpt' ? 'gpt2' : 'msdos1'
    const target = ['-O', 'i386-pc', '-p', `(hd0,${partition})/boot/grub`, '-o', output]
    await runProgram('grub-mkimage', [...target, ...modules], {
      timeout: 30_000,
      package: 'grub-common grub-pc-bin',
      signal,
    })
    return await readFile(output)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

import { randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { AbortOptions } from '../../core/abort.ts'
import { CoreError } from '../../core/errors.ts'
import { runProgram } from '../../core/program.ts'
import { encodeTarHeader } from '../../disk/tar/tar-header.ts'
import { tarBlock } from '../../disk/tar/tar-layout.ts'
import { GuestError } from '../errors.ts'
import { type BootFirmware, grubTargets } from './grub-modules.ts'

/** GRUB's files on this machine, trusted like every program of it. */
export interface HostGrub {
  /** Holds a folder for each kind of machine. */
  readonly folder: string
  /** Names of the modules there are; null where the files for that firmware are missing. */
  readonly modules: Readonly<Record<BootFirmware, ReadonlySet<string> | null>>
}

/** Looks for GRUB in a folder such as `/usr/lib/grub`. Missing files are no error here. */
export async function findHostGrub(folder: string): Promise<HostGrub> {
  return {
    folder,
    modules: { bios: await listModules(folder, 'bios'), uefi: await listModules(folder, 'uefi') },
  }
}

async function listModules(folder: string, firmware: BootFirmware): Promise<ReadonlySet<string> | null> {
  const target = grubTargets[firmware]
  const names = new Set(await readdir(join(folder, target.folder)).catch(() => []))
  const files = [target.kernelFile, ...(firmware === 'bios' ? ['boot.img', 'diskboot.img'] : [])]
  const modules = new Set([...names].flatMap((name) => (name.endsWith('.mod') ? [name.slice(0, -4)] : [])))
  const isWhole = files.every((name) => names.has(name)) && target.required.every((name) => modules.has(name))
  return isWhole ? modules : null
}

/** The error for a GRUB that is not there; `elsewhere` says where else it was looked for. */
export function loaderMissing(firmware: BootFirmware, folder: string, elsewhere: string): GuestError {
  const target = grubTargets[firmware]
  return new GuestError(
    'BOOT_LOADER_MISSING',
    `GRUB for ${firmware === 'bios' ? 'BIOS' : 'UEFI'} machines is not in ${join(folder, target.folder)}${elsewhere}.`,
    {
      hint: `On Debian or Ubuntu: apt-get install grub-common ${target.package}. Or name a folder that has it with --grub-folder, or leave this firmware out with --firmware.`,
    },
  )
}

export interface BuildGrubOptions extends AbortOptions {
  firmware: BootFirmware
  /** A grub.cfg that it runs when it has started; it is part of the program. */
  configuration: string
  workFolder: string
}

/**
 * GRUB as one program: the core image for BIOS, a UEFI program for UEFI. grub-mkimage puts it together from the modules of
 * this machine; nothing of the guest's takes part.
 * @throws GuestError `BOOT_LOADER_MISSING`; CoreError `PROGRAM_MISSING`
 */
export async function buildGrub(
  { folder, modules: known }: HostGrub,
  { firmware, configuration, workFolder, signal }: BuildGrubOptions,
): Promise<Buffer> {
  const target = grubTargets[firmware]
  const available = known[firmware]
  if (!available) throw loaderMissing(firmware, folder, '')
  const modules = [...target.required, ...target.optional.filter((name) => available.has(name))]
  const work = join(workFolder, `grub-${randomUUID()}`)
  await mkdir(work, { mode: 0o700 })
  try {
    const [memdisk, output] = [join(work, 'memdisk.tar'), join(work, 'image')]
    await writeFile(memdisk, archiveOf('boot/grub/grub.cfg', configuration))
    const settings = [
      '--format',
      target.folder,
      '--directory',
      join(folder, target.folder),
      '--output',
      output,
    ]
    await makeImage([...settings, '--memdisk', memdisk, ...modules], { signal })
    return await readFile(output)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/** The boot sector of GRUB for BIOS. */
export async function readBootSectorCode({ folder }: HostGrub): Promise<Buffer> {
  return readFile(join(folder, grubTargets.bios.folder, 'boot.img'))
}

/** It has another name in Fedora and its relatives. */
async function makeImage(programArguments: readonly string[], { signal }: AbortOptions): Promise<void> {
  const options = { timeout: 60_000, package: 'grub-common', signal }
  try {
    await runProgram('grub-mkimage', programArguments, options)
  } catch (error) {
    if (!(error instanceof CoreError) || error.code !== 'PROGRAM_MISSING') throw error
    await runProgram('grub2-mkimage', programArguments, options).catch((second: unknown) => {
      throw second instanceof CoreError && second.code === 'PROGRAM_MISSING' ? error : second
    })
  }
}

/** A tar archive of one file, which GRUB reads as a disk in its own memory: by default its configuration is looked for there. */
function archiveOf(name: string, text: string): Buffer {
  const content = Buffer.from(text)
  const padding = Buffer.alloc((tarBlock - (content.length % tarBlock)) % tarBlock)
  return Buffer.concat([
    encodeTarHeader({ name, size: content.length }),
    content,
    padding,
    Buffer.alloc(2 * tarBlock),
  ])
}

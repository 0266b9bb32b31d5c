import type { AbortOptions } from '../../core/abort.ts'
import { memoryDisk } from '../../disk/memory-disk.ts'
import { GuestError } from '../errors.ts'
import type { NewFile } from '../filesystem/fat/add-files.ts'
import type { GuestWarning } from '../warnings.ts'
import type { BootableReport } from './bootable.ts'
import { adaptGrubConfig, type BootEntry, writeGrubConfig } from './grub-config.ts'
import { freshArguments } from './kernel-arguments.ts'
import { grubFolders, type RootSystem } from './look-into-root.ts'
import { adaptConfiguration, hasRoomFor, joinEdits, noEdits, type RootEdits, textEdit } from './root-edits.ts'
import type { SeparateKernel } from './separate-kernel.ts'

/** How a root file system that becomes a partition is going to be started. */
export interface Start {
  /** Which file system has GRUB's configuration: the root, or the boot partition of ours. */
  readonly configIn: 'root' | 'boot'
  readonly folders: readonly string[]
  /** Nobody could look into the root: GRUB itself looks for kernels there. */
  readonly searchKernels: boolean
  readonly rootEdits: RootEdits
  /** What goes into a boot partition of ours; empty when none is needed. */
  readonly bootFiles: readonly NewFile[]
  readonly kernel: BootableReport['kernel']
  /** Null where it is not known. */
  readonly startsFromUefi: boolean | null
  readonly changes: readonly string[]
  readonly warnings: readonly GuestWarning[]
}

export interface DecideStart extends AbortOptions {
  /** UUID of the root file system, of its partition, and of the boot partition if there is to be one. */
  ids: { readonly root: string; readonly partition: string; readonly boot: string }
  /** Null where the root file system cannot be looked into. */
  system: RootSystem | null
  separate: SeparateKernel | null
  /** The root is all there is on the disk, so that nothing else that its fstab names will be there. */
  isAlone: boolean
}

const ownFolder = grubFolders[0]
const ownConfig = `${ownFolder}/grub.cfg`

/**
 * The guest's own GRUB configuration stays in charge where it starts a kernel that is there; else there is one of ours, in the
 * root where it can be, so that whoever looks after the system finds it.
 * @throws GuestError `BOOT_NO_KERNEL`
 */
export async function decideStart(options: DecideStart): Promise<Start> {
  const { system, separate } = options
  if (separate) return startSeparate(options, separate)
  if (!system) return startUnseen()
  const configuration = options.isAlone ? await adaptConfiguration(system, options) : noEdits
  const warnings = passedOver(system)
  const [first] = system.kernels.usable
  if (!first) throw noKernel(system)
  if (system.grubConfig) {
    const { path, folder, text } = system.grubConfig
    return {
      ...inRoot,
      folders: [folder],
      rootEdits: joinEdits(configuration, textEdit(path, adaptGrubConfig(text, { uuid: options.ids.root }))),
      kernel: null,
      startsFromUefi: first.startsFromUefi,
      warnings,
    }
  }
  const chosen = { version: first.version, image: first.image, ramdisk: first.ramdisk }
  const common = {
    kernel: chosen,
    startsFromUefi: first.startsFromUefi,
    warnings: [...warnings, ...lacking(chosen, first.modules !== null)],
  }
  const entries = ownEntries(options, system)
  const edits = joinEdits(configuration, configEdits(writeGrubConfig({ entries })))
  if (await hasRoomFor(system, edits, options)) return { ...inRoot, ...common, rootEdits: edits }
  return {
    ...inBoot,
    ...common,
    rootEdits: configuration,
    bootFiles: [configFile(writeGrubConfig({ entries }))],
  }
}

const inRoot = {
  configIn: 'root',
  folders: [ownFolder],
  searchKernels: false,
  bootFiles: [],
  changes: [],
} as const
const inBoot = {
  configIn: 'boot',
  folders: [ownFolder],
  searchKernels: false,
  changes: [`boot partition: ${ownConfig}`],
} as const

/** A kernel of its own goes where the guest would have it, if the guest has modules for it and room; else beside the guest. */
async function startSeparate(options: DecideStart, separate: SeparateKernel): Promise<Start> {
  const { system, ids } = options
  const { kernel, ramdisk, image, version } = separate
  const paths = {
    image: `/boot/vmlinuz-${version}`,
    ramdisk: ramdisk ? `/boot/${ramdiskName(system, version)}` : null,
  }
  const hasModules = system ? await hasModulesOf(system, image.version, options) : null
  const common = {
    kernel: { version: image.version ?? 'unknown', image: kernel.name, ramdisk: ramdisk?.name ?? null },
    startsFromUefi: image.startsFromUefi,
    warnings: [
      ...(system ? passedOver(system) : [unseen]),
      ...lacking({ version: image.version ?? 'unknown', ramdisk: paths.ramdisk }, hasModules),
    ],
  }
  const files = [
    { path: paths.image, content: kernel.content },
    ...(ramdisk && paths.ramdisk ? [{ path: paths.ramdisk, content: ramdisk.content }] : []),
  ]
  const entryIn = (uuid: string): BootEntry => ({
    uuid,
    title: titleOf(system, version),
    kernel: paths.image,
    ramdisk: paths.ramdisk,
    words: freshArguments(system?.words ?? [], rootOf(ids, paths.ramdisk)),
  })
  const others = system ? ownEntries(options, system) : []
  const configuration = system ? await adaptConfiguration(system, options) : noEdits
  if (system && hasModules) {
    const config = writeGrubConfig({
      entries: [entryIn(ids.root), ...others.filter((other) => other.kernel !== paths.image)],
    })
    const put = files.map(({ path }) => `${path} is put in`)
    const edits = joinEdits(
      configuration,
      { directories: ['/boot'], files, changes: put },
      configEdits(config),
    )
    if (await hasRoomFor(system, edits, options)) return { ...inRoot, ...common, rootEdits: edits }
  }
  return {
    ...inBoot,
    ...common,
    rootEdits: configuration,
    bootFiles: [...files, configFile(writeGrubConfig({ entries: [entryIn(ids.boot), ...others] }))],
    changes: [...files.map(({ path }) => `boot partition: ${path}`), ...inBoot.changes],
  }
}

const unseen: GuestWarning = {
  code: 'BOOT_SYSTEM_UNSEEN',
  message:
    'The root file system is of a kind that is not read here: its kernels and its fstab were neither checked nor changed.',
}

function startUnseen(): Start {
  return {
    ...inRoot,
    folders: grubFolders,
    searchKernels: true,
    rootEdits: noEdits,
    kernel: null,
    startsFromUefi: null,
    warnings: [unseen],
  }
}

function ownEntries({ ids }: DecideStart, { kernels, words, os }: RootSystem): BootEntry[] {
  return kernels.usable.map(({ version, image, ramdisk }) => ({
    uuid: ids.root,
    title: `${os.prettyName}, Linux ${version}`,
    kernel: image,
    ramdisk,
    words: freshArguments(words, rootOf(ids, ramdisk)),
  }))
}

/** Without a ramdisk it is the kernel itself that looks for its root, and it knows partitions only. */
function rootOf(ids: DecideStart['ids'], ramdisk: string | null): string {
  return ramdisk === null ? `PARTUUID=${ids.partition}` : `UUID=${ids.root}`
}

function titleOf(system: RootSystem | null, version: string): string {
  return `${system?.os.prettyName ?? 'Linux'}, Linux ${version}`
}

function ramdiskName(system: RootSystem | null, version: string): string {
  switch (system?.os.family) {
    case 'redhat':
      return `initramfs-${version}.img`
    case 'suse':
      return `initrd-${version}`
    default:
      return `initrd.img-${version}`
  }
}

async function hasModulesOf(
  { tree }: RootSystem,
  version: string | null,
  options: AbortOptions,
): Promise<boolean> {
  if (version === null) return false
  for (const folder of ['/lib/modules', '/usr/lib/modules']) {
    const entries = await tree.list(folder, options)
    if (entries.some(({ name, kind }) => name === version && kind === 'directory')) return true
  }
  return false
}

function configEdits(text: string): RootEdits {
  return {
    directories: ['/boot', ownFolder],
    files: [{ path: ownConfig, content: Buffer.from(text) }],
    changes: [`${ownConfig} is written`],
  }
}

function configFile(text: string): NewFile {
  return { path: ownConfig, content: memoryDisk(Buffer.from(text)) }
}

function passedOver({ kernels }: RootSystem): GuestWarning[] {
  return kernels.passedOver.map(({ image, why }) => ({
    code: 'BOOT_KERNEL_PASSED_OVER',
    message: `${image} ${why}.`,
  }))
}

/** @param hasModules null where nobody could look */
function lacking(
  { version, ramdisk }: { version: string; ramdisk: string | null },
  hasModules: boolean | null,
): GuestWarning[] {
  const warnings: GuestWarning[] = []
  if (hasModules === false) {
    const message = `The image has no modules for the kernel ${version} (/lib/modules/${version}): what is not built into it will be missing.`
    warnings.push({ code: 'BOOT_MODULES_MISSING', message })
  }
  if (ramdisk === null) {
    const message = `There is no ramdisk for the kernel ${version}: it starts only if all it needs is built into it.`
    warnings.push({ code: 'BOOT_RAMDISK_MISSING', message })
  }
  return warnings
}

function noKernel({ kernels }: RootSystem): GuestError {
  const reasons = kernels.passedOver.map(({ image, why }) => ` ${image} ${why}.`).join('')
  return new GuestError('BOOT_NO_KERNEL', `There is no kernel in /boot that can be started.${reasons}`, {
    hint: 'Give the kernel and its ramdisk with --kernel and --ramdisk.',
  })
}

import type { AbortOptions } from '../../core/abort.ts'
import { GuestError } from '../errors.ts'
import type { Filesystem } from '../filesystem/filesystem.ts'
import { createGuestTree, type GuestTree } from '../guest-tree.ts'
import { readArchitecture } from '../inspect/architecture.ts'
import { type GuestOs, readOs } from '../inspect/os-release.ts'
import { type FoundKernels, findKernels } from './find-kernels.ts'
import { linuxLines, usesBootLoaderSpecification } from './grub-config.ts'
import { readGuestArguments } from './other-loaders.ts'

/** What a root file system holds that matters for its start. */
export interface RootSystem {
  readonly filesystem: Filesystem
  readonly tree: GuestTree
  readonly os: GuestOs
  readonly kernels: FoundKernels
  /** The guest's own configuration of GRUB 2, if it starts a kernel that is there. */
  readonly grubConfig: { readonly path: string; readonly folder: string; readonly text: string } | null
  /** Words for the kernel, from whatever loader the guest had. */
  readonly words: readonly string[]
}

export const grubFolders = ['/boot/grub', '/boot/grub2'] as const
const maximumConfig = 1024 * 1024

/**
 * Looks into a root file system.
 * @param knowsBls whether the GRUB that will start it reads files of the Boot Loader Specification
 * @throws GuestError `BOOT_ROOT_UNSUPPORTED` without a system | `BOOT_ARCHITECTURE_UNSUPPORTED`
 */
export async function lookIntoRoot(
  filesystem: Filesystem,
  { knowsBls, signal }: AbortOptions & { knowsBls: boolean },
): Promise<RootSystem> {
  const tree = createGuestTree([{ path: '/', filesystem }])
  if (!(await hasInit(tree, { signal }))) {
    throw new GuestError(
      'BOOT_ROOT_UNSUPPORTED',
      'The file system holds no system: there is no init in it.',
      {
        hint: 'What is made bootable is the root file system of a Linux system.',
      },
    )
  }
  const architecture = await readArchitecture(tree, { signal })
  if (architecture !== null && architecture !== 'x86_64' && architecture !== 'i686') {
    throw new GuestError('BOOT_ARCHITECTURE_UNSUPPORTED', `The system in the image is for ${architecture}.`, {
      hint: 'Boot loaders are installed for machines of the x86 kind only.',
    })
  }
  const kernels = await findKernels(tree, { signal })
  const bootable = new Set(kernels.usable.map(({ image }) => image))
  return {
    filesystem,
    tree,
    os: await readOs(tree, { signal }),
    kernels,
    grubConfig: await findGrubConfig(tree, { bootable, knowsBls, signal }),
    words: await readGuestArguments(tree, { signal }),
  }
}

async function hasInit(tree: GuestTree, options: AbortOptions): Promise<boolean> {
  for (const path of [
    '/sbin/init',
    '/usr/lib/systemd/systemd',
    '/init',
    '/bin/init',
    '/etc/init',
    '/bin/sh',
  ]) {
    if ((await tree.stat(path, { ...options, follow: false })) !== null) return true
  }
  return false
}

async function findGrubConfig(
  tree: GuestTree,
  { bootable, knowsBls, signal }: AbortOptions & { bootable: ReadonlySet<string>; knowsBls: boolean },
): Promise<RootSystem['grubConfig']> {
  for (const folder of grubFolders) {
    const path = await tree.resolve(`${folder}/grub.cfg`, { signal })
    const stat = path === null ? null : await tree.stat(path, { signal })
    if (path === null || stat?.kind !== 'file' || stat.size > maximumConfig) continue
    const text = Buffer.from((await tree.read(path, { signal })) ?? []).toString('latin1')
    const starts = await startsOneOf(linuxLines(text), { tree, bootable, signal })
    if (starts || (knowsBls && usesBootLoaderSpecification(text))) return { path, folder, text }
  }
  return null
}

/** Kernels are often named by links, such as /vmlinuz. */
async function startsOneOf(
  lines: readonly { readonly path: string }[],
  { tree, bootable, signal }: AbortOptions & { tree: GuestTree; bootable: ReadonlySet<string> },
): Promise<boolean> {
  for (const { path } of lines) {
    if (!path.startsWith('/')) continue
    const resolved = await tree.resolve(path, { signal })
    if (resolved !== null && bootable.has(resolved)) return true
  }
  return false
}

import { truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Disk } from '../../src/disk/disk.ts'
import { memoryDisk } from '../../src/disk/memory-disk.ts'
import type { BootableOptions, PreparedBootable, SeparateFile } from '../../src/guest/bootable/bootable.ts'
import { findHostGrub } from '../../src/guest/bootable/build-grub.ts'
import { prepareBootable } from '../../src/guest/bootable/prepare-bootable.ts'
import { openGuest } from '../../src/guest/open-guest.ts'
import { type KernelSketch, sketchKernel } from '../../testbed/kernel-sketch.ts'
import { buildExt4Image, openImage, type TreeEntry } from './ext4-image.ts'

export const rootUuid = '6e0a3a50-1d5c-4f3f-9a39-0d1b6a3c5f11'
export const grubFolder = '/usr/lib/grub'
export const ramdiskBytes = Buffer.from('070701-a-cpio-archive')

/** A tree that is a Linux system as far as anybody can see who does not start it. */
export const systemTree: Readonly<Record<string, TreeEntry>> = {
  '/sbin/init': '#!/bin/sh\n',
  '/etc/os-release': 'ID=debian\nPRETTY_NAME="Debian GNU/Linux 12"\n',
  '/etc/passwd': 'root:x:0:0::/root:/bin/sh\n',
  '/etc/fstab': '/dev/sda1 / ext3 defaults 0 0\n/dev/sdb /mnt ext3 defaults 0 0\n',
  '/usr/bin/env': 'x',
}

/** A kernel with modules and ramdisk in a tree. */
export function kernelIn(version: string, sketch: Partial<KernelSketch> = {}): Record<string, TreeEntry> {
  return {
    [`/boot/vmlinuz-${version}`]: sketchKernel({ version, ...sketch }),
    [`/boot/initrd.img-${version}`]: ramdiskBytes,
    [`/lib/modules/${version}`]: { directory: true },
  }
}

export interface RootImage {
  tree?: Readonly<Record<string, TreeEntry>>
  /** As mke2fs takes it. */
  size?: string
  features?: readonly string[]
}

/** A root file system without a partition table. */
export async function buildRoot(
  path: string,
  { tree = {}, size = '16M', features = [] }: RootImage,
): Promise<void> {
  await buildExt4Image(path, { features: ['-t', 'ext4', '-U', rootUuid, ...features], size, tree })
}

/** An empty file system of another kind, as an image. */
export async function emptyFile(path: string, bytes: number): Promise<void> {
  await writeFile(path, '')
  await truncate(path, bytes)
}

export function separateFile(name: string, bytes: Uint8Array, isSuggestion = false): SeparateFile {
  return { name, content: memoryDisk(bytes), isSuggestion }
}

/** Prepares a disk, with the GRUB of this machine unless told otherwise, and hands on what came of it. */
export async function withPrepared<T>(
  disk: Disk,
  { workFolder, ...options }: Partial<BootableOptions> & { workFolder: string },
  use: (prepared: PreparedBootable) => Promise<T>,
): Promise<T> {
  const guest = await openGuest(disk, { workFolder })
  try {
    const grub = await findHostGrub(grubFolder)
    const asked = { firmware: null, kernel: null, ramdisk: null, growTo: null, grub, workFolder, ...options }
    return await use(await prepareBootable(guest, asked))
  } finally {
    await guest.close()
  }
}

/** All bytes of the disk that is made, and the report. */
export async function makeBootable(disk: Disk, options: Parameters<typeof withPrepared>[1]) {
  return withPrepared(disk, options, async ({ report, make }) => ({
    report,
    disk: await inMemory(await make()),
  }))
}

async function inMemory(disk: Disk): Promise<Disk> {
  const bytes = Buffer.alloc(disk.size)
  for await (const { offset, length, kind } of disk.extents()) {
    if (kind === 'data') await disk.read(bytes.subarray(offset, offset + length), offset)
  }
  return memoryDisk(bytes)
}

/** Opens the image of `buildRoot` in a folder under a name. */
export async function rootDisk(folder: string, image: RootImage): Promise<Disk> {
  const path = join(folder, 'root.img')
  await buildRoot(path, image)
  const disk = await openImage(path)
  const bytes = await inMemory(disk)
  await disk.close()
  return bytes
}

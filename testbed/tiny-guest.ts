import { randomUUID } from 'node:crypto'
import { open, readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { AbortOptions } from '../src/core/abort.ts'
import { runProgram } from '../src/core/program.ts'
import { makeExt4 } from './ext4-filesystem.ts'
import { grubConfiguration, writeBootLoader } from './grub.ts'
import { directory, file, type GuestEntry, link } from './guest-tree.ts'
import { findHostKernel, findModules } from './host-kernel.ts'
import { newcArchive } from './newc-archive.ts'
import { layOutDisk, type PartitionLabel, writePartitionTable } from './partition-table.ts'

export interface TinyGuestOptions extends AbortOptions {
  /** Bytes; a multiple of 1 MiB, at least 8 MiB, 64 MiB when bootable. */
  size?: number
  label?: PartitionLabel
  /**
   * With kernel, initramfs and GRUB, the last only where there is a partition table; prints `TINY-BOOT-OK` on its serial console
   * when it is up. `separate`: all that but what `tinyBootFiles` gives.
   */
  bootable?: boolean | 'separate'
  journal?: boolean
  /** How many files there is room for; as mke2fs chooses when absent. */
  inodes?: number
  /** Added to the tree; the same path replaces what is there. */
  entries?: readonly GuestEntry[]
  /** Written, then unlinked: content and names stay in the free space. */
  deleted?: readonly GuestEntry[]
  /** Lines of shell that run as root at the end of its boot, before `TINY-BOOT-OK`. */
  atBoot?: string
}

export interface TinyGuest {
  readonly path: string
  readonly size: number
  /** The root file system, bytes. */
  readonly root: { readonly offset: number; readonly length: number }
  readonly uuid: string
}

const mebibyte = 1024 * 1024

/**
 * Builds a raw disk with a Linux-like tree: busybox, the usual files of /etc, two users. In a second or two, without
 * root, without a loop device. Without `bootable` it needs nothing but e2fsprogs (and busybox if it is there).
 */
export async function buildTinyGuest(path: string, options: TinyGuestOptions = {}): Promise<TinyGuest> {
  const { bootable = false, label = 'dos', journal = true, signal } = options
  const size = options.size ?? (bootable ? 64 : 16) * mebibyte
  const uuid = randomUUID()
  const layout = layOutDisk(label, size)
  const image = await open(path, 'w')
  try {
    await image.truncate(size)
    await writePartitionTable(image, label, size)
    if (bootable === true && layout.core) await writeBootLoader(image, label, layout, { signal })
    const entries = await tinyTree(uuid, options)
    const deleted = options.deleted ?? []
    const extraArguments = options.inodes === undefined ? [] : ['-N', `${options.inodes}`]
    await makeExt4(path, entries, { ...layout.root, uuid, journal, deleted, extraArguments, signal })
  } finally {
    await image.close()
  }
  return { path, size, root: layout.root, uuid }
}

/** Everything in a tiny guest whose root file system has this UUID. */
export async function tinyTree(
  uuid: string,
  {
    bootable = false,
    atBoot,
    entries = [],
    type,
  }: Pick<TinyGuestOptions, 'bootable' | 'atBoot' | 'entries'> & RootType,
): Promise<GuestEntry[]> {
  return [
    ...baseTree(uuid),
    ...(await busybox(bootable !== false)),
    ...(bootable === false ? [] : startFiles(atBoot)),
    ...(bootable === true ? await bootFiles(uuid, type) : []),
    ...entries,
  ]
}

/** What its initramfs mounts. */
export interface RootType {
  type?: 'ext4' | 'xfs'
}

/** Kernel and initramfs for a tiny guest that has none, and the version whose modules the kernel looks for. */
export async function tinyBootFiles(
  uuid: string,
  { type = 'ext4' }: RootType = {},
): Promise<{ version: string; kernel: Buffer; ramdisk: Buffer }> {
  const { version, image } = await findHostKernel()
  return { version, kernel: await readFile(image), ramdisk: await initramfs(uuid, type) }
}

const passwd = `root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
www-data:x:33:33:www-data:/var/www:/usr/sbin/nologin
sshd:x:101:65534::/run/sshd:/usr/sbin/nologin
alice:x:1000:1000:Alice:/home/alice:/bin/sh
dev:x:1001:1001:Dev:/srv/home/dev:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
`

function baseTree(uuid: string): GuestEntry[] {
  const folders = '/bin /sbin /dev /proc /sys /run /mnt /usr/bin /usr/sbin /var/log /var/lib /var/spool /boot'
  return [
    ...folders.split(' ').map((path) => directory(path)),
    directory('/tmp', { mode: 0o1777 }),
    directory('/var/tmp', { mode: 0o1777 }),
    directory('/root', { mode: 0o700 }),
    directory('/home/alice', { mode: 0o700, uid: 1000, gid: 1000 }),
    directory('/srv/home/dev', { mode: 0o700, uid: 1001, gid: 1001 }),
    file('/etc/os-release', 'ID=tiny\nNAME="Tiny"\nPRETTY_NAME="Tiny 1"\nVERSION_ID="1"\nID_LIKE=debian\n'),
    file('/etc/passwd', passwd),
    file('/etc/shadow', 'root::19000:0:99999:7:::\nalice:!:19000:0:99999:7:::\ndev:!:19000:0:99999:7:::\n', {
      mode: 0o640,
      gid: 42,
    }),
    file(
      '/etc/group',
      'root:x:0:\nshadow:x:42:\nusers:x:100:alice\nalice:x:1000:\ndev:x:1001:\nnogroup:x:65534:\n',
    ),
    file('/etc/hostname', 'tiny\n'),
    file('/etc/hosts', '127.0.0.1 localhost tiny\n'),
    file('/etc/fstab', `UUID=${uuid} / ext4 defaults 0 1\n`),
    file('/etc/machine-id', `${randomUUID().replaceAll('-', '')}\n`, { mode: 0o444 }),
    file('/var/log/messages', 'tiny kernel: started\n', { mode: 0o640, gid: 4 }),
  ]
}

async function busybox(needed: boolean): Promise<GuestEntry[]> {
  const program = await readFile('/bin/busybox').catch(() => null)
  if (!program) {
    if (needed) throw new Error('A bootable guest needs /bin/busybox: apt-get install busybox-static')
    return []
  }
  const { stdout } = await runProgram('/bin/busybox', ['--list'], { timeout: 10_000 })
  const applets = stdout.split('\n').filter((name) => name !== '' && name !== 'busybox')
  return [
    file('/bin/busybox', program, { mode: 0o755 }),
    ...applets.map((name) => link(`/bin/${name}`, 'busybox')),
    link('/sbin/init', '../bin/busybox'),
  ]
}

async function bootFiles(uuid: string, type: RootType['type'] = 'ext4'): Promise<GuestEntry[]> {
  const { version, kernel, ramdisk } = await tinyBootFiles(uuid, { type })
  const [kernelFile, initramfsFile] = [`/boot/vmlinuz-${version}`, `/boot/initrd.img-${version}`]
  const configuration = grubConfiguration({
    uuid,
    title: 'Tiny',
    kernel: kernelFile,
    initrd: initramfsFile,
    kernelArguments: `root=UUID=${uuid} console=tty0 console=ttyS0,115200 quiet panic=5`,
  })
  return [file(kernelFile, kernel), file(initramfsFile, ramdisk), file('/boot/grub/grub.cfg', configuration)]
}

function startFiles(atBoot = ''): GuestEntry[] {
  return [file('/etc/inittab', inittab), file('/etc/init.d/rcS', startScript(atBoot), { mode: 0o755 })]
}

const inittab = `::sysinit:/etc/init.d/rcS
ttyS0::respawn:/bin/getty -L 115200 ttyS0 vt100
::ctrlaltdel:/bin/reboot
::shutdown:/bin/umount -a -r
`

/** Gives itself a machine-id where the image has none, as systemd would, and says which on the console. */
function startScript(atBoot: string): string {
  return `#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -o remount,rw /
hostname -F /etc/hostname
ip link set lo up
case "$(cat /etc/machine-id)" in
  ''|uninitialized) tr -d - < /proc/sys/kernel/random/uuid > /etc/machine-id ;;
esac
${atBoot}
echo "TINY-MACHINE-ID $(cat /etc/machine-id)" > /dev/console
echo "TINY-BOOT-OK" > /dev/console
`
}

async function initramfs(uuid: string, type: 'ext4' | 'xfs'): Promise<Buffer> {
  const drivers = `virtio_pci virtio_blk virtio_scsi sd_mod virtio_net crc32c_generic crc32c_intel ${type}`
  const modules = await findModules(await findHostKernel(), drivers.split(' '))
  const init = `#!/bin/sh
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
while read module; do insmod $module 2>/dev/null; done < /modules
tries=0
while [ $tries -lt 100 ]; do
  root=$(findfs UUID=${uuid} 2>/dev/null) && break
  tries=$((tries + 1))
  sleep 0.1
done
mount -t ${type} -o ro $root /new && exec switch_root /new /sbin/init
echo TINY-BOOT-FAILED > /dev/console
exec sh
`
  const archive = newcArchive([
    ...['bin', 'proc', 'sys', 'dev', 'new', 'm'].map((name) => directory(name)),
    file('bin/busybox', await readFile('/bin/busybox'), { mode: 0o755 }),
    ...'sh mount switch_root insmod findfs sleep'.split(' ').map((name) => link(`bin/${name}`, 'busybox')),
    ...(await Promise.all(modules.map(async (path) => file(`m/${basename(path)}`, await readFile(path))))),
    file('modules', modules.map((path) => `/m/${basename(path)}\n`).join('')),
    file('init', init, { mode: 0o755 }),
  ])
  return gzipSync(archive, { level: 1 })
}

import { accessSync, constants } from 'node:fs'
import { delimiter, isAbsolute, join } from 'node:path'

/**
 * Programs the tests and the demo may need that a bare Debian lacks, with the package that brings each. A name that
 * starts with `/` is a file that must be there, for packages that bring data instead of a program.
 */
const packages = {
  tar: 'tar',
  gzip: 'gzip',
  xz: 'xz-utils',
  zstd: 'zstd',
  pzstd: 'zstd',
  python3: 'python3',
  'qemu-img': 'qemu-utils',
  // A file of the package: Python keeps its modules under names of versions and architectures.
  '/usr/share/doc/python3-libvhdi/copyright': 'python3-libvhdi',
  '/usr/share/doc/python3-libvmdk/copyright': 'python3-libvmdk',
  '/usr/lib/python3/dist-packages/glance/common/format_inspector.py': 'python3-glance',
  'qemu-system-x86_64': 'qemu-system-x86',
  mmdebstrap: 'mmdebstrap',
  mke2fs: 'e2fsprogs',
  e2fsck: 'e2fsprogs',
  debugfs: 'e2fsprogs',
  strings: 'binutils',
  extundelete: 'extundelete',
  ext4magic: 'ext4magic',
  photorec: 'testdisk',
  foremost: 'foremost',
  scalpel: 'scalpel',
  sfdisk: 'fdisk',
  sgdisk: 'gdisk',
  'fsck.vfat': 'dosfstools',
  'mkfs.vfat': 'dosfstools',
  mcopy: 'mtools',
  'mkfs.xfs': 'xfsprogs',
  cryptsetup: 'cryptsetup-bin',
  guestfish: 'libguestfs-tools',
  '/usr/share/doc/libguestfs-xfs/copyright': 'libguestfs-xfs',
  '/usr/share/doc/linux-image-amd64/copyright': 'linux-image-amd64',
  'mkfs.f2fs': 'f2fs-tools',
  btrfs: 'btrfs-progs',
  xfs_repair: 'xfsprogs',
  busybox: 'busybox-static',
  'grub-mkimage': 'grub-common',
  'grub-fstest': 'grub-common',
  '/usr/lib/grub/i386-pc/boot.img': 'grub-pc-bin',
  '/usr/lib/grub/x86_64-efi/kernel.img': 'grub-efi-amd64-bin',
  '/usr/share/OVMF/OVMF_CODE_4M.fd': 'ovmf',
  'virt-v2v': 'virt-v2v',
  nbdkit: 'nbdkit',
  nbdcopy: 'libnbd-bin',
  xmllint: 'libxml2-utils',
  openstack: 'python3-openstackclient',
  ssh: 'openssh-client',
  'ssh-keygen': 'openssh-client',
  'keystone-manage': 'keystone',
  'glance-api': 'glance-api',
  '/usr/bin/placement-api': 'placement-api',
  'nova-api': 'nova-api',
  'nova-conductor': 'nova-conductor',
  'nova-scheduler': 'nova-scheduler',
  'nova-compute': 'nova-compute',
  libvirtd: 'nova-compute-kvm',
  'neutron-server': 'neutron-server',
  'neutron-linuxbridge-agent': 'neutron-linuxbridge-agent',
  'neutron-dhcp-agent': 'neutron-dhcp-agent',
  '/usr/bin/cinder-wsgi': 'cinder-api',
  'cinder-scheduler': 'cinder-scheduler',
  'cinder-volume': 'cinder-volume',
  mariadbd: 'mariadb-server',
  'rabbitmq-server': 'rabbitmq-server',
  genisoimage: 'genisoimage',
} as const

export type Requirement = keyof typeof packages

/** The Debian packages to install for these programs; empty when all are there. */
export function missingPackages(programs: readonly Requirement[]): string[] {
  return [...new Set(programs.filter((program) => !isInstalled(program)).map((program) => packages[program]))]
}

/** Whether the machine has the program, looked for where `runProgram` looks: `PATH` and the folders of sbin. */
export function isInstalled(program: Requirement): boolean {
  const candidates = isAbsolute(program)
    ? [program]
    : [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'].map((folder) =>
        join(folder, program),
      )
  const mode = isAbsolute(program) ? constants.R_OK : constants.X_OK
  return candidates.some((candidate) => isAccessible(candidate, mode))
}

function isAccessible(path: string, mode: number): boolean {
  try {
    accessSync(path, mode)
    return true
  } catch {
    return false
  }
}

import { createHash, randomUUID } from 'node:crypto'
import { chmod, mkdir, mkdtemp, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AbortOptions } from '../src/core/abort.ts'
import { runProgram } from '../src/core/program.ts'
import { makeExt4FromFolder } from './ext4-filesystem.ts'
import { writeBootLoader } from './grub.ts'
import { layOutDisk, writePartitionTable } from './partition-table.ts'
import { testbedFolder } from './testbed-folder.ts'

export interface DebianGuestOptions extends AbortOptions {
  /** `qcow2` needs qemu-img. */
  format?: 'raw' | 'qcow2'
  /** Told when a guest has to be built first, which takes a minute. */
  onProgress?: (message: string) => void
}

/** The programs `buildDebianGuest` needs, for `describeWith`. */
export const debianGuestRequirements = [
  'mmdebstrap',
  'mke2fs',
  'grub-mkimage',
  '/usr/lib/grub/i386-pc/boot.img',
] as const

/**
 * Builds a Debian 12 guest from packages: systemd, sshd, cloud-init ready for NoCloud, sudo, cron, rsyslog, the QEMU
 * guest agent; ext4 on one MBR partition, GRUB for BIOS, serial console. It holds no host keys and no machine-id.
 * One build serves a whole day: it is kept in the testbed's folder under a name made from its recipe. Works as root,
 * and as another user where the machine allows user namespaces.
 */
export async function buildDebianGuest(path: string, options: DebianGuestOptions = {}): Promise<void> {
  const { format = 'raw', signal } = options
  const kept = await keptGuest(options)
  if (format === 'raw') {
    await copySparse(kept, path, { signal })
    return
  }
  await runProgram('qemu-img', ['convert', '-f', 'raw', '-O', format, kept, path], {
    timeout: 300_000,
    package: 'qemu-utils',
    signal,
  })
}

const size = 1536 * 1024 * 1024

const packages = [
  ...['linux-image-cloud-amd64', 'systemd-sysv', 'udev', 'dbus', 'libpam-systemd', 'kmod', 'e2fsprogs'],
  ...['openssh-server', 'sudo', 'iproute2', 'cloud-init', 'cloud-guest-utils', 'fdisk'],
  ...['qemu-guest-agent', 'cron', 'rsyslog'],
]

/** Written into the guest once, by its own root. */
const configuration = (uuid: string) => `
echo 'UUID=${uuid} / ext4 errors=remount-ro 0 1' > /etc/fstab
echo debian12 > /etc/hostname
printf '127.0.0.1 localhost\\n127.0.1.1 debian12\\n' > /etc/hosts
rm -f /etc/ssh/ssh_host_* /var/lib/systemd/random-seed
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin
systemctl enable systemd-networkd
systemctl mask apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer
cat > /etc/cloud/cloud.cfg.d/90-testbed.cfg <<'END'
# The modules a test looks at, and no others: each costs a second of an emulated boot, an RSA key seven.
datasource_list: [NoCloud, None]
manage_etc_hosts: localhost
ssh_genkeytypes: [ed25519, ecdsa]
cloud_init_modules: [write-files, growpart, resizefs, set_hostname, update_hostname, update_etc_hosts, users-groups, ssh]
cloud_config_modules: [set-passwords, runcmd]
cloud_final_modules: [scripts-user, final-message]
END
mkdir -p /boot/grub
cat > /boot/grub/grub.cfg <<END
set timeout=0
serial --unit=0 --speed=115200
terminal_output serial
search --no-floppy --fs-uuid --set=root ${uuid}
menuentry "Debian GNU/Linux" {
  linux $(echo /boot/vmlinuz-*) root=UUID=${uuid} ro console=ttyS0,115200 net.ifnames=0
  initrd $(echo /boot/initrd.img-*)
}
END
`

async function keptGuest({ onProgress, signal }: DebianGuestOptions): Promise<string> {
  const day = new Date().toISOString().slice(0, 10)
  const recipe = await readFile(new URL(import.meta.url))
  const key = createHash('sha256').update(recipe).digest('hex').slice(0, 12)
  const folder = join(testbedFolder(), 'guests')
  const kept = join(folder, `debian-12-${day}-${key}.raw`)
  if (await stat(kept).catch(() => null)) return kept

  onProgress?.('Building a Debian 12 guest from packages (about a minute) ...')
  await mkdir(folder, { recursive: true })
  // The root of a user namespace is another user of the host: it must be able to enter.
  const work = await mkdtemp(join(tmpdir(), 'imagewright-debian-'))
  await chmod(work, 0o755)
  try {
    const image = join(work, 'disk.raw')
    await buildDisk(image, work, { signal })
    const copy = `${kept}.${process.pid}`
    await copySparse(image, copy, { signal })
    await chmod(copy, 0o644)
    await rename(copy, kept)
    return kept
  } finally {
    await emptyAsNamespaceRoot(join(work, 'root'))
    await rm(work, { recursive: true, force: true })
  }
}

/** Keeps holes, which the runtime's own copy fills with a gigabyte of zeros. */
async function copySparse(from: string, to: string, { signal }: AbortOptions): Promise<void> {
  await runProgram('cp', ['--sparse=always', '--reflink=auto', from, to], { timeout: 300_000, signal })
}

/** The folder itself stays: the one above belongs to the caller, who can remove an empty folder from it. */
async function emptyAsNamespaceRoot(folder: string): Promise<void> {
  if (!(await stat(folder).catch(() => null))) return
  const { program, programArguments } = asNamespaceRoot('find', [folder, '-mindepth', '1', '-delete'])
  await runProgram(program, programArguments, { timeout: 60_000 })
}

async function buildDisk(path: string, work: string, { signal }: AbortOptions): Promise<void> {
  const uuid = randomUUID()
  const root = join(work, 'root')
  await installPackages(root, configuration(uuid), { signal })
  const layout = layOutDisk('dos', size)
  const image = await open(path, 'w')
  try {
    await image.chmod(0o666)
    await image.truncate(size)
    await writePartitionTable(image, 'dos', size)
    await writeBootLoader(image, 'dos', layout, { signal })
    await makeExt4FromFolder(path, root, { ...layout.root, uuid, signal, as: asNamespaceRoot })
  } finally {
    await image.close()
  }
}

async function installPackages(root: string, script: string, { signal }: AbortOptions): Promise<void> {
  const excluded = ['man', 'doc', 'locale', 'info', 'lintian', 'bug']
  await runProgram(
    'mmdebstrap',
    [
      ...['--quiet', '--variant=minbase', '--mode=auto', '--format=directory'],
      `--include=${packages.join(',')}`,
      ...['--aptopt=Apt::Install-Recommends "false"', '--dpkgopt=force-unsafe-io'],
      ...excluded.map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`),
      `--customize-hook=chroot "$1" sh -eu -c '${script.replaceAll("'", `'\\''`)}'`,
      ...['bookworm', root, ...(await packageSources())],
    ],
    { timeout: 1_200_000, signal },
  )
}

/** The machine's own package sources where it is a Debian 12 itself, so that its mirror is used; else the default. */
async function packageSources(): Promise<string[]> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '')
  if (!/^VERSION_CODENAME=bookworm$/m.test(release)) return []
  const candidates = ['/etc/apt/sources.list.d/debian.sources', '/etc/apt/sources.list']
  for (const path of candidates) if ((await stat(path).catch(() => null))?.size) return [path]
  return []
}

/** As the user who owns the packages' files: root itself, or the root of mmdebstrap's user namespace. */
function asNamespaceRoot(program: string, programArguments: readonly string[]) {
  if (process.getuid?.() === 0) return { program, programArguments }
  return { program: 'mmdebstrap', programArguments: ['--unshare-helper', program, ...programArguments] }
}

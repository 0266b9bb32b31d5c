import { randomUUID } from 'node:crypto'
import { mkdtemp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, posix } from 'node:path'
import type { AbortOptions } from '../src/core/abort.ts'
import { runProgram } from '../src/core/program.ts'
import { file, type GuestEntry, writeTree } from './guest-tree.ts'
import { tinyTree } from './tiny-guest.ts'

/** Where the files of a guest lie that is not on plain ext4 partitions. */
export type VolumeGuestKind = 'xfs' | 'btrfs' | 'f2fs' | 'lvm' | 'luks' | 'raid'

export interface VolumeGuest {
  readonly kind: VolumeGuestKind
  /** Where the raw disk is written. */
  readonly path: string
  /** Added to the tree. */
  readonly entries: readonly GuestEntry[]
  /** Written, synced, then unlinked. */
  readonly deleted: readonly GuestEntry[]
  /** Of files of the tree: `i` makes one immutable, `a` append-only. */
  readonly locked: readonly LockedFile[]
  /** Put into places that nothing owns: swap, unallocated extents, what is between partitions. */
  readonly marker: string
  /** Where an archive of all its files is written, as the kernel of libguestfs reads them. */
  readonly archive: string
}

export interface LockedFile {
  readonly path: string
  readonly flags: string
}

export const volumePassphrase = 'open sesame'

const mebibyte = 1024 * 1024

interface Mount {
  readonly device: string
  readonly path: string
  readonly options?: string
}

interface Recipe {
  readonly size: number
  /** Partitions in MiB, one after the other from 1 MiB on. */
  readonly partitions: readonly number[]
  /** Commands of guestfish that make the file systems; `$d` stands for the disk, `$l` for its letter. */
  readonly make: readonly string[]
  /** Commands before them, and before every later use. */
  readonly open?: readonly string[]
  readonly mounts: readonly Mount[]
  readonly fstab: string
  /** Devices, or places in the disk, that hold a marker and nothing else. */
  readonly soiled: readonly string[]
  /** Commands after that. */
  readonly after?: readonly string[]
}

/**
 * Builds guests in one virtual machine of libguestfs: partitions, a separate /boot, and the tree of a tiny guest in which files were
 * deleted before.
 */
export async function buildVolumeGuests(
  guests: readonly VolumeGuest[],
  { signal }: AbortOptions = {},
): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), 'imagewright-volumes-'))
  try {
    const commands: string[] = []
    for (const [index, guest] of guests.entries()) {
      const { kind, path, entries, deleted, locked, marker, archive } = guest
      const recipe = recipes[kind]
      await writeFile(path, '')
      await truncate(path, recipe.size * mebibyte)
      if (kind === 'luks') await encryptPartition(path, work, signal)
      const letter = String.fromCharCode(97 + index)
      const soil = join(work, `soil-${letter}`)
      await writeFile(soil, `${marker} in a place of nobody\n`.repeat(2000))
      const fstab = recipe.fstab.replaceAll('$l', letter)
      const tree = [...(await tinyTree(randomUUID(), { entries })), file('/etc/fstab', fstab)]
      const [kept, gone] = [await tarOf(work, tree), await tarOf(work, deleted)]
      const [onDisk, onDevices] = [true, false].map((isDisk) =>
        recipe.soiled.filter((place) => place.startsWith('$d ') === isDisk),
      )
      const lines = [
        // First, as the kernel looks for partitions again after a write to the whole disk, and has none meanwhile.
        ...uploadAll(soil, onDisk),
        ...partition(recipe),
        ...(recipe.open ?? []),
        ...recipe.make,
        ...uploadAll(soil, onDevices),
        ...fill(recipe, { kept, gone, deleted, locked, soil, archive }),
      ]
      commands.push(
        ...lines.map((line) => line.replaceAll('$d', `/dev/sd${letter}`).replaceAll('$l', letter)),
      )
    }
    await runGuestfish(
      guests.map(({ path }) => path),
      commands,
      { signal },
    )
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/**
 * Archives all files of each guest, without a change to its disk.
 * @returns for each the flags that its `locked` files have
 */
export async function archiveVolumeGuests(
  guests: readonly Pick<VolumeGuest, 'kind' | 'path' | 'locked' | 'archive'>[],
  { signal }: AbortOptions = {},
): Promise<LockedFile[][]> {
  const commands = guests.flatMap(({ kind, locked, archive }, index) => {
    const { mounts, open = [] } = recipes[kind]
    const letter = String.fromCharCode(97 + index)
    const asked = locked.map(({ path }) => `get-e2attrs "${path}"`)
    const lines = [...open, ...mountAll(mounts), ...asked, ...archiveAll(archive)]
    return lines.map((line) => line.replaceAll('$d', `/dev/sd${letter}`).replaceAll('$l', letter))
  })
  const output = await runGuestfish(
    guests.map(({ path }) => path),
    commands,
    { signal, readOnly: true },
  )
  const answers = output.split('\n')
  return guests.map(({ locked }) =>
    locked.map(({ path }) => ({ path, flags: answers.shift()?.replace(/[^ai]/g, '') ?? '' })),
  )
}

async function runGuestfish(
  disks: readonly string[],
  commands: readonly string[],
  { signal, readOnly = false }: AbortOptions & { readOnly?: boolean },
): Promise<string> {
  const drives = disks.map(
    (path) => `add-drive ${path} format:raw ${readOnly ? 'readonly:true' : 'cachemode:unsafe'}`,
  )
  const script = ['set-backend direct', 'set-backend-settings force_tcg', ...drives, 'run', ...commands]
  const { stdout } = await runProgram('guestfish', ['--keys-from-stdin'], {
    timeout: 1_800_000,
    input: `${script.join('\n')}\n`,
    package: 'libguestfs-tools',
    signal,
  })
  return stdout
}

/**
 * LUKS 2 with argon2id, which is made cheap here: in the virtual machine cryptsetup would measure for minutes what it may cost.
 */
async function encryptPartition(path: string, work: string, signal: AbortSignal | undefined): Promise<void> {
  const part = join(work, 'luks')
  await writeFile(part, '')
  await truncate(part, (recipes.luks.partitions[1] ?? 0) * mebibyte)
  const cost = ['--pbkdf', 'argon2id', '--pbkdf-force-iterations', '4', '--pbkdf-memory', '1024']
  await runProgram('cryptsetup', ['luksFormat', '-q', '--type', 'luks2', ...cost, part], {
    timeout: 60_000,
    input: volumePassphrase,
    package: 'cryptsetup-bin',
    signal,
  })
  const header = (await readFile(part)).subarray(0, 16 * mebibyte)
  const image = await open(path, 'r+')
  await image.write(header, 0, header.length, (bootSize + 2) * mebibyte)
  await image.close()
}

function partition({ partitions }: Recipe): string[] {
  let start = 1
  const lines = ['part-init $d gpt']
  for (const size of partitions) {
    lines.push(`part-add $d p ${(start * mebibyte) / 512} ${((start + size) * mebibyte) / 512 - 1}`)
    // A MiB between two partitions belongs to nobody.
    start += size + 1
  }
  return lines
}

function fill(
  { mounts, after = [] }: Recipe,
  content: Pick<VolumeGuest, 'deleted' | 'locked' | 'archive'> & { kept: string; gone: string; soil: string },
): string[] {
  const { kept, gone, deleted, locked, soil, archive } = content
  return [
    ...after,
    ...mountAll(mounts),
    `tar-in ${kept} /`,
    `tar-in ${gone} /`,
    ...(mounts.some(({ path }) => path === espPath)
      ? [`mkdir-p ${espPath}/loader`, `upload ${soil} ${espPath}/loader/random-seed`]
      : []),
    'sync',
    ...deleted.map(({ path }) => `rm "${path}"`),
    'sync',
    ...locked.map(({ path, flags }) => `set-e2attrs "${path}" ${flags}`),
    ...archiveAll(archive),
  ]
}

function archiveAll(archive: string): string[] {
  return [`tar-out / ${archive} numericowner:true`, 'umount-all']
}

function uploadAll(soil: string, places: readonly string[] = []): string[] {
  return places.map((place) => `upload-offset ${soil} ${place}`)
}

/** What is mounted below another comes after it. */
function mountAll(mounts: readonly Mount[]): string[] {
  const byDepth = [...mounts].sort((one, other) => one.path.length - other.path.length)
  return byDepth.flatMap(({ device, path, options }) => [
    ...(path === '/' ? [] : [`mkdir-p ${path}`]),
    `mount-options ${options ?? '""'} ${device} ${path}`,
  ])
}

/** An archive with the owners of the entries. */
async function tarOf(work: string, entries: readonly GuestEntry[]): Promise<string> {
  const name = randomUUID()
  const root = join(work, name)
  await writeTree(root, [{ kind: 'directory', path: '/' }, ...entries])
  const owners = new Map<string, readonly GuestEntry[]>()
  for (const entry of entries) {
    const key = `${entry.uid ?? 0}:${entry.gid ?? 0}`
    owners.set(key, [...(owners.get(key) ?? []), entry])
  }
  const archive = join(work, `${name}.tar`)
  const common = { timeout: 60_000, package: 'tar' }
  const ownedBy = (uid: string, gid: string): string[] => [
    `--owner=:${uid}`,
    `--group=:${gid}`,
    '--format=pax',
  ]
  await runProgram('tar', ['-C', root, '-cf', archive, ...ownedBy('0', '0'), '.'], common)
  for (const [owner, own] of owners) {
    if (owner === '0:0') continue
    const [uid = '0', gid = '0'] = owner.split(':')
    const names = own.map(({ path }) => `.${posix.normalize(path)}`)
    await runProgram(
      'tar',
      ['-C', root, '--no-recursion', '-rf', archive, ...ownedBy(uid, gid), ...names],
      common,
    )
  }
  return archive
}

const espSize = 40
export const espPath = '/boot/efi'
const bootSize = 48

const espCommands = [
  'part-set-gpt-type $d 1 C12A7328-F81F-11D2-BA4B-00A0C93EC93B',
  'mkfs vfat $d1 label:ESP',
  'mkfs ext4 $d2 label:BOOT',
]

const recipes: Readonly<Record<VolumeGuestKind, Recipe>> = {
  xfs: {
    size: 720,
    partitions: [espSize, bootSize, 400, 16, 140],
    make: [...espCommands, 'mkfs xfs $d3 label:ROOT', 'mkswap $d4 label:SWAP', 'mkfs ext4 $d5 label:HOME'],
    mounts: [
      { device: '$d3', path: '/' },
      { device: '$d2', path: '/boot' },
      { device: '$d1', path: espPath },
      { device: '$d5', path: '/home' },
    ],
    fstab:
      'LABEL=ROOT / xfs defaults 0 0\nLABEL=BOOT /boot ext4 defaults 0 2\n/dev/sda1 /boot/efi vfat umask=0077 0 1\nLABEL=HOME /home ext4 defaults 0 2\nLABEL=SWAP none swap sw 0 0\n',
    soiled: ['$d4 8192', `$d ${(1 + espSize) * mebibyte + 4096}`],
  },
  btrfs: {
    size: 400,
    partitions: [espSize, bootSize, 280],
    make: [
      ...espCommands,
      'mkfs btrfs $d3 label:ROOT',
      'mount $d3 /',
      'btrfs-subvolume-create /@',
      'btrfs-subvolume-create /@home',
      'umount-all',
    ],
    mounts: [
      { device: '$d3', path: '/', options: 'subvol=@' },
      { device: '$d2', path: '/boot' },
      { device: '$d1', path: espPath },
      { device: '$d3', path: '/home', options: 'subvol=@home' },
    ],
    fstab:
      'LABEL=ROOT / btrfs defaults,subvol=@ 0 0\nLABEL=BOOT /boot ext4 defaults 0 2\nLABEL=ESP /boot/efi vfat umask=0077 0 1\nLABEL=ROOT /home btrfs defaults,subvol=/@home 0 0\n',
    soiled: [`$d ${(1 + espSize) * mebibyte + 4096}`],
  },
  f2fs: {
    size: 200,
    partitions: [espSize, bootSize, 100],
    make: [...espCommands, 'mkfs f2fs $d3 label:ROOT'],
    mounts: [
      { device: '$d3', path: '/' },
      { device: '$d2', path: '/boot' },
    ],
    fstab: 'LABEL=ROOT / f2fs defaults 0 0\nLABEL=BOOT /boot ext4 defaults 0 2\n',
    soiled: [],
  },
  lvm: {
    size: 560,
    partitions: [bootSize, 200, 260],
    make: [
      'mkfs ext4 $d1 label:BOOT',
      'pvcreate $d2',
      'pvcreate $d3',
      'vgcreate the-$l "$d2 $d3"',
      // Larger than the first physical volume: it goes on in the second.
      'lvcreate root the-$l 240',
      'lvcreate home the-$l 60',
      'lvcreate swap the-$l 16',
      'mkfs ext4 /dev/the-$l/root',
      'mkfs ext4 /dev/the-$l/home',
      'mkswap /dev/the-$l/swap',
      'lvcreate old the-$l 60',
    ],
    mounts: [
      { device: '/dev/the-$l/root', path: '/' },
      { device: '$d1', path: '/boot' },
      { device: '/dev/the-$l/home', path: '/home' },
    ],
    fstab:
      '/dev/mapper/the--$l-root / ext4 defaults 0 1\nLABEL=BOOT /boot ext4 defaults 0 2\n/dev/the-$l/home /home ext4 defaults 0 2\n/dev/mapper/the--$l-swap none swap sw 0 0\n',
    soiled: ['/dev/the-$l/old 4096', '/dev/the-$l/swap 8192'],
    after: ['lvremove /dev/the-$l/old'],
  },
  luks: {
    size: 300,
    partitions: [bootSize, 220],
    open: [`cryptsetup-open $d2 cryptroot\n${volumePassphrase}`],
    make: ['mkfs ext4 $d1 label:BOOT', 'mkfs ext4 /dev/mapper/cryptroot'],
    mounts: [
      { device: '/dev/mapper/cryptroot', path: '/' },
      { device: '$d1', path: '/boot' },
    ],
    fstab: '/dev/mapper/cryptroot / ext4 defaults 0 1\nLABEL=BOOT /boot ext4 defaults 0 2\n',
    soiled: [],
  },
  raid: {
    size: 260,
    partitions: [bootSize, 190],
    make: [
      'mkfs ext4 $d1 label:BOOT',
      'md-create r1 "$d2" missingbitmap:2 nrdevices:2 level:raid1',
      'mkfs ext4 /dev/md127',
    ],
    mounts: [
      { device: '/dev/md127', path: '/' },
      { device: '$d1', path: '/boot' },
    ],
    fstab: '/dev/md127 / ext4 defaults 0 1\nLABEL=BOOT /boot ext4 defaults 0 2\n',
    soiled: [],
  },
}

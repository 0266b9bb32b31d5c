import { randomUUID } from 'node:crypto'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { runProgram } from '../src/core/program.ts'
import { makeExt4 } from './ext4-filesystem.ts'
import { type GuestFamily, osReleases } from './family-secrets.ts'
import { file, type GuestEntry } from './guest-tree.ts'
import type { Requirement } from './packages.ts'
import { layOutDisk, type PartitionLabel, writePartitionTable } from './partition-table.ts'
import { secretEntries } from './plant-secrets.ts'
import type { SecretPlan } from './secrets.ts'
import { tinyTree } from './tiny-guest.ts'

/** A kind of guest on which the cleaning is proved. Another file system is another one of these. */
export interface ProofGuest {
  readonly name: string
  readonly family: GuestFamily
  readonly requirements: readonly Requirement[]
  /** Makes a raw disk with the secrets of the plan in files and in what was deleted. */
  build(path: string, plan: SecretPlan): Promise<void>
  /** Where the root file system lies in the disk, bytes, for attackers that know nothing of partitions. */
  readonly root: { readonly offset: number; readonly length: number }
  /** Fails when the file system's own checker finds a fault. */
  check(path: string): Promise<void>
  /** Copies the root file system out, by a program that is not ours. */
  dump(path: string, folder: string): Promise<void>
}

const size = 64 * 1024 * 1024

/** Every guest that the proof loops over. */
export const proofGuests: readonly ProofGuest[] = [
  extGuest({ type: 'ext4', family: 'debian', label: 'dos' }),
  extGuest({ type: 'ext4', family: 'rhel', label: 'gpt' }),
  extGuest({ type: 'ext4', family: 'debian', label: 'none', features: ['-b', '1024', '-I', '128'] }),
  extGuest({ type: 'ext3', family: 'rhel', label: 'none' }),
  extGuest({ type: 'ext2', family: 'debian', label: 'dos' }),
]

interface ExtGuest {
  type: 'ext2' | 'ext3' | 'ext4'
  family: GuestFamily
  label: PartitionLabel
  features?: readonly string[]
}

function extGuest({ type, family, label, features = [] }: ExtGuest): ProofGuest {
  const { root } = layOutDisk(label, size)
  const inside = (path: string): string => `${path}?offset=${root.offset}`
  return {
    name: [type, ...features.filter((word) => word !== '-b'), family, label].join(' '),
    family,
    requirements: ['mke2fs', 'debugfs', 'e2fsck'],
    root,
    async build(path, plan) {
      const image = await open(path, 'w')
      try {
        await image.truncate(size)
        await writePartitionTable(image, label, size)
      } finally {
        await image.close()
      }
      const uuid = randomUUID()
      const { entries, deleted } = secretEntries(plan)
      const tree = await tinyTree(uuid, { entries: [...entries, ...identityOf(family)] })
      const journal = type === 'ext2' ? {} : { journal: true }
      await makeExt4(path, tree, { ...root, uuid, type, deleted, extraArguments: features, ...journal })
    },
    async check(path) {
      await runProgram('e2fsck', ['-fn', inside(path)], { timeout: 60_000 })
    },
    async dump(path, folder) {
      // Without the right to change owners every file is a complaint, and all of them are there.
      await runProgram('debugfs', ['-R', `rdump / ${folder}`, inside(path)], { timeout: 60_000 })
    },
  }
}

/** Files that tell the family, those that must differ between two clones, and some that must stay. */
export function identityOf(family: GuestFamily): GuestEntry[] {
  return [
    file('/etc/os-release', osReleases[family]),
    file('/etc/iscsi/initiatorname.iscsi', `InitiatorName=iqn.1993-08.org.debian:01:${randomUUID()}\n`),
    file('/etc/nvme/hostid', `${randomUUID()}\n`),
    // Ordinary files, which must come through as they are.
    file('/opt/app/data.bin', Buffer.alloc(300_000, randomUUID())),
    file('/srv/small', 'x'),
    file('/home/alice/letter.txt', 'Dear all\n', { uid: 1000, gid: 1000, mode: 0o640 }),
  ]
}

/** What no two clones may share, and what may stand there all the same. */
export const identityFiles: Readonly<Record<string, readonly string[]>> = {
  '/etc/machine-id': ['', 'uninitialized\n'],
  '/var/lib/dbus/machine-id': [],
  '/var/lib/systemd/random-seed': [],
  '/var/lib/urandom/random-seed': [],
  '/etc/ssh/ssh_host_rsa_key': [],
  '/etc/iscsi/initiatorname.iscsi': ['GenerateName=yes\n'],
  '/etc/nvme/hostid': [],
  '/etc/nvme/hostnqn': [],
  '/var/lib/dhcp/dhclient.eth0.leases': [],
  '/var/lib/dhclient/dhclient-eth0.leases': [],
  '/var/lib/dhcpcd/duid': [],
  '/var/lib/NetworkManager/secret_key': [],
}

/** Runs `use` with a folder beside the image that is removed afterwards. */
export async function withDump<T>(
  guest: ProofGuest,
  path: string,
  use: (folder: string) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(dirname(path) || tmpdir(), 'dump-'))
  try {
    await guest.dump(path, folder)
    return await use(folder)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

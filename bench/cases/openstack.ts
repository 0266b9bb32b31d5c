import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { MiB } from '../../src/core/bytes.ts'
import { runProgram } from '../../src/core/program.ts'
import { layOutDisk } from '../../testbed/partition-table.ts'
import type { Benchmark, Prepared } from '../benchmark.ts'
import { GiB, removeBefore, writeRandomFile } from '../inputs.ts'
import type { Contender } from '../measure.ts'
import { type OpenStackPair, openStackPair, ours } from '../openstack-pair.ts'
import { buildLargeDebianGuest, isInstalled } from './cleaning.ts'

/** P5, P6, P9, P11: against real Keystones and Glances, with the official client as the peer. */
export const openStack: Benchmark[] = [
  {
    id: 'P6',
    title: 'upload 2 GiB to Glance, checksums compared',
    goal: '<= 0.5, <= 150 MiB',
    runs: 3,
    prepare: (folder) =>
      onPair(folder, async ({ pair, home }) => {
        const path = join(folder, 'in.raw')
        await writeRandomFile(path, 2 * GiB)
        const prepare = () => pair.empty('east')
        return {
          ours: ours(['images', 'upload', path, 'east:bench', '--input-format', 'raw'], {
            environment: pair.environment,
            home,
            prepare,
          }),
          peer: client(
            pair,
            `openstack --os-cloud east image create --file ${path} --disk-format raw bench`,
            prepare,
          ),
        }
      }),
  },
  {
    id: 'P6',
    title: 'download 2 GiB from Glance, checksums compared',
    goal: '<= 0.5, <= 150 MiB',
    runs: 3,
    prepare: (folder) =>
      onPair(folder, async ({ pair, home }) => {
        const path = join(folder, 'in.raw')
        await writeRandomFile(path, 2 * GiB)
        await pair.empty('east')
        await pair.upload('east', { name: 'bench', path, format: 'raw' })
        const [own, other] = [join(folder, 'own.raw'), join(folder, 'other.raw')]
        const prepare = removeBefore(own, other)
        return {
          ours: ours(['images', 'download', 'east:bench', own], {
            environment: pair.environment,
            home,
            prepare,
          }),
          peer: client(pair, `openstack --os-cloud east image save --file ${other} bench`, prepare),
        }
      }),
  },
  {
    id: 'P5',
    title: 'migrate 1 GiB between two Glances, qcow2 to raw, all our files in a tmpfs of 64 MiB',
    goal: '<= 0.4, <= 200 MiB, no scratch',
    runs: 3,
    prepare: (folder) => onPair(folder, (context) => prepareMigration(folder, context)),
  },
  {
    id: 'P9',
    title: 'inspect a qcow2 of 10 GiB in Glance',
    goal: '<= 3 s, <= 32 MiB on the wire',
    runs: 3,
    prepare: (folder) => onPair(folder, (context) => prepareInspection(folder, context)),
  },
  {
    id: 'P11',
    title: 'clean image of a disk of 10 GiB with 4 GiB of deleted data (--source-proof used)',
    goal: 'bytes <= 1.1 of those used, each way',
    runs: 1,
    prepare: (folder) => onPair(folder, (context) => prepareSparing(folder, context)),
  },
]

interface Context {
  pair: OpenStackPair
  /** For the state of our jobs. */
  home: string
}

async function onPair(folder: string, prepare: (context: Context) => Promise<Prepared>): Promise<Prepared> {
  if (!(await isInstalled('openstack'))) {
    throw new Error('OpenStack is not installed: bash testbed/install-testbed.sh')
  }
  return prepare({ pair: await openStackPair(), home: join(folder, 'home') })
}

/** A shell line of the official client, as people write it down. */
function client({ environment }: OpenStackPair, line: string, prepare: Contender['prepare']): Contender {
  return {
    name: 'openstack client',
    command: ['sh', '-ec', line],
    environment,
    ...(prepare ? { prepare } : {}),
  }
}

async function prepareMigration(folder: string, { pair }: Context): Promise<Prepared> {
  const raw = join(folder, 'in.raw')
  const path = join(folder, 'in.qcow2')
  await writeRandomFile(raw, GiB)
  await runProgram('qemu-img', ['convert', '-O', 'qcow2', raw, path], { timeout: 300_000 })
  await pair.empty('east')
  await pair.upload('east', { name: 'bench', path, format: 'qcow2' })
  const [saved, converted] = [join(folder, 'saved.qcow2'), join(folder, 'converted.raw')]
  const clean = removeBefore(raw, saved, converted)
  const prepare = async () => {
    await clean()
    await pair.empty('west')
  }
  const direct = ours(['migrate', 'east:bench', 'west', '--disk-format', 'raw'], {
    environment: { ...pair.environment, TMPDIR: '/mnt' },
    home: '/mnt/home',
    prepare,
  })
  const inTmpfs = 'mount -t tmpfs -o size=64m none /mnt && exec "$@"'
  return {
    ours: { ...direct, command: ['unshare', '--mount', 'sh', '-ec', inTmpfs, 'sh', ...direct.command] },
    peer: client(
      pair,
      `openstack --os-cloud east image save --file ${saved} bench
       qemu-img convert -f qcow2 -O raw ${saved} ${converted}
       openstack --os-cloud west image create --file ${converted} --disk-format raw bench`,
      prepare,
    ),
  }
}

async function prepareInspection(folder: string, { pair, home }: Context): Promise<Prepared> {
  const raw = join(folder, 'guest.raw')
  const path = join(folder, 'guest.qcow2')
  const saved = join(folder, 'saved.qcow2')
  await buildLargeDebianGuest(raw, folder)
  await growTo(raw, 10 * GiB)
  await runProgram('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, path], { timeout: 300_000 })
  await pair.empty('east')
  await pair.upload('east', { name: 'guest', path, format: 'qcow2' })
  const proxy = pair.proxies.east
  const inspectors = await isInstalled('virt-inspector')
  return {
    ours: ours(['inspect', 'east:guest'], {
      environment: pair.counted,
      home,
      prepare: async () => proxy.reset(),
    }),
    peer: inspectors
      ? {
          ...client(
            pair,
            `openstack --os-cloud east image save --file ${saved} guest
             virt-inspector --format=qcow2 -a ${saved}`,
            removeBefore(saved),
          ),
          environment: {
            ...pair.environment,
            LIBGUESTFS_BACKEND: 'direct',
            LIBGUESTFS_BACKEND_SETTINGS: 'force_tcg',
          },
        }
      : null,
    ...(inspectors ? {} : { peerMissing: 'virt-inspector is not installed (Debian: guestfs-tools)' }),
    remark: () => `${mebibytes(proxy.wire().toClient)} received`,
  }
}

/** The image stands for the snapshot that the cloud makes: from there on it is the same walk. */
async function prepareSparing(folder: string, { pair, home }: Context): Promise<Prepared> {
  const raw = join(folder, 'guest.raw')
  await buildLargeDebianGuest(raw, folder, { size: 10 * GiB })
  const used = await allocated(raw)
  await writeDeletedData(raw, folder)
  await pair.empty('east')
  await pair.empty('west')
  await pair.upload('east', { name: 'guest', path: raw, format: 'raw' })
  const { east, west } = pair.proxies
  const words = [
    'migrate',
    'east:guest',
    'west',
    '--clean',
    '--disk-format',
    'qcow2',
    '--source-proof',
    'used',
  ]
  return {
    ours: ours(words, {
      environment: pair.counted,
      home,
      prepare: async () => {
        await pair.empty('west')
        east.reset()
        west.reset()
      },
    }),
    peer: null,
    remark: () => {
      const [received, sent] = [east.wire().toClient, west.wire().fromClient]
      return `${mebibytes(used)} used, ${mebibytes(received)} received (${(received / used).toFixed(2)}), ${mebibytes(sent)} sent (${(sent / used).toFixed(2)})`
    },
  }
}

/** A file of 4 GiB that is deleted again: its blocks are free, and full. */
async function writeDeletedData(path: string, folder: string): Promise<void> {
  const junk = join(folder, 'junk')
  await writeRandomFile(junk, 4 * GiB)
  const disk = `${path}?offset=${layOutDisk('dos', 10 * GiB).root.offset}`
  for (const request of [`write ${junk} junk`, 'rm junk']) {
    await runProgram('debugfs', ['-w', '-R', request, disk], { timeout: 600_000 })
  }
  await removeBefore(junk)()
}

async function growTo(path: string, size: number): Promise<void> {
  const file = await open(path, 'r+')
  try {
    await file.truncate(size)
  } finally {
    await file.close()
  }
}

async function allocated(path: string): Promise<number> {
  const file = await open(path)
  try {
    return (await file.stat()).blocks * 512
  } finally {
    await file.close()
  }
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / MiB)} MiB`
}

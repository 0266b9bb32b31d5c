import { randomFillSync, randomUUID } from 'node:crypto'
import { mkdir, open, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runProgram } from '../../src/core/program.ts'
import { buildDebianGuest } from '../../testbed/debian-guest.ts'
import { makeExt4FromFolder } from '../../testbed/ext4-filesystem.ts'
import { layOutDisk, writePartitionTable } from '../../testbed/partition-table.ts'
import type { Benchmark } from '../benchmark.ts'
import { GiB, imagewright } from '../inputs.ts'
import type { Contender } from '../measure.ts'

/** P7: a system of 0.9 GiB on a disk of 4 GiB, cleaned in place. Both get a fresh copy for every run. */
export const cleaning: Benchmark[] = [
  cleaningOf('where it lies (--in-place)', ['--in-place']),
  cleaningOf('into a verified new file that replaces it', []),
  cleaningOf('with 200,000 files more, where it lies (--in-place)', ['--in-place'], { manyFiles: true }),
  cleaningOf('with 200,000 files more, into a verified new file', [], { manyFiles: true }),
]

function cleaningOf(how: string, options: string[], { manyFiles = false } = {}): Benchmark {
  return {
    id: manyFiles ? 'P7-files' : 'P7',
    title: `clean a Debian 12 image of 4 GiB, ${manyFiles ? 'used by small files' : '0.9 GiB used'}, ${how}`,
    goal: '<= 1 s, <= 150 MiB',
    runs: 3,
    async prepare(folder) {
      const original = join(folder, 'original.raw')
      await buildLargeDebianGuest(original, folder, { manyFiles })
      const ours = join(folder, 'ours.raw')
      const theirs = join(folder, 'theirs.raw')
      const peer: Contender = {
        name: 'virt-sysprep',
        command: ['virt-sysprep', '--format', 'raw', '-a', theirs],
        // Without usable hardware virtualisation its appliance runs under emulation, which it must be told.
        environment: { LIBGUESTFS_BACKEND: 'direct', LIBGUESTFS_BACKEND_SETTINGS: 'force_tcg' },
        prepare: () => copy(original, theirs),
      }
      const installed = await isInstalled('virt-sysprep')
      return {
        ours: {
          name: 'imagewright',
          command: imagewright('clean', ours, '--quiet', ...options),
          environment: { IMAGEWRIGHT_HOME: join(folder, 'home') },
          prepare: () => copy(original, ours),
        },
        peer: installed ? peer : null,
        ...(installed ? {} : { peerMissing: 'virt-sysprep is not installed (Debian: guestfs-tools)' }),
      }
    },
  }
}

/**
 * The testbed's Debian guest with half a gigabyte more in 12,000 files, as a server that has been in use, or with 200,000
 * small ones, as in trees of source code and homes. Needs root.
 */
export async function buildLargeDebianGuest(
  path: string,
  folder: string,
  { size = 4 * GiB, manyFiles = false }: { size?: number; manyFiles?: boolean } = {},
): Promise<void> {
  const small = join(folder, 'small.raw')
  const tree = join(folder, 'tree')
  await buildDebianGuest(small)
  await mkdir(tree)
  const { offset } = layOutDisk('dos', 0).root
  await runProgram('debugfs', ['-R', `rdump / ${tree}`, `${small}?offset=${offset}`], { timeout: 300_000 })
  if (manyFiles) {
    await writeSmallFiles(join(tree, 'srv', 'data'), 100_000)
    await writeSmallFiles(join(tree, 'home', 'ann', 'work'), 100_000)
  } else {
    await writeUsedData(join(tree, 'srv', 'data'))
  }
  const image = await open(path, 'w')
  try {
    await image.truncate(size)
    await writePartitionTable(image, 'dos', size)
    await makeExt4FromFolder(path, tree, { ...layOutDisk('dos', size).root, uuid: randomUUID() })
  } finally {
    await image.close()
  }
  await rm(small)
  await rm(tree, { recursive: true })
}

async function writeUsedData(folder: string): Promise<void> {
  const content = Buffer.alloc(40 * 1024)
  for (let index = 0; index < 12_000; index += 1) {
    const directory = join(folder, String(index % 100))
    if (index < 100) await mkdir(directory, { recursive: true })
    await writeFile(join(directory, `${index}.bin`), randomFillSync(content))
  }
}

/** A hundred files to a directory, of a kilobyte each. */
async function writeSmallFiles(folder: string, count: number): Promise<void> {
  const content = Buffer.alloc(1024, 'text of a small file\n')
  for (let index = 0; index < count; index += 1) {
    const directory = join(folder, String(Math.floor(index / 10_000)), String(Math.floor(index / 100)))
    if (index % 100 === 0) await mkdir(directory, { recursive: true })
    await writeFile(join(directory, `${index}.${extensions[index % extensions.length]}`), content)
  }
}

const extensions = ['c', 'h', 'txt', 'py', 'json', 'html', 'png', 'o', 'md', 'yaml']

async function copy(from: string, to: string): Promise<void> {
  await runProgram('cp', ['--sparse=always', from, to], { timeout: 120_000 })
}

export async function isInstalled(program: string): Promise<boolean> {
  return runProgram(program, ['--version'], { timeout: 10_000 }).then(
    () => true,
    () => false,
  )
}

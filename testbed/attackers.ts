import { createReadStream } from 'node:fs'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runProgram } from '../src/core/program.ts'
import { findMarkers } from './find-markers.ts'
import type { Requirement } from './packages.ts'
import { markerPrefix, type SecretPlan } from './secrets.ts'

/** A program with which people get deleted files back, or look for texts in raw bytes. */
export interface Attacker {
  readonly name: string
  readonly requirements: readonly Requirement[]
  /** Only for a file system of this kind. */
  readonly needsJournal: boolean
  /** Puts what it gets out of a file with one file system into `folder`. */
  attack(image: string, folder: string, plan: SecretPlan): Promise<void>
}

const timeout = 300_000

/**
 * Runs a program that may crash on file systems it does not understand: what it got out until then counts. One that is missing,
 * or does not end, is an error all the same.
 */
async function run(file: string, programArguments: readonly string[], folder: string): Promise<string> {
  const output = `output of ${file}.txt`
  const script = 'cd "$1" && output="$2" && shift 2 && { "$@" > "$output" 2>&1 || true; }'
  await runProgram('sh', ['-c', script, 'sh', folder, output, file, ...programArguments], { timeout })
  return join(folder, output)
}

export const attackers: readonly Attacker[] = [
  {
    name: 'strings',
    requirements: ['strings'],
    needsJournal: false,
    attack: async (image, folder) => void (await run('strings', ['-a', '-n', '8', image], folder)),
  },
  {
    name: 'extundelete',
    requirements: ['extundelete'],
    needsJournal: true,
    attack: async (image, folder) => void (await run('extundelete', [image, '--restore-all'], folder)),
  },
  {
    name: 'ext4magic',
    requirements: ['ext4magic'],
    needsJournal: true,
    async attack(image, folder) {
      for (const [method, name] of [
        ['-M', 'all'],
        ['-m', 'deleted'],
      ] as const) {
        await mkdir(join(folder, name))
        await run('ext4magic', [image, method, '-d', join(folder, name)], folder)
      }
    },
  },
  {
    name: 'debugfs',
    requirements: ['debugfs'],
    needsJournal: false,
    async attack(image, folder) {
      const listing = await run('debugfs', ['-R', 'lsdel', image], folder)
      const inodes: string[] = []
      for await (const chunk of createReadStream(listing, 'latin1')) {
        inodes.push(...[...`${chunk}`.matchAll(/^ +(\d+) +\d+ +\d+ /gm)].map(([, inode = '']) => inode))
      }
      const script = join(folder, 'script')
      await writeFile(script, inodes.map((inode) => `dump <${inode}> ${folder}/inode-${inode}\n`).join(''))
      await run('debugfs', ['-f', script, image], folder)
    },
  },
  {
    name: 'photorec',
    requirements: ['photorec'],
    needsJournal: false,
    async attack(image, folder) {
      const wishes = 'partition_none,options,paranoid,fileopt,everything,enable,search'
      await run('photorec', ['/d', join(folder, 'recovered'), '/cmd', image, wishes], folder)
    },
  },
  {
    name: 'foremost',
    requirements: ['foremost'],
    needsJournal: false,
    attack: async (image, folder) =>
      void (await run('foremost', ['-Q', '-t', 'all', '-i', image, '-o', join(folder, 'carved')], folder)),
  },
  {
    name: 'scalpel',
    requirements: ['scalpel'],
    needsJournal: false,
    async attack(image, folder, plan) {
      const configuration = join(folder, 'scalpel.conf')
      await writeFile(configuration, `txt\ty\t100\t${markerPrefix(plan.run)}\n`)
      await run('scalpel', ['-c', configuration, '-o', join(folder, 'carved'), image], folder)
    },
  },
]

/** How many of the plan's secrets an attacker gets out of a file system. */
export async function countRecovered(
  attacker: Attacker,
  { image, folder, plan }: { image: string; folder: string; plan: SecretPlan },
): Promise<number> {
  await attacker.attack(image, folder, plan)
  const found = new Set<string>()
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    // A name that was deleted counts as much as a content.
    const bytes = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.from(`${entry.name}\n`)
      yield* createReadStream(path)
    }
    for (const { secret } of (await findMarkers(bytes(), plan)).found) found.add(secret.marker)
  }
  return found.size
}

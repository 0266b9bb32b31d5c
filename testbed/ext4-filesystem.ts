import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, posix } from 'node:path'
import type { AbortOptions } from '../src/core/abort.ts'
import { runProgram } from '../src/core/program.ts'
import { type GuestEntry, writeTree } from './guest-tree.ts'

export interface Ext4Options extends AbortOptions {
  /** Where it starts in the image file, bytes. */
  offset: number
  /** Bytes. */
  length: number
  uuid: string
  label?: string
  journal?: boolean
  type?: 'ext2' | 'ext3' | 'ext4'
  /** Further arguments of mke2fs, for example `['-O', 'inline_data']`. */
  extraArguments?: readonly string[]
}

/**
 * Makes an ext4 file system with these entries inside an image file: no root, no loop device. `deleted` entries are
 * written and unlinked again, as a guest would have: their blocks and directory entries keep what they held.
 */
export async function makeExt4(
  image: string,
  entries: readonly GuestEntry[],
  options: Ext4Options & { deleted?: readonly GuestEntry[] },
): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), 'imagewright-tree-'))
  try {
    const deleted = options.deleted ?? []
    const tree = join(work, 'tree')
    await writeTree(tree, [{ kind: 'directory', path: '/' }, ...entries, ...deleted])
    await makeExt4FromFolder(image, tree, options)
    await runDebugfs(image, work, options, [...owners(entries), ...deleted.map(({ path }) => `rm "${path}"`)])
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/** What starts a program in place of the caller, for folders whose files belong to somebody else. */
export type ProgramWrapper = (
  program: string,
  programArguments: readonly string[],
) => { program: string; programArguments: readonly string[] }

/** Makes an ext4 file system with a copy of a folder, owners as they are. */
export async function makeExt4FromFolder(
  image: string,
  folder: string,
  options: Ext4Options & { as?: ProgramWrapper },
): Promise<void> {
  const features = options.journal === false ? ['-O', '^has_journal'] : []
  const mke2fs = [
    ...['-q', '-F', '-t', options.type ?? 'ext4', '-U', options.uuid, '-L', options.label ?? 'root'],
    ...['-E', `offset=${options.offset},root_owner=0:0`, ...features, ...(options.extraArguments ?? [])],
    ...['-d', folder, image, `${Math.floor(options.length / 1024)}k`],
  ]
  const { program, programArguments } = options.as?.('mke2fs', mke2fs) ?? {
    program: 'mke2fs',
    programArguments: mke2fs,
  }
  await runProgram(program, programArguments, {
    timeout: 120_000,
    package: 'e2fsprogs',
    signal: options.signal,
  })
}

/** debugfs commands that give every entry and parent its owner: mke2fs copied that of whoever runs this. */
function owners(entries: readonly GuestEntry[]): string[] {
  const owner = new Map<string, { uid: number; gid: number }>()
  for (const { path, uid = 0, gid = 0 } of entries) {
    for (let parent = posix.dirname(path); parent !== '/'; parent = posix.dirname(parent)) {
      if (!owner.has(parent)) owner.set(parent, { uid: 0, gid: 0 })
    }
    owner.set(path, { uid, gid })
  }
  const self = { uid: process.getuid?.(), gid: process.getgid?.() }
  return [...owner].flatMap(([path, { uid, gid }]) => [
    ...(uid === self.uid ? [] : [`sif "${path}" uid ${uid}`]),
    ...(gid === self.gid ? [] : [`sif "${path}" gid ${gid}`]),
  ])
}

async function runDebugfs(
  image: string,
  work: string,
  { offset, signal }: Ext4Options,
  commands: readonly string[],
): Promise<void> {
  if (commands.length === 0) return
  const script = join(work, 'commands')
  await writeFile(script, `${commands.join('\n')}\n`)
  const { stderr } = await runProgram('debugfs', ['-w', '-f', script, `${image}?offset=${offset}`], {
    timeout: 60_000,
    package: 'e2fsprogs',
    signal,
  })
  // debugfs exits with 0 whatever happens: after its banner, anything on stderr is a failure.
  const complaints = stderr.split('\n').slice(1).join('\n').trim()
  if (complaints !== '') throw new Error(`debugfs: ${complaints}`)
}

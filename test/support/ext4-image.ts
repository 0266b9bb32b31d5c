import { execFile, spawnSync } from 'node:child_process'
import { link, mkdir, mkdtemp, open, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import type { Disk } from '../../src/disk/disk.ts'
import { openRaw } from '../../src/disk/raw/raw-reader.ts'
import { encodeName } from '../../src/guest/filesystem/name-encoding.ts'
import { openFileSource } from '../../src/transfer/file-source.ts'

const run = promisify(execFile)
const environment = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin`, LC_ALL: 'C' }

/** What a path of a fixture is; directories above it come by themselves. */
export type TreeEntry =
  | string
  | Uint8Array
  | { readonly symlink: string }
  | { readonly hardLink: string }
  | { readonly directory: true }
  /** Holes where `content` says nothing: content by offset. */
  | { readonly sparse: Readonly<Record<number, string>>; readonly size: number }

export interface Ext4ImageOptions {
  /** Arguments of mke2fs, for example `['-t', 'ext4', '-O', '^extents']`. */
  features?: readonly string[]
  /** As mke2fs takes it. */
  size?: string
  tree?: Readonly<Record<string, TreeEntry>>
  /** Commands of debugfs run on the finished image: owners, hard links, devices, deleted files. */
  debugfs?: readonly string[]
}

/** A temporary folder; removed by `remove`. */
export async function temporaryFolder(): Promise<{ path: string; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'imagewright-ext4-'))
  return { path, remove: () => rm(path, { recursive: true, force: true }) }
}

/** Builds an ext2/3/4 image from a description, without root and without mounting it. */
export async function buildExt4Image(path: string, options: Ext4ImageOptions = {}): Promise<void> {
  const { features = ['-t', 'ext4'], size = '16M', tree = {}, debugfs = [] } = options
  const root = await mkdtemp(join(dirname(path), 'tree-'))
  try {
    for (const [name, entry] of Object.entries(tree)) await addEntry(root, name, entry)
    await run('mke2fs', ['-q', '-F', '-E', 'root_owner=0:0', ...features, '-d', root, path, size], {
      env: environment,
    })
  } finally {
    await rm(root, { recursive: true })
  }
  if (debugfs.length > 0) await runDebugfs(path, debugfs)
  // debugfs does not keep quotas up to date.
  if (features.includes('quota')) spawnSync('e2fsck', ['-f', '-p', path], { env: environment })
}

/** Runs commands of debugfs on an image and gives what it prints; any complaint is an error. */
export async function runDebugfs(
  path: string,
  commands: readonly string[],
  writable = true,
): Promise<string> {
  const { stdout, stderr, status } = spawnSync('debugfs', [...(writable ? ['-w'] : []), '-f', '-', path], {
    env: environment,
    input: `${commands.join('\n')}\n`,
    encoding: 'latin1',
    maxBuffer: 64 * 1024 * 1024,
  })
  const complaints = stderr.split('\n').filter((line) => line !== '' && !/^debugfs \d/.test(line))
  if (status !== 0 || complaints.length > 0) throw new Error(`debugfs ${path}: ${stderr}`)
  return stdout
}

/** e2fsck's words about an image; empty when it is clean. */
export function fsckComplaints(path: string): string {
  const { stdout, status } = spawnSync('e2fsck', ['-f', '-n', path], { env: environment, encoding: 'latin1' })
  return status === 0 ? '' : stdout
}

export async function openImage(path: string): Promise<Disk> {
  return await openRaw(await openFileSource(path))
}

/** All bytes of a disk. */
export async function diskBytes(disk: Disk): Promise<Buffer> {
  const bytes = Buffer.alloc(disk.size)
  for await (const { offset, length, kind } of disk.extents()) {
    if (kind === 'data') await disk.read(bytes.subarray(offset, offset + length), offset)
  }
  return bytes
}

/** Overwrites bytes of an image. */
export async function patchImage(path: string, offset: number, bytes: Uint8Array): Promise<void> {
  const file = await open(path, 'r+')
  try {
    await file.write(bytes, 0, bytes.length, offset)
  } finally {
    await file.close()
  }
}

async function addEntry(root: string, name: string, entry: TreeEntry): Promise<void> {
  const path = Buffer.concat([Buffer.from(root), encodeName(name)])
  const parent = path.subarray(0, path.lastIndexOf('/'))
  await mkdir(parent, { recursive: true })
  if (typeof entry === 'string' || entry instanceof Uint8Array) await writeFile(path, entry)
  else if ('symlink' in entry) await symlink(Buffer.from(encodeName(entry.symlink)), path)
  else if ('hardLink' in entry)
    await link(Buffer.concat([Buffer.from(root), encodeName(entry.hardLink)]), path)
  else if ('directory' in entry) await mkdir(path, { recursive: true })
  else {
    await writeFile(path, '')
    await truncate(path, entry.size)
    const file = await open(path, 'r+')
    for (const [offset, content] of Object.entries(entry.sparse)) await file.write(content, Number(offset))
    await file.close()
  }
}

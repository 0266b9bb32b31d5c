import { createHash } from 'node:crypto'
import { lstat, mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Filesystem } from '../../src/guest/filesystem/filesystem.ts'
import { decodeName } from '../../src/guest/filesystem/name-encoding.ts'
import { runDebugfs } from './ext4-image.ts'

/** Path -> what is there, in one line: kind, mode, size and digest or target. */
export type Snapshot = Map<string, string>

/** A file system as debugfs sees it: everything is dumped and looked at. */
export async function debugfsSnapshot(image: string): Promise<Snapshot> {
  const folder = await mkdtemp(join(dirname(image), 'dump-'))
  try {
    await runDebugfs(image, [`rdump / ${folder}`], false)
    const snapshot: Snapshot = new Map()
    await walkHost(Buffer.from(folder), '', snapshot)
    return snapshot
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** The same through the product's reader. */
export async function readerSnapshot(filesystem: Filesystem): Promise<Snapshot> {
  const snapshot: Snapshot = new Map()
  await walk(filesystem, '', snapshot)
  return snapshot
}

async function walkHost(folder: Buffer, path: string, snapshot: Snapshot): Promise<void> {
  for (const nameBytes of await readdir(folder, { encoding: 'buffer' })) {
    const host = Buffer.concat([folder, Buffer.from('/'), nameBytes])
    const name = `${path}/${decodeName(nameBytes)}`
    const stat = await lstat(host)
    const mode = (stat.mode & 0o7777).toString(8)
    if (stat.isDirectory()) {
      snapshot.set(name, `directory ${mode}`)
      await walkHost(host, name, snapshot)
    } else if (stat.isSymbolicLink()) {
      snapshot.set(name, `symlink ${decodeName(await readlink(host, { encoding: 'buffer' }))}`)
    } else snapshot.set(name, `file ${mode} ${stat.size} ${digest(await readFile(host))}`)
  }
}

async function walk(filesystem: Filesystem, path: string, snapshot: Snapshot): Promise<void> {
  for (const { name, kind } of await filesystem.list(path === '' ? '/' : path)) {
    const child = `${path}/${name}`
    const stat = await filesystem.stat(child)
    const mode = stat?.mode.toString(8)
    if (kind === 'directory') {
      snapshot.set(child, `directory ${mode}`)
      await walk(filesystem, child, snapshot)
    } else if (kind === 'symlink') snapshot.set(child, `symlink ${await filesystem.readLink(child)}`)
    else if (kind === 'file') {
      snapshot.set(child, `file ${mode} ${stat?.size} ${digest(await filesystem.read(child))}`)
    }
  }
}

function digest(bytes: Uint8Array): string {
  return createHash('sha1').update(bytes).digest('hex')
}

import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, posix } from 'node:path'
import type { AbortOptions } from '../src/core/abort.ts'
import { runProgram } from '../src/core/program.ts'
import type { GuestEntry } from './guest-tree.ts'
import { tinyTree } from './tiny-guest.ts'

/** The least that mkfs.xfs makes. */
const size = 320 * 1024 * 1024

/**
 * Builds a tiny guest on an xfs file system that takes the whole disk, without root or mounting: mkfs.xfs copies the files in.
 * It has kernel and initramfs, and no configuration of a boot loader.
 */
export async function buildXfsGuest(
  path: string,
  uuid: string,
  { signal }: AbortOptions = {},
): Promise<void> {
  const work = await mkdtemp(join(tmpdir(), 'imagewright-xfs-'))
  try {
    const tree = await tinyTree(uuid, { bootable: true, type: 'xfs' })
    const entries = tree.filter((entry) => !entry.path.startsWith('/boot/grub'))
    const prototype = join(work, 'prototype')
    await writeFile(prototype, await describeTree(entries, work))
    await writeFile(path, '')
    await truncate(path, size)
    await runProgram('mkfs.xfs', ['-q', '-m', `uuid=${uuid}`, '-p', prototype, path], {
      timeout: 60_000,
      package: 'xfsprogs',
      signal,
    })
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/** The prototype file of mkfs.xfs(8); contents go to files of their own in `folder`. */
async function describeTree(entries: readonly GuestEntry[], folder: string): Promise<string> {
  const byPath = new Map<string, GuestEntry>()
  for (const entry of entries) {
    for (let parent = posix.dirname(entry.path); parent !== '/'; parent = posix.dirname(parent)) {
      if (!byPath.has(parent)) byPath.set(parent, { kind: 'directory', path: parent })
    }
    byPath.set(entry.path, entry)
  }
  let contents = 0
  const describe = async (directory: string): Promise<string[]> => {
    const lines: string[] = []
    for (const [path, entry] of byPath) {
      if (posix.dirname(path) !== directory) continue
      const name = posix.basename(path)
      const owner = `${entry.uid ?? 0} ${entry.gid ?? 0}`
      const mode = ((entry.mode ?? (entry.kind === 'file' ? 0o644 : 0o755)) & 0o777).toString(8)
      if (entry.kind === 'directory')
        lines.push(`${name} d--${mode} ${owner}`, ...(await describe(path)), '$')
      else if (entry.kind === 'link') lines.push(`${name} l--777 ${owner} ${entry.target}`)
      else {
        const source = join(folder, `content-${contents++}`)
        await writeFile(source, entry.content)
        lines.push(`${name} ---${mode} ${owner} ${source}`)
      }
    }
    return lines
  }
  return `/dev/null\n0 0\nd--755 0 0\n${(await describe('/')).join('\n')}\n$\n`
}

import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { AbortOptions } from '../../../core/abort.ts'
import type { Disk } from '../../../disk/disk.ts'
import { GuestError } from '../../errors.ts'
import { baseName, isWithin, joinPath, parentPath } from '../../guest-path.ts'
import { diskChunks } from '../disk-chunks.ts'
import type { Edit } from '../edit.ts'
import type { FileAttributes } from '../filesystem.ts'
import { command } from './command.ts'
import type { MountedTree } from './mounted-tree.ts'
import type { GuestfsStat } from './stat-output.ts'

export interface EditScript {
  readonly commands: readonly string[]
  /** Files of the host with new contents; the caller removes them. */
  readonly sources: readonly string[]
  /** What was there and is changed: directories too, in which names come and go; `all` with everything below. */
  readonly touched: ReadonlyMap<string, 'itself' | 'all'>
  /** Whether a path is not there any more afterwards. */
  isGone(path: string): boolean
}

export interface PlanScriptOptions extends AbortOptions {
  tree: MountedTree
  edits: readonly Edit[]
  mountPoint: string
  workFolder: string
}

/**
 * The commands that make the changes, in the order in which they were asked for. Each path is resolved here, so that no link of
 * the guest is followed by a command. At the end modification times are put back. All of them may be run again, when one of
 * them failed.
 * @throws GuestError `FILESYSTEM_EDIT_FAILED` for a path that cannot be changed as asked
 */
export async function planScript(options: PlanScriptOptions): Promise<EditScript> {
  const { tree, edits, mountPoint, workFolder, signal } = options
  const commands: string[] = []
  const sources: string[] = []
  /** What is not any more, and what is new. */
  const gone = new Set<string>()
  const created = new Map<string, 'file' | 'directory'>()
  const times = new Map<string, GuestfsStat>()
  const touched = new Map<string, 'itself' | 'all'>()
  const inAppliance = (path: string): string => (path === '/' ? mountPoint : `${mountPoint}${path}`)
  const add = (name: string, path: string, ...rest: (string | number)[]): void => {
    commands.push(command(name, inAppliance(path), ...rest))
  }

  async function upload(path: string, content: Uint8Array | Disk): Promise<void> {
    const source = join(workFolder, `content-${randomUUID()}`)
    sources.push(source)
    await writeFile(source, content instanceof Uint8Array ? content : diskChunks(content, { signal }), {
      flag: 'wx',
      mode: 0o600,
    })
    commands.push(command('upload', source, inAppliance(path)))
  }

  /** The path without links in its directories, and what is there. */
  async function place(path: string): Promise<{ path: string; stat: GuestfsStat | null }> {
    const name = baseName(path)
    if (name === '' || name === '.' || name === '..')
      throw failed(path, 'it does not end in the name of a file')
    const parent = parentPath(path)
    if (created.get(parent) === 'directory') return { path, stat: null }
    const directory = await tree.locate(parent, { follow: true, signal })
    if (directory?.stat.kind !== 'directory' || isGone(directory.path)) {
      throw failed(path, 'its directory does not exist')
    }
    const resolved = joinPath(directory.path, name)
    const stat = isGone(resolved)
      ? null
      : ((await tree.entries(directory.path, { signal })).get(name) ?? null)
    times.set(directory.path, directory.stat)
    touched.set(directory.path, touched.get(directory.path) ?? 'itself')
    if (stat) touched.set(resolved, touched.get(resolved) ?? 'itself')
    return { path: resolved, stat }
  }

  const isGone = (path: string): boolean => {
    for (let at = path; at !== '/'; at = parentPath(at)) if (gone.has(at)) return true
    return false
  }

  function setAttributes(path: string, { mode, uid, gid }: FileAttributes): void {
    commands.push(command('chown', uid, gid, inAppliance(path)))
    commands.push(command('chmod', mode & 0o7777, inAppliance(path)))
  }

  for (const edit of edits) {
    const { path, stat } = await place(edit.path)
    const isNew = created.get(path)
    switch (edit.kind) {
      case 'remove':
        if (stat || isNew) {
          const isDirectory = stat?.kind === 'directory' || isNew === 'directory'
          add(isDirectory ? 'rm-rf' : 'rm-f', path)
          gone.add(path)
          if (stat) touched.set(path, 'all')
          for (const other of created.keys()) if (isWithin(other, path)) created.delete(other)
        } else if (!isGone(path)) throw failed(path, 'it does not exist')
        break
      case 'truncate':
        if (stat?.kind !== 'file' && isNew !== 'file') throw failed(path, 'it is not a regular file')
        add('truncate', path)
        if (stat) times.set(path, stat)
        break
      case 'write':
        if (stat ? stat.kind !== 'file' : isNew === 'directory')
          throw failed(path, 'it is not a regular file')
        if ((stat || isNew) && !(edit.content instanceof Uint8Array)) {
          throw failed(path, 'it exists, and this content is for a new file')
        }
        await upload(path, edit.content)
        if (stat) times.set(path, stat)
        else if (!isNew) {
          setAttributes(path, { mode: 0o644, uid: 0, gid: 0, ...edit.attributes })
          created.set(path, 'file')
        }
        break
      case 'make-directory':
        if (stat && stat.kind !== 'directory') {
          const target = await tree.locate(path, { follow: true, signal })
          if (target?.stat.kind !== 'directory') throw failed(path, 'it is not a directory')
        }
        if (isNew === 'file') throw failed(path, 'it is a file')
        if (stat || isNew) break
        add('mkdir-p', path)
        setAttributes(path, { mode: 0o755, uid: 0, gid: 0, ...edit.attributes })
        created.set(path, 'directory')
        break
      case 'set-mode':
        if (!stat && !isNew) throw failed(path, 'it does not exist')
        if (stat?.kind === 'symlink') throw failed(path, 'a symbolic link has no mode')
        commands.push(command('chmod', edit.mode & 0o7777, inAppliance(path)))
    }
  }
  // What is new is as old as the directory it is in: the content of the result depends on the input alone.
  for (const path of [...created.keys()].reverse()) {
    let old = parentPath(path)
    while (!times.has(old) && old !== '/') old = parentPath(old)
    const stat = times.get(old)
    if (stat) restoreTimes(path, stat)
  }
  for (const [path, stat] of times) if (!isGone(path)) restoreTimes(path, stat)
  return { commands, sources, touched, isGone }

  function restoreTimes(path: string, { accessTime, modificationTime }: GuestfsStat): void {
    add(
      'utimens',
      path,
      accessTime.seconds,
      accessTime.nanoseconds,
      modificationTime.seconds,
      modificationTime.nanoseconds,
    )
  }
}

function failed(path: string, reason: string): GuestError {
  return new GuestError('FILESYSTEM_EDIT_FAILED', `"${path}" cannot be changed: ${reason}.`)
}

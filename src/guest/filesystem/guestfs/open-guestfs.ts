import { rm } from 'node:fs/promises'
import { type AbortOptions, throwIfCancelled } from '../../../core/abort.ts'
import { checkRange } from '../../../disk/check-range.ts'
import type { Disk } from '../../../disk/disk.ts'
import { GuestError } from '../../errors.ts'
import type { Edit } from '../edit.ts'
import type { Filesystem } from '../filesystem.ts'
import type { FilesystemProbe } from '../probe-filesystem.ts'
import { defaultMaximumBytes, refuseLargeFile } from '../refuse-large-file.ts'
import type { Appliance } from './appliance.ts'
import { command } from './command.ts'
import { type GuestfsKind, type GuestfsType, guestfsKinds } from './kinds.ts'
import { findLockedFiles } from './locked-files.ts'
import { createMountedTree, type LocatedFile } from './mounted-tree.ts'
import { type EditScript, planScript } from './plan-script.ts'
import { readSubvolumes } from './read-subvolumes.ts'
import type { ScratchDisk } from './scratch-disk.ts'

export interface OpenGuestfsOptions extends AbortOptions {
  appliance: Appliance
  /** As the appliance calls it: `/dev/sda`. */
  device: string
  /** What the device is, as it is served. */
  scratch: ScratchDisk
  /** Exactly the file system; what `scratch` lies over. */
  disk: Disk
  probe: FilesystemProbe
  type: GuestfsType
  workFolder: string
  /** What went wrong while the disk was served, if anything did. */
  diskFailure: () => unknown
}

/**
 * Opens a file system that the Linux kernel of the appliance reads and changes. The disk is never written to: what the
 * appliance writes lies in a scratch file that holds the changed sectors and nothing else, and what it discards is
 * remembered as ranges of zeros.
 * @throws GuestError `FILESYSTEM_DAMAGED` when it cannot be mounted
 */
export async function openGuestfs(options: OpenGuestfsOptions): Promise<Filesystem> {
  const { appliance, device, scratch, disk, probe, type, workFolder, diskFailure } = options
  const kind: GuestfsKind = guestfsKinds[type]
  const mountPoint = `/v-${device.slice('/dev/'.length)}`
  const tree = createMountedTree(appliance, mountPoint)
  const mount = (options: string): string =>
    command('mount-vfs', `${options},noatime${kind.mountOptions}`, kind.type, device, mountPoint)
  const mountForReading = async (signal: AbortSignal | undefined): Promise<string> =>
    mount(`ro${await kind.readOptions(scratch.view(), { signal })}`)
  let edits: Edit[] = []
  let committed: Disk = disk
  let isChecked = false
  let isTrimmed = false

  await appliance.run([command('mkmountpoint', mountPoint)])
  const refusal = await appliance.attempt([await mountForReading(options.signal)])
  if (refusal?.includes('unknown filesystem type')) {
    throw new GuestError(
      'FILESYSTEM_UNSUPPORTED',
      `The kernel that libguestfs uses on this machine has no ${type}.`,
      {
        hint: 'Kernels for clouds lack some file systems. Install one for all machines, name it in SUPERMIN_KERNEL, its modules in SUPERMIN_MODULES, and a new folder in LIBGUESTFS_CACHEDIR.',
      },
    )
  }
  if (refusal !== null) throw diskFailure() ?? damaged(type, `it cannot be mounted (${refusal})`)
  // A journal in use was replayed.
  if (scratch.hasWrites()) committed = scratch.view()
  const subvolumes = kind.hasSubvolumes ? await readSubvolumes(appliance, tree, mountPoint) : null

  async function locate(path: string, follow: boolean, options: AbortOptions): Promise<LocatedFile> {
    throwIfCancelled(options.signal)
    const found = await tree.locate(path, { ...options, follow })
    if (!found) throw new GuestError('GUEST_FILE_NOT_FOUND', `The image has no "${path}".`)
    return found
  }

  async function locateFile(path: string, options: AbortOptions): Promise<LocatedFile> {
    const found = await locate(path, true, options)
    if (found.stat.kind === 'file') return found
    throw new GuestError('GUEST_NOT_A_FILE', `"${path}" is not a regular file.`)
  }

  const change = (commands: readonly string[]): Promise<string> => changing(() => appliance.run(commands))

  /** Runs what changes the file system; what the disk itself had to say comes first. */
  async function changing<T>(run: () => Promise<T>): Promise<T> {
    try {
      return await run()
    } catch (error) {
      const cause = diskFailure() ?? error
      if (!(cause instanceof GuestError)) throw cause
      throw new GuestError(
        'FILESYSTEM_EDIT_FAILED',
        `The ${type} file system could not be changed: ${cause.message}`,
        {
          cause,
        },
      )
    }
  }

  async function commit(signal: AbortSignal | undefined): Promise<void> {
    const wanted = edits
    edits = []
    const script = await planScript({ tree, edits: wanted, mountPoint, workFolder, signal })
    try {
      tree.forget()
      const needsWriting = wanted.length > 0 || scratch.hasWrites()
      await change([command('umount', mountPoint)])
      if (needsWriting) {
        await change([mount('rw')])
        await apply(script, signal)
        await change(['sync', command('umount', mountPoint)])
      }
      await check()
      await change([await mountForReading(signal)])
      if (scratch.hasWrites()) committed = scratch.view()
      isChecked = true
      isTrimmed = false
    } finally {
      await Promise.all(script.sources.map((path) => rm(path, { force: true })))
    }
  }

  /** Files that are locked are unlocked for it, and those that are left are locked again. */
  async function apply(script: EditScript, signal: AbortSignal | undefined): Promise<void> {
    if ((await appliance.attempt(script.commands)) === null) return
    const { touched } = script
    const { unlock, lock } = await changing(() =>
      findLockedFiles({ appliance, tree, mountPoint, touched, signal }),
    )
    const again = lock.flatMap(({ path, command }) => (script.isGone(path) ? [] : [command]))
    await change([...unlock, ...script.commands, ...again])
    tree.forget()
  }

  /** A file system that contradicts itself is refused, not repaired: nobody knows what its owner would want to keep. */
  async function check(): Promise<void> {
    if (kind.check === null) return
    const line = kind.check(device)
    const problem = await appliance.attempt([line.command])
    if (problem?.includes('is not available')) {
      throw new GuestError('LIBGUESTFS_MISSING', `libguestfs lacks its part for ${type}: ${line.package}.`)
    }
    if (problem !== null) throw diskFailure() ?? damaged(type, `its checker finds errors (${problem})`)
  }

  async function trim(signal: AbortSignal | undefined): Promise<void> {
    if (isTrimmed || kind.trim === 'never') return
    const hadWrites = scratch.hasWrites()
    if (kind.trim === 'reading') await change(['sync', command('fstrim', mountPoint)])
    else {
      await change([command('umount', mountPoint)])
      for (const { offset, bytes } of await kind.beforeTrim(scratch.view(), { signal })) {
        await scratch.write(bytes, offset)
      }
      await change([
        mount('rw'),
        command('fstrim', mountPoint),
        command('umount', mountPoint),
        await mountForReading(signal),
      ])
      // Without edits all that was written is that it was mounted.
      if (!hadWrites) scratch.dropWrites()
    }
    isTrimmed = true
  }

  return {
    type,
    uuid: probe.uuid,
    label: probe.label,
    ...(subvolumes && { subvolumes }),

    async stat(path, { follow = false, ...options } = {}) {
      return (await tree.locate(path, { ...options, follow }))?.stat ?? null
    },

    async list(path, options = {}) {
      const found = await locate(path, true, options)
      if (found.stat.kind !== 'directory') {
        throw new GuestError('GUEST_NOT_A_DIRECTORY', `"${path}" is not a directory.`)
      }
      return [...(await tree.entries(found.path, options))]
        .map(([name, { kind, inode }]) => ({ name, kind, inode }))
        .sort((one, other) => (one.name < other.name ? -1 : 1))
    },

    async read(path, { maximumBytes = defaultMaximumBytes, ...options } = {}) {
      const { path: resolved, stat } = await locateFile(path, options)
      refuseLargeFile(path, stat.size, maximumBytes)
      return tree.read(resolved, { offset: 0, length: stat.size }, options)
    },

    async open(path, options = {}) {
      const { path: resolved, stat } = await locateFile(path, options)
      return {
        size: stat.size,
        async *extents() {
          if (stat.size > 0) yield { offset: 0, length: stat.size, kind: 'data' }
        },
        async read(target, offset, options = {}) {
          checkRange(stat, offset, target.length)
          target.set(await tree.read(resolved, { offset, length: target.length }, options))
        },
        close: async () => undefined,
      }
    },

    async readLink(path, options = {}) {
      const found = await locate(path, false, options)
      if (found.stat.kind !== 'symlink') {
        throw new GuestError('GUEST_NOT_A_FILE', `"${path}" is not a symbolic link.`)
      }
      return tree.readLink(found.path, options)
    },

    async resolve(path, options = {}) {
      return (await tree.locate(path, { ...options, follow: true }))?.path ?? null
    },

    async freeBytes() {
      const output = await appliance.run([command('statvfs', mountPoint)])
      const field = (name: string): number =>
        Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(output)?.[1] ?? 0)
      return field('bfree') * field('frsize')
    },

    remove: (path) => void edits.push({ kind: 'remove', path }),
    truncate: (path) => void edits.push({ kind: 'truncate', path }),
    write: (path, content, attributes = {}) => void edits.push({ kind: 'write', path, content, attributes }),
    makeDirectory: (path, attributes = {}) => void edits.push({ kind: 'make-directory', path, attributes }),
    setMode: (path, mode) => void edits.push({ kind: 'set-mode', path, mode }),

    async commit({ signal } = {}) {
      if (edits.length > 0 || !isChecked) await commit(signal)
    },

    committed: () => committed,

    async scrubbed({ signal } = {}) {
      if (!isChecked) await commit(signal)
      await trim(signal)
      return kind.scrub(scratch.view(), { signal })
    },

    close: () => scratch.discard(),
  }
}

function damaged(type: GuestfsType, problem: string): GuestError {
  return new GuestError('FILESYSTEM_DAMAGED', `The ${type} file system is damaged: ${problem}.`, {
    hint: 'Check it in the guest, or on a copy of the image, and look at what is found.',
  })
}

import type { AbortOptions } from '../core/abort.ts'
import { GuestError } from './errors.ts'
import type { Filesystem } from './filesystem/filesystem.ts'
import { joinPath, pathComponents } from './guest-path.ts'
import { createGuestTree } from './guest-tree.ts'

/**
 * A subvolume as a file system of its own: what the guest sees where it mounts it. Links lead no further up than its root. Changes
 * are collected in the whole file system, and committed with it.
 * @param root the subvolume's path in the whole; the whole itself where it is `/`
 */
export function subvolumeView(whole: Filesystem, root: string): Filesystem {
  if (root === '/') return whole
  const below = (path: string): string => {
    const components = pathComponents(path)
    if (components.includes('..')) throw new GuestError('GUEST_PATH_INVALID', `"${path}" leads upwards.`)
    return components.reduce(joinPath, root)
  }
  /** Without links, so that no link is followed by the whole, whose root is another one. */
  const plain: Filesystem = {
    ...whole,
    stat: (path, options) => whole.stat(below(path), { signal: options?.signal }),
    list: (path, options) => whole.list(below(path), options),
    read: (path, options) => whole.read(below(path), options),
    open: (path, options) => whole.open(below(path), options),
    readLink: (path, options) => whole.readLink(below(path), options),
    remove: (path) => whole.remove(below(path)),
    truncate: (path) => whole.truncate(below(path)),
    write: (path, content, attributes) => whole.write(below(path), content, attributes),
    makeDirectory: (path, attributes) => whole.makeDirectory(below(path), attributes),
    setMode: (path, mode) => whole.setMode(below(path), mode),
  }
  const resolve = (path: string, options: AbortOptions = {}): Promise<string | null> =>
    createGuestTree([{ path: '/', filesystem: plain }]).resolve(path, options)
  const existing = async (path: string, options: AbortOptions = {}): Promise<string> => {
    const resolved = await resolve(path, { signal: options.signal })
    if (resolved !== null) return resolved
    throw new GuestError('GUEST_FILE_NOT_FOUND', `The image has no "${path}".`)
  }

  return {
    ...plain,
    resolve,
    async stat(path, options = {}) {
      const tree = createGuestTree([{ path: '/', filesystem: plain }])
      return tree.stat(path, { follow: options.follow ?? false, signal: options.signal })
    },
    list: async (path, options) => plain.list(await existing(path, options), options),
    read: async (path, options) => plain.read(await existing(path, options), options),
    open: async (path, options) => plain.open(await existing(path, options), options),
    // Only the whole is closed.
    close: async () => undefined,
  }
}

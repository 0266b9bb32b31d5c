import { GuestError } from '../../errors.ts'
import { joinPath } from '../../guest-path.ts'
import type { Subvolume } from '../filesystem.ts'
import { decodeName } from '../name-encoding.ts'
import type { Appliance } from './appliance.ts'
import { command } from './command.ts'
import type { MountedTree } from './mounted-tree.ts'

/** Of the root directory of every subvolume, and of nothing else: BTRFS_FIRST_FREE_OBJECTID. */
const rootInode = 256
const wholeId = 5
const record =
  /^\[\d+\] = \{\n {2}btrfssubvolume_id: (\d+)\n {2}btrfssubvolume_top_level_id: \d+\n {2}btrfssubvolume_path: ([^\n]*)\n\}\n/

/**
 * The subvolumes of a mounted btrfs, the whole of it first. Paths are the guest's text: each is looked up, and one that does not lead
 * to a subvolume is refused.
 * @throws GuestError `FILESYSTEM_UNSUPPORTED`
 */
export async function readSubvolumes(
  appliance: Appliance,
  tree: MountedTree,
  mountPoint: string,
): Promise<Subvolume[]> {
  const [list, chosen] = [
    await appliance.run([command('btrfs-subvolume-list', mountPoint)]),
    Number(await appliance.run([command('btrfs-subvolume-get-default', mountPoint)])),
  ]
  const subvolumes: Subvolume[] = [{ id: wholeId, path: '/', isDefault: chosen === wholeId }]
  for (let rest = list; rest.trim() !== ''; ) {
    const match = record.exec(rest)
    if (!match) throw unreadable()
    rest = rest.slice(match[0].length)
    const path = joinPath('/', decodeName(Buffer.from(match[2] ?? '', 'latin1')))
    const found = await tree.locate(path, { follow: false })
    const isNew = subvolumes.every((other) => other.path !== path)
    if (found?.path !== path || found.stat.inode !== rootInode || !isNew) throw unreadable()
    const id = Number(match[1])
    subvolumes.push({ id, path, isDefault: id === chosen })
  }
  return subvolumes
}

function unreadable(): GuestError {
  return new GuestError(
    'FILESYSTEM_UNSUPPORTED',
    'The btrfs file system has subvolumes that cannot be told apart.',
  )
}

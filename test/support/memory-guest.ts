import { composeTree } from '../../src/guest/compose-tree.ts'
import type { Filesystem } from '../../src/guest/filesystem/filesystem.ts'
import type { Guest, GuestVolume } from '../../src/guest/guest.ts'
import { type MemoryFiles, type MemoryFilesystem, memoryFilesystem } from './memory-filesystem.ts'

export type MemoryGuest = Pick<Guest, 'tree' | 'obstacles' | 'warnings' | 'volumes'> & {
  readonly filesystems: readonly MemoryFilesystem[]
}

/**
 * A guest whose partitions 1, 2, ... are file systems in memory; the first has the least a Linux root needs. They
 * carry the UUIDs `uuid-1`, `uuid-2`, ... for an fstab to name.
 */
export async function memoryGuest(root: MemoryFiles, ...others: MemoryFiles[]): Promise<MemoryGuest> {
  const filesystems = [{ ...minimalRoot, ...root }, ...others].map((files, index) =>
    memoryFilesystem(files, { uuid: `uuid-${index + 1}` }),
  )
  const composed = await composeTree(
    filesystems.map((filesystem, index) => volumeOf(index + 1, { filesystem })),
  )
  return { ...composed, filesystems }
}

const minimalRoot: MemoryFiles = {
  '/usr': null,
  '/etc/os-release': 'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
  '/etc/passwd': 'root:x:0:0:root:/root:/bin/bash\n',
}

/** A partition with a file system, or with something else of the named type. */
export function volumeOf(
  number: number,
  content: { filesystem?: Filesystem; type?: string | null; uuid?: string },
): GuestVolume {
  const { filesystem = null, type = 'ext4', uuid = filesystem?.uuid ?? '' } = content
  const offset = number * 1024 * 1024
  return {
    partition: {
      number,
      offset,
      length: 1024 * 1024,
      type: '0x83',
      typeName: 'Linux file system',
      name: '',
      uuid: `12345678-0${number}`,
      bootable: false,
    },
    offset,
    length: 1024 * 1024,
    probe: type === null ? null : { type, uuid, label: filesystem?.label ?? '' },
    swap: null,
    filesystem,
    openError: null,
    mountPoint: null,
  }
}

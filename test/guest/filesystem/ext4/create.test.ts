import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { memoryDisk } from '../../../../src/disk/memory-disk.ts'
import { openExt4 } from '../../../../src/guest/filesystem/ext4/open-ext4.ts'
import type { Filesystem } from '../../../../src/guest/filesystem/filesystem.ts'
import {
  buildExt4Image,
  diskBytes,
  fsckComplaints,
  openImage,
  runDebugfs,
  temporaryFolder,
} from '../../../support/ext4-image.ts'
import { readerSnapshot, type Snapshot } from '../../../support/ext4-snapshot.ts'
import { ext4Variants } from '../../../support/ext4-variants.ts'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeAll(async () => {
  folder = await temporaryFolder()
})
afterAll(() => folder.remove())

/** Makes the changes and gives the bytes they lead to, and what is in them. */
async function commit(
  image: string,
  change: (filesystem: Filesystem) => void,
): Promise<{ bytes: Buffer; snapshot: Snapshot }> {
  const disk = await openImage(image)
  const filesystem = await openExt4(disk, { workFolder: folder.path })
  try {
    change(filesystem)
    await filesystem.commit()
    return { bytes: await diskBytes(filesystem.committed()), snapshot: await readerSnapshot(filesystem) }
  } finally {
    await filesystem.close()
    await disk.close()
  }
}

const kernel = Buffer.alloc(3_000_001, 'kernel')

function putKernel(filesystem: Filesystem): void {
  filesystem.makeDirectory('/boot')
  filesystem.makeDirectory('/boot/grub', { mode: 0o700, uid: 3, gid: 4 })
  filesystem.makeDirectory('/boot/grub/deeper')
  filesystem.write('/boot/grub/grub.cfg', Buffer.from('set timeout=1\n'), { mode: 0o600 })
  filesystem.write('/boot/grub/deeper/file', Buffer.from('deep'))
  filesystem.write('/boot/vmlinuz-1', memoryDisk(kernel))
}

describe.each(Object.entries(ext4Variants))('new directories and large files in %s', (name, features) => {
  it('are there, the rest is as it was, and e2fsck is content', async () => {
    const image = join(folder.path, 'variant.img')
    await buildExt4Image(image, {
      features,
      size: '24M',
      tree: { '/etc/fstab': 'fstab', '/etc/keep': 'k'.repeat(9000) },
    })
    const before = await commit(image, () => undefined)
    const { bytes, snapshot } = await commit(image, putKernel)
    const result = join(folder.path, 'result.img')
    await writeFile(result, bytes)
    expect(fsckComplaints(result), name).toBe('')
    for (const [path, entry] of before.snapshot) expect(snapshot.get(path)).toEqual(entry)
    expect([...snapshot.keys()].filter((path) => !before.snapshot.has(path))).toEqual([
      '/boot',
      '/boot/grub',
      '/boot/grub/deeper',
      '/boot/grub/deeper/file',
      '/boot/grub/grub.cfg',
      '/boot/vmlinuz-1',
    ])
    const disk = await openImage(result)
    const filesystem = await openExt4(disk, { workFolder: folder.path })
    expect(Buffer.from(await filesystem.read('/boot/vmlinuz-1')).equals(kernel)).toBe(true)
    expect(await filesystem.stat('/boot')).toMatchObject({ kind: 'directory', mode: 0o755, uid: 0, gid: 0 })
    expect(await filesystem.stat('/boot/grub')).toMatchObject({ mode: 0o700, uid: 3, gid: 4, links: 3 })
    await filesystem.close()
    await disk.close()
  })
})

describe('what is made in a file system', () => {
  const image = () => join(folder.path, 'made.img')
  beforeAll(() =>
    buildExt4Image(image(), {
      size: '16M',
      tree: { '/etc/file': 'x', '/data/log': 'log', '/link': { symlink: 'data' } },
    }),
  )

  it('depends on the changes alone, not on the clock', async () => {
    const first = await commit(image(), putKernel)
    await new Promise((resolve) => setTimeout(resolve, 1100))
    expect((await commit(image(), putKernel)).bytes.equals(first.bytes)).toBe(true)
  })

  it('leaves directories that are there alone, also behind a link', async () => {
    const { snapshot } = await commit(image(), (filesystem) => {
      filesystem.makeDirectory('/etc', { mode: 0o700 })
      filesystem.makeDirectory('/link')
      filesystem.write('/link/new', Buffer.from('new'))
    })
    expect([...snapshot.keys()]).toContain('/data/new')
    const before = await commit(image(), () => undefined)
    expect(snapshot.get('/etc')).toEqual(before.snapshot.get('/etc'))
  })

  it('can stand in a directory that was removed before, or be taken back', async () => {
    const { snapshot } = await commit(image(), (filesystem) => {
      filesystem.remove('/data')
      filesystem.makeDirectory('/data')
      filesystem.write('/data/new', Buffer.from('new'))
      filesystem.makeDirectory('/gone')
      filesystem.write('/gone/file', Buffer.from('x'))
      filesystem.remove('/gone')
    })
    expect([...snapshot.keys()].filter((path) => /^\/(data|gone)/.test(path))).toEqual(['/data', '/data/new'])
  })

  it.each<[string, (filesystem: Filesystem) => void]>([
    ['a directory whose parent is missing', (fs) => fs.makeDirectory('/a/b')],
    ['a directory where a file is', (fs) => fs.makeDirectory('/etc/file')],
    [
      'a file where a new directory is',
      (fs) => {
        fs.makeDirectory('/new')
        fs.write('/new', Buffer.from('x'))
      },
    ],
    [
      'a file in a new file',
      (fs) => {
        fs.write('/new', Buffer.from('x'))
        fs.write('/new/file', Buffer.from('x'))
      },
    ],
    ['large content for a file that exists', (fs) => fs.write('/etc/file', memoryDisk(Buffer.from('x')))],
    ['a directory with an odd name', (fs) => fs.makeDirectory('/a "b')],
  ])('is refused: %s', async (_, change) => {
    await expect(commit(image(), change)).rejects.toMatchObject({ code: 'FILESYSTEM_EDIT_FAILED' })
  })

  it('has as much room as the file system says', async () => {
    const disk = await openImage(image())
    const filesystem = await openExt4(disk, { workFolder: folder.path })
    const free = await filesystem.freeBytes()
    const stats = await runDebugfs(image(), ['stats -h'], false)
    const [, blocks] = /Free blocks:\s+(\d+)/.exec(stats) ?? []
    const [, size] = /Block size:\s+(\d+)/.exec(stats) ?? []
    expect(free).toBe(Number(blocks) * Number(size))
    await filesystem.close()
    await disk.close()
  })
})

describe('the committed file system', () => {
  it('is the old one, byte for byte, beside what was changed', async () => {
    const image = join(folder.path, 'bytes.img')
    await buildExt4Image(image, {
      size: '16M',
      tree: { '/etc/fstab': 'fstab', '/data': 'd'.repeat(100_000) },
    })
    const disk = await openImage(image)
    const original = await diskBytes(disk)
    await disk.close()
    expect((await commit(image, () => undefined)).bytes.equals(original)).toBe(true)
    const { bytes } = await commit(image, (filesystem) =>
      filesystem.write('/etc/fstab', Buffer.from('another')),
    )
    const different = new Set<number>()
    for (let offset = 0; offset < bytes.length; offset += 1024) {
      if (!bytes.subarray(offset, offset + 1024).equals(original.subarray(offset, offset + 1024)))
        different.add(offset)
    }
    // The file's block, and its inode.
    expect(different.size).toBe(2)
  })
})

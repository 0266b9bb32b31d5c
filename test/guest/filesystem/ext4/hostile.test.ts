import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ImagewrightError } from '../../../../src/core/errors.ts'
import { memoryDisk } from '../../../../src/disk/memory-disk.ts'
import { openExt4 } from '../../../../src/guest/filesystem/ext4/open-ext4.ts'
import type { Filesystem } from '../../../../src/guest/filesystem/filesystem.ts'
import { buildExt4Image, runDebugfs, temporaryFolder } from '../../../support/ext4-image.ts'
import { readerSnapshot } from '../../../support/ext4-snapshot.ts'

const tree = {
  '/a/b/c/file': 'content',
  '/a/long-enough-name': 'x'.repeat(30_000),
  '/etc/passwd': 'root:x:0:0::/root:/bin/sh\n',
  '/links/self': { symlink: 'self' },
  '/links/ping': { symlink: 'pong' },
  '/links/pong': { symlink: '/links/ping' },
  '/links/out': { symlink: '../../../../../etc/passwd' },
  '/links/root': { symlink: '/' },
  '/links/dots': { symlink: '/a/../../../etc/./passwd' },
  '/links/nowhere': { symlink: '/missing/file' },
  '/links/through-file': { symlink: '/etc/passwd/deeper' },
}

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let path: string
let clean: Buffer
beforeAll(async () => {
  folder = await temporaryFolder()
  path = join(folder.path, 'clean.img')
  // Without checksums, so that what is refused is refused for what it says.
  await buildExt4Image(path, {
    features: ['-t', 'ext4', '-b', '1024', '-O', '^metadata_csum,^64bit', '-J', 'size=1'],
    tree,
    size: '4M',
  })
  clean = await readFile(path)
})
afterAll(() => folder.remove())

async function open(image: Buffer): Promise<Filesystem> {
  return await openExt4(memoryDisk(image), { workFolder: folder.path })
}

/** Reads everything and scrubs. */
async function useAll(image: Buffer): Promise<void> {
  const filesystem = await open(image)
  try {
    await readerSnapshot(filesystem)
    await filesystem.scrubbed()
  } finally {
    await filesystem.close()
  }
}

function corrupted(change: (image: Buffer) => void): Buffer {
  const image = Buffer.from(clean)
  change(image)
  return image
}

async function inodeOffset(target: string): Promise<number> {
  const answer = await runDebugfs(path, [`imap ${target}`], false)
  const [, block, offset] = /located at block (\d+), offset 0x([0-9a-f]+)/.exec(answer) ?? []
  return Number(block) * 1024 + Number.parseInt(offset ?? '', 16)
}

async function blockOffset(target: string, logical: number): Promise<number> {
  return Number((await runDebugfs(path, [`bmap ${target} ${logical}`], false)).match(/^\d+$/m)?.[0]) * 1024
}

describe('a super block that lies', () => {
  it.each([
    ['no magic number', 'FILESYSTEM_DAMAGED', 0x38, 2, 0],
    ['an impossible block size', 'FILESYSTEM_DAMAGED', 0x18, 4, 40],
    ['more blocks than the disk has', 'FILESYSTEM_DAMAGED', 0x04, 4, 0xffff_ffff],
    ['no blocks', 'FILESYSTEM_DAMAGED', 0x04, 4, 0],
    ['no blocks per group', 'FILESYSTEM_DAMAGED', 0x20, 4, 0],
    ['huge groups', 'FILESYSTEM_DAMAGED', 0x20, 4, 0x8000_0000],
    ['no inodes per group', 'FILESYSTEM_DAMAGED', 0x28, 4, 0],
    ['too many inodes', 'FILESYSTEM_DAMAGED', 0x00, 4, 0xffff_ffff],
    ['odd inodes', 'FILESYSTEM_DAMAGED', 0x58, 2, 200],
    ['inodes larger than a block', 'FILESYSTEM_DAMAGED', 0x58, 2, 32768],
    ['a first data block elsewhere', 'FILESYSTEM_DAMAGED', 0x14, 4, 77],
    ['a first inode outside', 'FILESYSTEM_DAMAGED', 0x54, 4, 0xffff_fff0],
    ['a journal outside', 'FILESYSTEM_DAMAGED', 0xe0, 4, 0xffff_fff0],
    ['an unknown incompatible feature', 'FILESYSTEM_UNSUPPORTED', 0x60, 4, 0x8000_0042],
    ['an unknown read-only feature', 'FILESYSTEM_UNSUPPORTED', 0x64, 4, 0x4000_0000],
    ['bigalloc', 'FILESYSTEM_UNSUPPORTED', 0x64, 4, 0x200],
  ] as const)('is refused: %s', async (_, code, offset, width, value) => {
    const image = corrupted((bytes) => bytes.writeUIntLE(value, 1024 + offset, width))
    await expect(useAll(image)).rejects.toMatchObject({ code })
  })

  it('is refused when the disk ends before it', async () => {
    await expect(open(Buffer.alloc(1500))).rejects.toMatchObject({ code: 'FILESYSTEM_DAMAGED' })
  })
})

describe('structures that lead astray', () => {
  it.each([
    ['an inode table outside', 8, 0x7fff_ffff],
    ['a block bitmap at block 0', 0, 0],
  ])('are refused: %s', async (_, offset, value) => {
    const image = corrupted((bytes) => bytes.writeUInt32LE(value, 2048 + offset))
    await expect(useAll(image)).rejects.toMatchObject({ code: 'FILESYSTEM_DAMAGED' })
  })

  it('are refused: an extent outside the file system', async () => {
    const inode = await inodeOffset('/a/long-enough-name')
    const image = corrupted((bytes) => bytes.writeUInt32LE(0x7fff_ffff, inode + 0x28 + 12 + 8))
    await expect(useAll(image)).rejects.toMatchObject({ code: 'FILESYSTEM_DAMAGED' })
  })

  it('are refused: an extent tree that contains itself', async () => {
    const inode = await inodeOffset('/a/long-enough-name')
    const node = (await blockOffset('/a/long-enough-name', 0)) / 1024
    const image = corrupted((bytes) => {
      bytes.writeUInt16LE(2, inode + 0x28 + 6)
      bytes.writeUInt32LE(0, inode + 0x28 + 12)
      bytes.writeUInt32LE(node, inode + 0x28 + 16)
      bytes.writeUInt16LE(0, inode + 0x28 + 20)
      const header = [0xf30a, 1, 84, 1, 0, 0, 0, 0, node, 0, 0, 0]
      for (const [index, value] of header.entries()) bytes.writeUInt16LE(value, node * 1024 + index * 2)
    })
    await expect(useAll(image)).rejects.toMatchObject({ code: 'FILESYSTEM_DAMAGED' })
  })

  it('are refused: an indirect block that contains itself', async () => {
    const inode = await inodeOffset('/a/long-enough-name')
    const node = (await blockOffset('/a/long-enough-name', 0)) / 1024
    const image = corrupted((bytes) => {
      bytes.writeUInt32LE(0, inode + 0x20)
      bytes.fill(0, inode + 0x28, inode + 0x28 + 60)
      bytes.writeUInt32LE(node, inode + 0x28 + 14 * 4)
      for (let index = 0; index < 256; index += 1) bytes.writeUInt32LE(node, node * 1024 + index * 4)
    })
    await expect(useAll(image)).rejects.toMatchObject({ code: 'FILESYSTEM_DAMAGED' })
  })

  it.each([
    ['a slash in a name', 0x2f],
    ['a NUL in a name', 0],
  ])('are refused: %s', async (_, byte) => {
    const directory = await blockOffset('/a', 0)
    const image = corrupted((bytes) => {
      bytes[bytes.indexOf('long-enough-name', directory) + 4] = byte
    })
    await expect(useAll(image)).rejects.toMatchObject({ code: 'FILESYSTEM_DAMAGED' })
  })

  it('are refused: a directory entry of length 0', async () => {
    const directory = await blockOffset('/a', 0)
    const image = corrupted((bytes) => bytes.writeUInt16LE(0, directory + 4))
    await expect(useAll(image)).rejects.toMatchObject({ code: 'FILESYSTEM_DAMAGED' })
  })

  it('are refused: an entry that points to an inode outside', async () => {
    const directory = await blockOffset('/a', 0)
    const image = corrupted((bytes) =>
      bytes.writeUInt32LE(0x7fff_ffff, bytes.indexOf('long-enough-name', directory) - 8),
    )
    await expect(useAll(image)).rejects.toMatchObject({ code: 'FILESYSTEM_DAMAGED' })
  })

  it('are refused: a directory below itself, when it is removed', async () => {
    const inodeOfA = Number((await runDebugfs(path, ['stat /a'], false)).match(/Inode: (\d+)/)?.[1])
    const directory = await blockOffset('/a/b', 0)
    const image = corrupted((bytes) => bytes.writeUInt32LE(inodeOfA, directory + 24))
    const filesystem = await open(image)
    filesystem.remove('/a')
    await expect(filesystem.commit()).rejects.toMatchObject({ code: 'FILESYSTEM_DAMAGED' })
    await filesystem.close()
  })

  it('are refused: a file that two inodes claim', async () => {
    const [one, other] = await Promise.all([inodeOffset('/etc/passwd'), inodeOffset('/a/b/c/file')])
    const image = corrupted((bytes) => bytes.copy(bytes, other + 0x28, one + 0x28, one + 0x28 + 60))
    await expect(useAll(image)).rejects.toMatchObject({ code: 'FILESYSTEM_DAMAGED' })
  })

  it('never crash or hang the reader, whatever bytes are flipped', async () => {
    const flip = fc.tuple(fc.nat({ max: 600 * 1024 }), fc.integer({ min: 1, max: 255 }))
    await fc.assert(
      fc.asyncProperty(fc.array(flip, { minLength: 1, maxLength: 60 }), async (flips) => {
        const image = corrupted((bytes) => {
          for (const [offset, mask] of flips) bytes[1024 + offset] = (bytes[1024 + offset] ?? 0) ^ mask
        })
        await useAll(image).catch((error: unknown) => {
          if (!(error instanceof ImagewrightError)) throw error
        })
      }),
      { numRuns: 60 },
    )
  })
})

describe('links', () => {
  let filesystem: Filesystem
  beforeAll(async () => {
    filesystem = await open(clean)
  })
  afterAll(() => filesystem.close())

  it.each([
    ['/links/out', '/etc/passwd'],
    ['/links/dots', '/etc/passwd'],
    ['/links/root/links/root/etc/passwd', '/etc/passwd'],
    ['/../../etc/passwd', '/etc/passwd'],
    ['/links/root', '/'],
    ['/links/nowhere', null],
    ['/links/through-file', null],
    ['/etc/passwd/', '/etc/passwd'],
  ])('resolve inside the image: %s', async (from, to) => {
    expect(await filesystem.resolve(from)).toBe(to)
  })

  it.each(['/links/self', '/links/ping', '/links/ping/deeper'])(
    'that never end are refused: %s',
    async (link) => {
      await expect(filesystem.stat(link, { follow: true })).rejects.toMatchObject({ code: 'GUEST_LINK_LOOP' })
    },
  )

  it('are not followed in the last component unless asked', async () => {
    expect((await filesystem.stat('/links/self'))?.kind).toBe('symlink')
  })

  it.each(['relative', '', `/${'x'.repeat(5000)}`, '/etc\0/passwd'])(
    'are not looked up by an invalid path',
    async (bad) => {
      await expect(filesystem.stat(bad)).rejects.toMatchObject({ code: 'GUEST_PATH_INVALID' })
    },
  )
})

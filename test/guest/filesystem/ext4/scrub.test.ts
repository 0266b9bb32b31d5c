import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openExt4 } from '../../../../src/guest/filesystem/ext4/open-ext4.ts'
import {
  buildExt4Image,
  diskBytes,
  fsckComplaints,
  openImage,
  patchImage,
  runDebugfs,
  temporaryFolder,
} from '../../../support/ext4-image.ts'
import { debugfsSnapshot } from '../../../support/ext4-snapshot.ts'

const blockSize = 1024
const marker = Buffer.from('PLANTED-remains')

let folder: Awaited<ReturnType<typeof temporaryFolder>>
let image: string
beforeAll(async () => {
  folder = await temporaryFolder()
  image = join(folder.path, 'used.img')
  await buildExt4Image(image, {
    features: ['-t', 'ext4', '-b', '1024', '-O', 'verity', '-J', 'size=1'],
    tree: {
      '/file': 'x'.repeat(1500),
      '/sealed': 'y'.repeat(1500),
      '/reserved': 'z'.repeat(100),
      '/gone': 'PLANTED-content'.repeat(100),
      '/PLANTED-name': '',
      '/link': { symlink: 'PLANTED-target' },
    },
    // Large enough for groups of which nothing was ever initialised.
    size: '40M',
    debugfs: [
      'rm /gone',
      'rm /PLANTED-name',
      'rm /link',
      'fallocate /reserved 1 9',
      'set_inode_field /sealed flags 0x180000',
    ],
  })
})
afterAll(() => folder.remove())

async function blockOf(path: string, logical: number): Promise<number> {
  return Number((await runDebugfs(image, [`bmap ${path} ${logical}`], false)).match(/^(\d+)/m)?.[1])
}

async function scrubbed(): Promise<Buffer> {
  const disk = await openImage(image)
  const filesystem = await openExt4(disk, { workFolder: folder.path })
  const bytes = await diskBytes(await filesystem.scrubbed())
  await filesystem.close()
  await disk.close()
  return bytes
}

describe('scrubbed', () => {
  it.each<[string, () => Promise<number>]>([
    ['behind the end of a file', async () => (await blockOf('/file', 1)) * blockSize + 600],
    ['in an extent that was never written', async () => (await blockOf('/reserved', 5)) * blockSize + 7],
    ['in the journal', async () => (await blockOf('<8>', 300)) * blockSize + 100],
    ['in a free block of a group in use', async () => 8000 * blockSize],
    ['in a group that was never used', async () => 20_000 * blockSize],
    ['in the last block', async () => 40 * 1024 * 1024 - 20],
    [
      'in a part of an inode table that was never initialised',
      async () => {
        const table = (await runDebugfs(image, ['show_super_stats'], false))
          .match(/inode table at (\d+)/g)
          ?.at(3)
        return Number(table?.split(' ').at(-1)) * blockSize + 50_000
      },
    ],
  ])('reads zeros where a marker stands %s', async (_, place) => {
    const offset = await place()
    expect(offset).toBeGreaterThan(0)
    await patchImage(image, offset, marker)
    const bytes = await scrubbed()
    expect(bytes.subarray(offset, offset + marker.length).every((byte) => byte === 0)).toBe(true)
  })

  it('holds no name, link target or content of what the guest has deleted', async () => {
    expect((await scrubbed()).includes('PLANTED')).toBe(false)
  })

  it('keeps what a sealed file has behind its end: its hash tree', async () => {
    const offset = (await blockOf('/sealed', 1)) * blockSize + 700
    await patchImage(image, offset, Buffer.from('hash tree'))
    expect((await scrubbed()).includes('hash tree')).toBe(true)
  })

  it('keeps the boot block and every file', async () => {
    await patchImage(image, 0, Buffer.from('boot code'))
    const before = await debugfsSnapshot(image)
    const path = join(folder.path, 'scrubbed.img')
    const bytes = await scrubbed()
    await writeFile(path, bytes)
    expect(bytes.subarray(0, 9).toString()).toBe('boot code')
    expect(await debugfsSnapshot(path)).toEqual(before)
    expect(fsckComplaints(path)).toBe('')
  })

  it('says in its extents that free space is zero', async () => {
    const disk = await openImage(image)
    const filesystem = await openExt4(disk, { workFolder: folder.path })
    let data = 0
    for await (const { length, kind } of (await filesystem.scrubbed()).extents())
      data += kind === 'data' ? length : 0
    expect(data).toBeLessThan(1024 * 1024)
    await filesystem.close()
    await disk.close()
  })
})

import { copyFile, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openExt4 } from '../../../../src/guest/filesystem/ext4/open-ext4.ts'
import {
  buildExt4Image,
  diskBytes,
  fsckComplaints,
  openImage,
  runDebugfs,
  temporaryFolder,
} from '../../../support/ext4-image.ts'
import { debugfsSnapshot } from '../../../support/ext4-snapshot.ts'

const blockSize = 1024
const tree = {
  '/etc/hostname': 'old\n',
  '/var/log/open': 'PLANTED-open '.repeat(2000),
  '/var/log/truncated': 'kept'.repeat(250) + 'PLANTED-behind '.repeat(1000),
  '/home/gone': 'PLANTED-gone',
  '/home/stays': 'stays',
}

let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeAll(async () => {
  folder = await temporaryFolder()
})
afterAll(() => folder.remove())

/** Cleans an image without any change and gives the result's path. */
async function scrub(image: string): Promise<string> {
  const disk = await openImage(image)
  const filesystem = await openExt4(disk, { workFolder: folder.path })
  const bytes = await diskBytes(await filesystem.scrubbed())
  await filesystem.close()
  await disk.close()
  await writeFile(`${image}.scrubbed`, bytes)
  return `${image}.scrubbed`
}

/**
 * Makes `image` what a snapshot of a running machine is: the changes of `commands` stand in its journal only. The
 * super block is left out, so that its totals are out of date as well.
 */
async function journalChanges(
  image: string,
  commands: readonly string[],
  { checksums = '', revoke = '' } = {},
): Promise<void> {
  await copyFile(image, `${image}.after`)
  await runDebugfs(`${image}.after`, commands)
  const [before, after] = await Promise.all([readFile(image), readFile(`${image}.after`)])
  const blocks: number[] = []
  for (let block = 2; block < before.length / blockSize; block += 1) {
    const range = [block * blockSize, (block + 1) * blockSize] as const
    if (!before.subarray(...range).equals(after.subarray(...range))) blocks.push(block)
  }
  const content = blocks.map((block) => after.subarray(block * blockSize, (block + 1) * blockSize))
  await writeFile(`${image}.blocks`, Buffer.concat(content))
  await writeFile(`${image}.noise`, 'PLANTED-noise'.repeat(1000).slice(0, blockSize))
  await runDebugfs(image, [
    `journal_open ${checksums}`,
    ...(revoke === '' ? [] : [`journal_write -b ${revoke} ${image}.noise`, `journal_write -r ${revoke}`]),
    `journal_write -b ${blocks.join(',')} ${image}.blocks`,
    'journal_close',
  ])
}

describe('a journal in use', () => {
  it.each([
    ['ext4', ['-t', 'ext4', '-b', '1024'], '-c -v 3'],
    ['ext4 with version 2 checksums', ['-t', 'ext4', '-b', '1024'], '-c -v 2'],
    ['ext3', ['-t', 'ext3', '-b', '1024'], ''],
  ])('of %s is replayed before anything is read', async (name, features, checksums) => {
    const image = join(folder.path, `${name.replaceAll(' ', '-')}.img`)
    await buildExt4Image(image, { features, tree, size: '8M' })
    const stays = (await runDebugfs(image, ['blocks /home/stays'], false)).match(/^\d+/m)?.[0]
    const commands = ['rm /home/gone', 'rm /var/log/open', 'set_inode_field /etc/hostname mode 0100600']
    await journalChanges(image, commands, { checksums, revoke: stays ?? '' })

    const disk = await openImage(image)
    const filesystem = await openExt4(disk, { workFolder: folder.path })
    expect(await filesystem.stat('/home/gone')).toBeNull()
    expect((await filesystem.stat('/etc/hostname'))?.mode).toBe(0o600)
    // The block was journalled and then revoked: what stands on the disk counts.
    expect(Buffer.from(await filesystem.read('/home/stays')).toString()).toBe('stays')
    await filesystem.close()
    await disk.close()

    const scrubbed = await scrub(image)
    expect(fsckComplaints(scrubbed)).toBe('')
    expect(await debugfsSnapshot(scrubbed)).toEqual(await debugfsSnapshot(`${image}.after`))
    expect((await readFile(scrubbed)).includes('PLANTED-open')).toBe(false)
    expect((await readFile(scrubbed)).includes('PLANTED-gone')).toBe(false)
    expect((await readFile(scrubbed)).includes('PLANTED-noise')).toBe(false)
    expect((await readFile(await scrub(scrubbed))).equals(await readFile(scrubbed))).toBe(true)
  })

  it('of which the image holds no valid super block is damage', async () => {
    const image = join(folder.path, 'no-journal.img')
    await buildExt4Image(image, { features: ['-t', 'ext4', '-b', '1024'], tree, size: '8M' })
    await runDebugfs(image, ['feature needs_recovery'])
    const journal = Number((await runDebugfs(image, ['bmap <8> 0'], false)).match(/^\d+$/m)?.[0])
    await runDebugfs(image, [`zap_block ${journal}`])
    const disk = await openImage(image)
    await expect(openExt4(disk, { workFolder: folder.path })).rejects.toMatchObject({
      code: 'FILESYSTEM_DAMAGED',
      message: expect.stringContaining('journal'),
    })
    await disk.close()
  })
})

describe('files that were deleted while open', () => {
  it('are released, and their content is gone', async () => {
    const image = join(folder.path, 'orphans.img')
    await buildExt4Image(image, { features: ['-t', 'ext4', '-b', '1024'], tree, size: '8M' })
    const inodeOf = async (path: string) =>
      Number((await runDebugfs(image, [`stat ${path}`], false)).match(/Inode: (\d+)/)?.[1])
    const [open, truncated] = [await inodeOf('/var/log/open'), await inodeOf('/var/log/truncated')]
    // The list runs from the super block through the deletion times: first the file without a name, then one that was
    // being shortened.
    await runDebugfs(image, [
      'unlink /var/log/open',
      `set_inode_field <${open}> links_count 0`,
      `set_inode_field <${open}> dtime @${truncated}`,
      `set_inode_field <${truncated}> size 1000`,
      `set_super_value last_orphan ${open}`,
    ])
    const scrubbed = await scrub(image)
    expect(fsckComplaints(scrubbed)).toBe('')
    const bytes = await readFile(scrubbed)
    expect(bytes.includes('PLANTED-open')).toBe(false)
    expect(bytes.includes('PLANTED-behind')).toBe(false)
    const after = await debugfsSnapshot(scrubbed)
    expect(after.has('/var/log/open')).toBe(false)
    expect(after.get('/var/log/truncated')).toMatch(/^file 644 1000 /)
    expect((await readFile(await scrub(scrubbed))).equals(bytes)).toBe(true)
  })
})

describe('a file system that was not unmounted', () => {
  it('is taken as it is when nothing else is wrong with it', async () => {
    const image = join(folder.path, 'unclean.img')
    await buildExt4Image(image, { features: ['-t', 'ext2'], tree, size: '8M' })
    const before = await debugfsSnapshot(image)
    await runDebugfs(image, ['set_super_value state 0'])
    const scrubbed = await scrub(image)
    expect(fsckComplaints(scrubbed)).toBe('')
    expect(await debugfsSnapshot(scrubbed)).toEqual(before)
  })

  it('is refused when the guest has found errors in it', async () => {
    const image = join(folder.path, 'errors.img')
    await buildExt4Image(image, { tree, size: '8M' })
    await runDebugfs(image, ['set_super_value state 3'])
    const disk = await openImage(image)
    await expect(openExt4(disk, { workFolder: folder.path })).rejects.toMatchObject({
      code: 'FILESYSTEM_DAMAGED',
    })
    await disk.close()
  })
})

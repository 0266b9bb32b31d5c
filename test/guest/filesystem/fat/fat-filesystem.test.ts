import { readFile, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { memoryDisk } from '../../../../src/disk/memory-disk.ts'
import { openFatFilesystem } from '../../../../src/guest/filesystem/fat/fat-filesystem.ts'
import type { Filesystem } from '../../../../src/guest/filesystem/filesystem.ts'
import { probeFilesystem } from '../../../../src/guest/filesystem/probe-filesystem.ts'
import { diskBytes } from '../../../support/ext4-image.ts'
import {
  expectOwnError,
  fatComplaints,
  readWithMtools,
  runFatTool,
  storeDisk,
} from '../../../support/fat-tools.ts'
import { describeWith } from '../../../support/requirements.ts'
import { temporaryFolder } from '../../../support/temporary-folder.ts'

const secret = 'do not tell'

const kept = {
  '/EFI/debian/shimx64.efi': Buffer.alloc(100_001, 'shim'),
  '/EFI/debian/A long name to keep.cfg': Buffer.from('set timeout=1\n'),
  '/EFI/BOOT/EMPTY.TXT': Buffer.alloc(0),
}

/** Bytes of an EFI partition that mtools has filled: what is kept, what is to go, and what was deleted before. */
async function makePartition(bits: string, megabytes: number): Promise<Buffer> {
  const folder = await temporaryFolder()
  const path = join(folder, 'esp.img')
  const piece = join(folder, 'piece')
  await writeFile(path, '')
  await truncate(path, megabytes * 2 ** 20)
  runFatTool('mkfs.vfat', ['-F', bits, '-s', '2', '-n', 'ESP', path])
  runFatTool('mmd', [
    '-i',
    path,
    '::EFI',
    '::EFI/debian',
    '::EFI/BOOT',
    '::loader',
    '::loader/keys',
    '::loader/keys/old',
  ])
  const put = async (name: string, bytes: Buffer): Promise<void> => {
    await writeFile(piece, bytes)
    runFatTool('mcopy', ['-i', path, piece, `::${name}`])
  }
  // Deleted first, so that what comes later ends in clusters in which something was.
  await put('/EFI/BOOT/secret deleted.txt', Buffer.alloc(300_000, secret))
  runFatTool('mdel', ['-i', path, '::/EFI/BOOT/secret deleted.txt'])
  for (const [name, bytes] of Object.entries(kept)) await put(name, bytes)
  await put('/loader/random-seed', Buffer.alloc(512, secret))
  await put('/loader/keys/secret one.key', Buffer.alloc(5000, secret))
  await put('/loader/keys/old/secret two.key', Buffer.alloc(50_000, secret))
  await put('/loader/log.txt', Buffer.alloc(9000, secret))
  return readFile(path)
}

async function openBytes(bytes: Buffer): Promise<Filesystem> {
  const disk = memoryDisk(bytes)
  const probe = await probeFilesystem(disk)
  if (!probe) throw new Error('There is no file system.')
  return openFatFilesystem(disk, probe)
}

function clean(filesystem: Filesystem): Promise<void> {
  filesystem.remove('/loader/random-seed')
  filesystem.remove('/loader/KEYS')
  filesystem.truncate('/loader/log.txt')
  filesystem.write('/loader/loader.conf', Buffer.from('timeout 3\n'))
  return filesystem.commit()
}

describeWith(['fsck.vfat', 'mkfs.vfat', 'mcopy'], 'openFatFilesystem', () => {
  test.each([
    ['12', 4],
    ['16', 20],
    ['32', 70],
  ])('removes, empties and writes on FAT%s, and nothing is left of what went', async (bits, megabytes) => {
    const before = await makePartition(bits, megabytes)
    const filesystem = await openBytes(before)
    await clean(filesystem)
    const path = join(await temporaryFolder(), 'cleaned.img')
    await storeDisk(await filesystem.scrubbed(), path)

    expect(fatComplaints(path)).toBe('')
    for (const [name, bytes] of Object.entries(kept)) {
      expect(readWithMtools(path, name).equals(bytes), name).toBe(true)
    }
    expect(readWithMtools(path, '/loader/loader.conf').toString()).toBe('timeout 3\n')
    expect(readWithMtools(path, '/loader/log.txt')).toHaveLength(0)
    const listing = runFatTool('mdir', ['-i', path, '-/', '-b', '::']).toString()
    expect(listing).not.toMatch(/random-seed|keys|secret/i)
    const after = await readFile(path)
    for (const [what, encoding] of [
      [secret, 'latin1'],
      ['secre', 'utf16le'],
      ['SECRET~', 'latin1'],
      ['ECRET', 'latin1'],
      ['rando', 'utf16le'],
    ] as const) {
      expect(before.includes(Buffer.from(what, encoding)), `${what} before`).toBe(true)
      expect(after.includes(Buffer.from(what, encoding)), `${what} after`).toBe(false)
    }
    const again = await openBytes(after)
    expect((await diskBytes(await again.scrubbed())).equals(after)).toBe(true)
  })

  test('tells what is there, whatever the case of its name', async () => {
    const filesystem = await openBytes(await makePartition('16', 20))
    expect((await filesystem.list('/efi/DEBIAN')).map(({ name }) => name)).toEqual([
      'A long name to keep.cfg',
      'shimx64.efi',
    ])
    expect((await filesystem.list('/')).map(({ name, kind }) => [name, kind])).toEqual([
      ['EFI', 'directory'],
      ['loader', 'directory'],
    ])
    expect(await filesystem.stat('/EFI/debian/SHIMX64.EFI')).toMatchObject({
      kind: 'file',
      size: 100_001,
      uid: 0,
    })
    expect(Buffer.from(await filesystem.read('/efi/debian/a LONG name to keep.cfg')).toString()).toBe(
      'set timeout=1\n',
    )
    expect(await filesystem.stat('/EFI/none')).toBeNull()
    await expect(filesystem.read('/EFI')).rejects.toMatchObject({ code: 'GUEST_NOT_A_FILE' })
    await expect(filesystem.read('/none')).rejects.toMatchObject({ code: 'GUEST_FILE_NOT_FOUND' })
    await expect(filesystem.read('/EFI/debian/shimx64.efi', { maximumBytes: 10 })).rejects.toMatchObject({
      code: 'GUEST_FILE_TOO_LARGE',
    })
    await expect(filesystem.list('/EFI/debian/shimx64.efi')).rejects.toMatchObject({
      code: 'GUEST_NOT_A_DIRECTORY',
    })
  })

  test('keeps the volume as it was where a change cannot be made', async () => {
    const before = await makePartition('16', 20)
    const filesystem = await openBytes(before)
    filesystem.remove('/loader/random-seed')
    filesystem.remove('/loader/none')
    await expect(filesystem.commit()).rejects.toMatchObject({ code: 'FILESYSTEM_EDIT_FAILED' })
    expect((await diskBytes(filesystem.committed())).equals(before)).toBe(true)
  })

  test('never does worse than an error of ours with a file system that was tampered with', async () => {
    const good = await makePartition('12', 1)
    const used = good.length - [...good].reverse().findIndex((byte) => byte !== 0)
    const change = fc.tuple(fc.oneof(fc.nat(100), fc.nat(20_000), fc.nat(used - 1)), fc.nat(255))
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 8 }), async (changes) => {
        const bytes = Buffer.from(good)
        for (const [offset, value] of changes) bytes[offset] = value
        await expectOwnError(async () => {
          const filesystem = await openFatFilesystem(memoryDisk(bytes), { type: 'vfat', uuid: '', label: '' })
          await clean(filesystem)
          await diskBytes(await filesystem.scrubbed())
        })
      }),
      { numRuns: 500 },
    )
  })
})

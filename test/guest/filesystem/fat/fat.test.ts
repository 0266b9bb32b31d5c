import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { composeDisk } from '../../../../src/disk/composed-disk.ts'
import type { Disk } from '../../../../src/disk/disk.ts'
import { memoryDisk } from '../../../../src/disk/memory-disk.ts'
import { addFatFiles } from '../../../../src/guest/filesystem/fat/add-files.ts'
import { formatFat32, minimumFat32Bytes } from '../../../../src/guest/filesystem/fat/format-fat.ts'
import { openFat } from '../../../../src/guest/filesystem/fat/open-fat.ts'
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

const options = { volumeId: 0x1234abcd, label: 'BOOT', hiddenSectors: 2048 }

describeWith(['fsck.vfat', 'mkfs.vfat', 'mcopy'], 'FAT', () => {
  let folder = ''
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'imagewright-fat-'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  const store = (disk: Disk, name: string): Promise<string> => storeDisk(disk, join(folder, name))

  async function openFile(path: string): Promise<Disk> {
    return memoryDisk(await readFile(path))
  }

  test.each([minimumFat32Bytes, 64 * 2 ** 20, 300 * 2 ** 20, 2 ** 31])(
    'an empty file system of %i bytes is sound, and found by its id and label',
    async (size) => {
      const disk = formatFat32(size, options)
      expect(await probeFilesystem(disk)).toEqual({ type: 'vfat', uuid: '1234-ABCD', label: 'BOOT' })
      const path = await store(disk, 'empty.img')
      expect(fatComplaints(path)).toBe('')
      expect(runFatTool('mlabel', ['-i', path, '-s', '::']).toString()).toContain('BOOT')
      expect((await openFat(disk)).geometry.clusterCount).toBeGreaterThanOrEqual(65_525)
    },
  )

  test('holds the files of a boot partition where every reader finds them, names and bytes', async () => {
    const kernel = Buffer.alloc(1_234_567, 'kernel')
    const files = {
      '/EFI/BOOT/BOOTX64.EFI': Buffer.alloc(1_000_000, 'loader'),
      '/boot/grub/grub.cfg': Buffer.from('set timeout=1\n'),
      '/boot/vmlinuz-6.1.0-56-cloud-amd64': kernel,
      '/boot/vmlinuz-6.1.0-57-cloud-amd64': Buffer.alloc(0),
      '/boot/initrd.img-6.1.0-56-cloud-amd64': Buffer.alloc(512, 'x'),
    }
    const empty = await openFat(formatFat32(64 * 2 ** 20, options))
    const disk = await addFatFiles(
      empty,
      Object.entries(files).map(([path, bytes]) => ({ path, content: memoryDisk(bytes) })),
    )
    const path = await store(disk, 'boot.img')
    expect(fatComplaints(path)).toBe('')
    const volume = await openFat(disk)
    for (const [name, bytes] of Object.entries(files)) {
      expect(readWithMtools(path, name).equals(bytes), name).toBe(true)
      const entry = await volume.find(name.toLowerCase())
      expect(entry?.name, name).toBe(name.split('/').at(-1))
      expect((await diskBytes(volume.content(entry!))).equals(bytes), name).toBe(true)
    }
    expect((await volume.list('/'))?.map(({ name }) => name)).toEqual(['EFI', 'boot'])
    expect(await volume.list('/boot/vmlinuz-6.1.0-56-cloud-amd64')).toBeNull()
    expect(await volume.find('/EFI/none/x')).toBeNull()
  })

  test.each([
    ['12', '1M', 1],
    ['12', '2M', 2],
    ['16', '16M', 1],
    ['16', '100M', 4],
    ['32', '40M', 1],
  ])(
    'adds to a FAT%s file system of another program, of %s, without touching its files',
    async (bits, size, perCluster) => {
      const path = join(folder, `made-${bits}.img`)
      await writeFile(path, '')
      await truncate(path, Number(size.slice(0, -1)) * 2 ** 20)
      runFatTool('mkfs.vfat', ['-F', bits, '-s', String(perCluster), '-n', 'ESP', path])
      runFatTool('mmd', ['-i', path, '::EFI', '::EFI/debian'])
      const there = new Map<string, Buffer>()
      for (let index = 0; index < 24; index += 1) {
        const bytes = Buffer.alloc(index * 997, index)
        await writeFile(join(folder, 'piece'), bytes)
        runFatTool('mcopy', ['-i', path, join(folder, 'piece'), `::EFI/debian/A long name ${index}.file`])
        there.set(`/EFI/debian/A long name ${index}.file`, bytes)
      }
      // Holes in the table and in the directory.
      for (let index = 0; index < 24; index += 3) {
        runFatTool('mdel', ['-i', path, `::EFI/debian/A long name ${index}.file`])
        there.delete(`/EFI/debian/A long name ${index}.file`)
      }
      const before = await openFat(await openFile(path))
      const added = {
        '/EFI/BOOT/BOOTX64.EFI': Buffer.alloc(300_001, 'e'),
        '/EFI/debian/A long name 1.file': Buffer.from('replaced'),
        '/EFI/debian/A long name 3.file': Buffer.alloc(5000, 'n'),
      }
      const disk = await addFatFiles(
        before,
        Object.entries(added).map(([name, bytes]) => ({ path: name, content: memoryDisk(bytes) })),
      )
      const after = await store(disk, `added-${bits}.img`)
      expect(fatComplaints(after)).toBe('')
      for (const [name, bytes] of [...there, ...Object.entries(added)]) {
        if (name in added && there.has(name) && !bytes.equals(added[name as keyof typeof added])) continue
        expect(readWithMtools(after, name).equals(bytes), name).toBe(true)
      }
      const volume = await openFat(disk)
      for (const [name, bytes] of Object.entries(added)) {
        expect((await diskBytes(volume.content((await volume.find(name))!))).equals(bytes), name).toBe(true)
      }
    },
  )

  test('takes FAT32 with few clusters for what it says it is, as firmware does', async () => {
    const path = join(folder, 'small-32.img')
    await writeFile(path, '')
    await truncate(path, 2 ** 24)
    runFatTool('mkfs.vfat', ['-F', '32', '-s', '1', path])
    const volume = await openFat(await openFile(path))
    expect(volume.geometry.bits).toBe(32)
    const disk = await addFatFiles(volume, [
      { path: '/EFI/BOOT/BOOTX64.EFI', content: composeDisk(70_000, []) },
    ])
    expect(fatComplaints(await store(disk, 'small-32-added.img'))).toBe('')
  })

  test('makes a directory longer when it is full, and short names that do not clash', async () => {
    const names = Array.from({ length: 120 }, (_, index) => `/dir/initrd.img-6.1.0-${index}-amd64`)
    const empty = await openFat(formatFat32(minimumFat32Bytes, options))
    const disk = await addFatFiles(
      empty,
      names.map((path) => ({ path, content: memoryDisk(Buffer.from(path)) })),
    )
    const path = await store(disk, 'many.img')
    expect(fatComplaints(path)).toBe('')
    for (const name of names) expect(readWithMtools(path, name).toString(), name).toBe(name)
  })

  test('adds in several goes what one would have added, whatever the files are', async () => {
    const name = fc.stringMatching(/^[A-Za-z0-9_+~-][\w.+~-]{0,18}[A-Za-z0-9_]$/)
    const file = fc.record({
      directories: fc.array(fc.constantFrom('a', 'B', 'long name'), { maxLength: 2 }),
      name,
      size: fc.nat(5000),
    })
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(file, { maxLength: 30, selector: (f) => f.name.toLowerCase() }),
        async (files) => {
          let disk: Disk = formatFat32(minimumFat32Bytes, options)
          const contents = files.map(({ directories, name: last, size }, index) => ({
            path: `/${[...directories, `f${index}-${last}`].join('/')}`,
            bytes: Buffer.alloc(size, index + 1),
          }))
          for (let start = 0; start < contents.length; start += 7) {
            const some = contents.slice(start, start + 7)
            disk = await addFatFiles(
              await openFat(disk),
              some.map(({ path, bytes }) => ({ path, content: memoryDisk(bytes) })),
            )
          }
          const stored = await store(disk, 'property.img')
          expect(fatComplaints(stored)).toBe('')
          for (const { path, bytes } of contents)
            expect(readWithMtools(stored, path).equals(bytes), path).toBe(true)
        },
      ),
      { numRuns: 10 },
    )
  })

  test('refuses what does not fit, what is in the way, and names that are none', async () => {
    const empty = await openFat(formatFat32(minimumFat32Bytes, options))
    const add = (path: string, size = 1) => addFatFiles(empty, [{ path, content: composeDisk(size, []) }])
    const refusal = { code: 'FILESYSTEM_EDIT_FAILED' }
    await expect(add('/large', 40 * 2 ** 20)).rejects.toMatchObject(refusal)
    for (const path of ['/', '/a/..', '/a:b', '/ends.', '/é', `/${'x'.repeat(256)}`]) {
      await expect(add(path), path).rejects.toMatchObject(refusal)
    }
    const some = await openFat(await add('/a/file'))
    await expect(addFatFiles(some, [{ path: '/a', content: composeDisk(1, []) }])).rejects.toMatchObject(
      refusal,
    )
    await expect(
      addFatFiles(some, [{ path: '/a/file/b', content: composeDisk(1, []) }]),
    ).rejects.toMatchObject(refusal)
  })

  test('never does worse than an error of ours with a file system that was tampered with', async () => {
    const path = join(folder, 'tampered.img')
    await writeFile(path, '')
    await truncate(path, 2 ** 19)
    runFatTool('mkfs.vfat', ['-F', '12', path])
    runFatTool('mmd', ['-i', path, '::EFI', '::EFI/BOOT'])
    await writeFile(join(folder, 'piece'), Buffer.alloc(100_000, 1))
    runFatTool('mcopy', ['-i', path, join(folder, 'piece'), '::EFI/BOOT/A longer name.efi'])
    const good = await diskBytes(await openFile(path))
    const used = good.length - [...good].reverse().findIndex((byte) => byte !== 0)
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.oneof(fc.nat(100), fc.nat(60_000), fc.nat(used)), fc.nat(255)), {
          minLength: 1,
          maxLength: 8,
        }),
        async (changes) => {
          const bytes = Buffer.from(good)
          for (const [offset, value] of changes) bytes[offset] = value
          await expectOwnError(async () => {
            const volume = await openFat(memoryDisk(bytes))
            for (const directory of ['/', '/EFI', '/EFI/BOOT']) {
              for (const entry of (await volume.list(directory)) ?? []) {
                if (entry.size < 2 ** 20) await diskBytes(volume.content(entry))
              }
            }
            await diskBytes(
              await addFatFiles(volume, [
                { path: '/EFI/BOOT/BOOTX64.EFI', content: memoryDisk(Buffer.alloc(9000, 2)) },
              ]),
            )
          })
        },
      ),
      { numRuns: 800 },
    )
  })
})

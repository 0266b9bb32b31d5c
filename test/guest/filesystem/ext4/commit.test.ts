import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { Disk } from '../../../../src/disk/disk.ts'
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
import { readerSnapshot } from '../../../support/ext4-snapshot.ts'

let folder: Awaited<ReturnType<typeof temporaryFolder>>
beforeAll(async () => {
  folder = await temporaryFolder()
})
afterAll(() => folder.remove())

async function withFilesystem<T>(
  image: string,
  use: (filesystem: Filesystem, disk: Disk) => Promise<T>,
): Promise<T> {
  const disk = await openImage(image)
  const filesystem = await openExt4(disk, { workFolder: folder.path })
  try {
    return await use(filesystem, disk)
  } finally {
    await filesystem.close()
    await disk.close()
  }
}

async function expectClean(filesystem: Filesystem): Promise<void> {
  const path = join(folder.path, 'result.img')
  await writeFile(path, await diskBytes(await filesystem.scrubbed()))
  expect(fsckComplaints(path)).toBe('')
}

describe('a change that cannot be made', () => {
  const image = () => join(folder.path, 'refused.img')
  beforeAll(() =>
    buildExt4Image(image(), {
      tree: { '/etc/file': 'file', '/etc/link': { symlink: 'file' }, '/etc/directory/file': 'x' },
      size: '4M',
    }),
  )

  it.each<[string, (filesystem: Filesystem) => void]>([
    ['removing what is not there', (fs) => fs.remove('/etc/missing')],
    ['truncating what is not there', (fs) => fs.truncate('/missing/file')],
    ['writing through a link', (fs) => fs.write('/etc/link', Buffer.from('x'))],
    ['truncating a directory', (fs) => fs.truncate('/etc/directory')],
    ['writing into a missing directory', (fs) => fs.write('/missing/file', Buffer.from('x'))],
    [
      'writing more than there is room for',
      (fs) => fs.write('/etc/file', Buffer.alloc(8 * 1024 * 1024, 'x')),
    ],
    ['creating a name that could be read as a command', (fs) => fs.write('/etc/a b"', Buffer.from('x'))],
    ['the mode of a link', (fs) => fs.setMode('/etc/link', 0o600)],
    [
      'changing what was removed before',
      (fs) => {
        fs.remove('/etc/directory')
        fs.truncate('/etc/directory/file')
      },
    ],
  ])('fails the commit and keeps nothing: %s', async (_, change) => {
    await withFilesystem(image(), async (filesystem) => {
      const before = await readerSnapshot(filesystem)
      filesystem.truncate('/etc/file')
      change(filesystem)
      await expect(filesystem.commit()).rejects.toMatchObject({ code: 'FILESYSTEM_EDIT_FAILED' })
      expect(await readerSnapshot(filesystem)).toEqual(before)
      await filesystem.commit()
      expect(await readerSnapshot(filesystem)).toEqual(before)
    })
    expect((await readdir(folder.path)).filter((name) => /^(metadata|content)-/.test(name))).toEqual([])
  })

  it('refuses a file system that e2fsck finds fault with', async () => {
    const damaged = join(folder.path, 'damaged.img')
    await buildExt4Image(damaged, { tree: { '/etc/file': 'file' }, size: '4M' })
    await runDebugfs(damaged, ['set_inode_field /etc/file links_count 7'])
    await withFilesystem(damaged, async (filesystem) => {
      filesystem.truncate('/etc/file')
      await expect(filesystem.commit()).rejects.toMatchObject({
        code: 'FILESYSTEM_DAMAGED',
        message: expect.stringContaining('ref count is 7, should be 1'),
      })
      await expect(filesystem.scrubbed()).rejects.toMatchObject({ code: 'FILESYSTEM_DAMAGED' })
    })
  })
})

describe('commit', () => {
  it('can be called again for further changes', async () => {
    const image = join(folder.path, 'twice.img')
    await buildExt4Image(image, { tree: { '/a': 'PLANTED-a', '/b': 'PLANTED-b', '/c': 'c' }, size: '4M' })
    await withFilesystem(image, async (filesystem) => {
      filesystem.remove('/a')
      await filesystem.commit()
      filesystem.remove('/b')
      filesystem.write('/a', Buffer.from('new a'))
      expect(await filesystem.stat('/a')).toBeNull()
      await filesystem.commit()
      expect([...(await readerSnapshot(filesystem)).keys()]).toEqual(['/a', '/c', '/lost+found'])
      expect((await diskBytes(await filesystem.scrubbed())).includes('PLANTED')).toBe(false)
      await expectClean(filesystem)
    })
  })

  it('replaces a file that is removed and written in one go', async () => {
    const image = join(folder.path, 'replaced.img')
    await buildExt4Image(image, { tree: { '/a': 'PLANTED', '/d/x': 'PLANTED' }, size: '4M' })
    await withFilesystem(image, async (filesystem) => {
      filesystem.remove('/a')
      filesystem.write('/a', Buffer.from('new'), { mode: 0o600 })
      filesystem.remove('/d/x')
      filesystem.remove('/d/x')
      filesystem.remove('/d')
      await filesystem.commit()
      expect(Buffer.from(await filesystem.read('/a')).toString()).toBe('new')
      expect((await filesystem.stat('/a'))?.mode).toBe(0o600)
      await expectClean(filesystem)
    })
  })

  it('empties directories of thousands of entries, hashed ones too', async () => {
    const image = join(folder.path, 'many.img')
    const names = Array.from({ length: 5000 }, (_, i) => `PLANTED-entry-with-a-long-name-${i}`)
    await buildExt4Image(image, {
      features: ['-t', 'ext4', '-b', '1024', '-N', '6000'],
      tree: Object.fromEntries(names.map((name) => [`/spool/${name}`, ''])),
      size: '16M',
    })
    await withFilesystem(image, async (filesystem) => {
      expect(await filesystem.list('/spool')).toHaveLength(5000)
      for (const name of names.slice(1)) filesystem.remove(`/spool/${name}`)
      await filesystem.commit()
      expect((await filesystem.list('/spool')).map(({ name }) => name)).toEqual([names[0]])
      const text = (await diskBytes(await filesystem.scrubbed())).toString('latin1')
      expect(text.match(/PLANTED-entry/g)).toHaveLength(1)
      await expectClean(filesystem)
    })
  })

  it('leaves directories in several pieces and files in many pieces as they are', async () => {
    const image = join(folder.path, 'pieces.img')
    const content = Array.from({ length: 200 }, (_, i) => [`/f${i}`, `${i}`.repeat(700)])
    await buildExt4Image(image, {
      features: ['-t', 'ext4', '-b', '1024'],
      tree: Object.fromEntries(content),
      size: '4M',
    })
    // Every other block of the front is free now; a large file has to take them one by one.
    await runDebugfs(
      image,
      Array.from({ length: 100 }, (_, i) => `rm /f${i * 2}`),
    )
    const source = join(folder.path, 'large')
    await writeFile(source, 'large file '.repeat(180_000))
    await runDebugfs(image, [`write ${source} large`])
    await withFilesystem(image, async (filesystem) => {
      const before = await readerSnapshot(filesystem)
      expect(before.get('/large')).toMatch(/^file 644 1980000 /)
      filesystem.remove('/f1')
      filesystem.write('/f3', Buffer.alloc(60_000, 'grown'))
      await filesystem.commit()
      const after = await readerSnapshot(filesystem)
      expect(after.get('/large')).toBe(before.get('/large'))
      expect(Buffer.from(await filesystem.read('/f3')).equals(Buffer.alloc(60_000, 'grown'))).toBe(true)
      await expectClean(filesystem)
    })
  })

  it('says how to get e2fsprogs where it is missing', async () => {
    const image = join(folder.path, 'tools.img')
    await buildExt4Image(image, { size: '4M' })
    vi.resetModules()
    vi.doMock('../../../../src/core/program.ts', async (original) => {
      const actual = await original<typeof import('../../../../src/core/program.ts')>()
      return {
        ...actual,
        runProgram: (file: string, args: string[], options: never) =>
          actual.runProgram(`missing-${file}`, args, options),
      }
    })
    const { openExt4: open } = await import('../../../../src/guest/filesystem/ext4/open-ext4.ts')
    const disk = await openImage(image)
    const filesystem = await open(disk, { workFolder: folder.path })
    await expect(filesystem.scrubbed()).rejects.toMatchObject({
      code: 'PROGRAM_MISSING',
      hint: expect.stringContaining('apt-get install e2fsprogs'),
    })
    await filesystem.close()
    await disk.close()
    vi.doUnmock('../../../../src/core/program.ts')
    vi.resetModules()
  })
})

describe('random trees and random changes', () => {
  const names = ['a', 'b', 'c', 'long-name-that-takes-some-room-in-its-directory', 'ä\udcff']
  const path = fc
    .array(fc.constantFrom(...names), { minLength: 1, maxLength: 3 })
    .map((parts) => `/${parts.join('/')}`)
  const content = fc
    .nat({ max: 9000 })
    .map((length) => 'SECRET'.repeat(Math.ceil(length / 6)).slice(0, length))
  const change = fc.tuple(
    fc.constantFrom('remove', 'truncate', 'write', 'mode'),
    path,
    fc.nat({ max: 20_000 }),
  )

  it('give what a model of them gives, and a clean file system', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(path, content, { minKeys: 1, maxKeys: 8 }),
        fc.array(change, { maxLength: 6 }),
        async (wished, changes) => {
          // A file cannot have files below it.
          const paths = Object.keys(wished).filter(
            (one) => !Object.keys(wished).some((other) => other.startsWith(`${one}/`)),
          )
          const image = join(folder.path, 'random.img')
          await buildExt4Image(image, {
            features: ['-F', '-t', 'ext4', '-b', '1024', '-J', 'size=1'],
            tree: Object.fromEntries(paths.map((one) => [one, wished[one] ?? ''])),
            size: '3M',
          })
          const model = new Map(paths.map((one) => [one, Buffer.from(wished[one] ?? '')]))
          await withFilesystem(image, async (filesystem) => {
            for (const [kind, target, length] of changes) {
              if (kind === 'remove') {
                const hit = [...model.keys()].filter((one) => one === target || one.startsWith(`${target}/`))
                if (hit.length === 0) continue
                for (const one of hit) model.delete(one)
                filesystem.remove(target)
              } else if (model.has(target)) {
                if (kind === 'mode') filesystem.setMode(target, 0o600)
                const next = Buffer.alloc(kind === 'truncate' ? 0 : length, 'new content ')
                if (kind !== 'mode') model.set(target, next)
                if (kind === 'truncate') filesystem.truncate(target)
                if (kind === 'write') filesystem.write(target, next)
              }
            }
            await filesystem.commit()
            for (const [one, bytes] of model)
              expect(Buffer.from(await filesystem.read(one)).equals(bytes)).toBe(true)
            const left = [...(await readerSnapshot(filesystem))].filter(([, what]) => what.startsWith('file'))
            expect(left.map(([one]) => one).sort()).toEqual([...model.keys()].sort())
            await expectClean(filesystem)
            const kept = [...model.values()].some((bytes) => bytes.includes('SECRET'))
            const result = await diskBytes(await filesystem.scrubbed())
            if (!kept) expect(result.includes('SECRET')).toBe(false)
          })
        },
      ),
      { numRuns: 25 },
    )
  })
})

import { mkdir, rename, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { KiB, MiB } from '../../../src/core/bytes.ts'
import { allowBackingWithin } from '../../../src/disk/qcow2/allow-backing-within.ts'
import { writeQcow2Overlay } from '../../../src/disk/qcow2/qcow2-overlay.ts'
import { openQcow2, type Qcow2Disk } from '../../../src/disk/qcow2/qcow2-reader.ts'
import { openFileSource } from '../../../src/transfer/file-source.ts'
import { memorySink } from '../../support/memory-sink.ts'
import { qemuImg, qemuImgProblems, qemuImgSame, qemuIo } from '../../support/qemu-img.ts'
import { describeWith } from '../../support/requirements.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { noiseOf, readWhole } from './sample-content.ts'

describe('a backing file', () => {
  test('is refused unless the caller allows it', async () => {
    const folder = await temporaryFolder()
    await overlay(folder, { backingFile: 'base.raw' })
    const source = await openFileSource(join(folder, 'top.qcow2'))
    await expect(openQcow2(source)).rejects.toMatchObject({ code: 'IMAGE_BACKING_FILE' })
    await source.close()
  })

  for (const [title, size] of [
    ['as long as the overlay', MiB],
    ['shorter than the overlay', 100 * KiB],
    ['longer than the overlay', 2 * MiB],
  ] as const) {
    test(`gives the data of an empty overlay: a raw one ${title}`, async () => {
      const folder = await temporaryFolder()
      const base = noiseOf(size, 1)
      await writeFile(join(folder, 'base.raw'), base)
      await overlay(folder, { backingFile: 'base.raw' })
      const disk = await openTop(folder)
      const expected = Buffer.alloc(MiB)
      base.copy(expected)
      expect(expected.equals(await readWhole(disk))).toBe(true)
    })
  }

  const unsafe = [
    '/etc/passwd',
    '../base.raw',
    'sub/base.raw',
    '..',
    '.',
    '',
    'json:{"driver":"file"}',
    'nbd:localhost:10809',
    'http://example.org/base.raw',
    'file:base.raw',
    'C:base.raw',
    'sub\\base.raw',
    'base\0.raw',
  ]
  for (const backingFile of unsafe) {
    test(`is refused by the name ${JSON.stringify(backingFile)}`, async () => {
      const folder = await temporaryFolder()
      await mkdir(join(folder, 'images', 'sub'), { recursive: true })
      await writeFile(join(folder, 'base.raw'), 'planted')
      await writeFile(join(folder, 'images', 'sub', 'base.raw'), 'planted')
      await overlay(join(folder, 'images'), { backingFile })
      await expect(openTop(join(folder, 'images'))).rejects.toMatchObject({ code: 'IMAGE_UNSAFE_NAME' })
    })
  }

  test('is refused when a symbolic link leads out of the folder', async () => {
    const folder = await temporaryFolder()
    await mkdir(join(folder, 'images'))
    await writeFile(join(folder, 'secret'), 'planted')
    await symlink('../secret', join(folder, 'images', 'base.raw'))
    await overlay(join(folder, 'images'), { backingFile: 'base.raw' })
    await expect(openTop(join(folder, 'images'))).rejects.toMatchObject({ code: 'IMAGE_UNSAFE_NAME' })
  })

  test('is refused without a format, which is never guessed', async () => {
    const open = allowBackingWithin(await temporaryFolder())
    await expect(open('base.raw', null)).rejects.toMatchObject({ code: 'IMAGE_BACKING_FILE' })
    await expect(open('base.raw', 'vmdk')).rejects.toMatchObject({ code: 'IMAGE_BACKING_FILE' })
  })

  test('is refused when it comes back to itself', async () => {
    const folder = await temporaryFolder()
    await overlay(folder, { backingFile: 'top.qcow2', backingFormat: 'qcow2' })
    await expect(openTop(folder)).rejects.toMatchObject({ code: 'IMAGE_CHAIN_TOO_DEEP' })
  })

  test('is refused below a chain that is too long', async () => {
    const folder = await temporaryFolder()
    await writeFile(join(folder, 'file0'), Buffer.alloc(MiB, 1))
    for (let index = 1; index <= 20; index += 1) {
      const backingFormat = index === 1 ? 'raw' : 'qcow2'
      await overlay(folder, { backingFile: `file${index - 1}`, backingFormat })
      await rename(join(folder, 'top.qcow2'), join(folder, `file${index}`))
    }
    await overlay(folder, { backingFile: 'file20', backingFormat: 'qcow2' })
    await expect(openTop(folder)).rejects.toMatchObject({ code: 'IMAGE_CHAIN_TOO_DEEP' })
    await overlay(folder, { backingFile: 'file10', backingFormat: 'qcow2' })
    expect((await readWhole(await openTop(folder))).equals(Buffer.alloc(MiB, 1))).toBe(true)
  })

  test('that is missing is an error with its name', async () => {
    const folder = await temporaryFolder()
    await overlay(folder, { backingFile: 'gone.raw' })
    await expect(openTop(folder)).rejects.toMatchObject({ code: 'SOURCE_NOT_FOUND' })
  })

  test('must have a name that fits into the header', async () => {
    const backingFile = 'n'.repeat(1024)
    const options = { size: MiB, backingFile, backingFormat: 'raw' } as const
    await expect(writeQcow2Overlay(memorySink(), options)).rejects.toMatchObject({
      code: 'DISK_OPTION_INVALID',
    })
  })
})

describeWith(['qemu-img'], 'backing chains, in the eyes of qemu-img', () => {
  test('accepts an overlay of any size', async () => {
    const folder = await temporaryFolder()
    await writeFile(join(folder, 'base.raw'), noiseOf(64 * KiB, 2))
    for (const size of [0, 512, MiB, 2 ** 40, 2 ** 44]) {
      await overlay(folder, { backingFile: 'base.raw', size })
      expect(await qemuImgProblems(join(folder, 'top.qcow2'))).toEqual([])
    }
  })

  test('takes an overlay of ours for the same disk as its base', async () => {
    const folder = await temporaryFolder()
    const base = { path: join(folder, 'base.raw'), format: 'raw' }
    await writeFile(base.path, noiseOf(MiB, 3))
    await overlay(folder, { backingFile: 'base.raw' })
    expect(await qemuImgSame({ path: join(folder, 'top.qcow2'), format: 'qcow2' }, base)).toBe(true)
  })

  test('reads a chain of three with data, zeros and holes on every floor', async () => {
    const folder = await temporaryFolder()
    const at = (name: string) => join(folder, name)
    await writeFile(at('base.raw'), noiseOf(700 * KiB, 4))
    await qemuImg(
      'create',
      '-f',
      'qcow2',
      '-o',
      'backing_file=base.raw,backing_fmt=raw,cluster_size=4k',
      at('middle.qcow2'),
      '2M',
    )
    await qemuIo(
      'qcow2',
      at('middle.qcow2'),
      'write -P 1 10k 100k',
      'write -z 300k 64k',
      'write -P 2 1500k 3k',
    )
    await qemuImg(
      'create',
      '-f',
      'qcow2',
      '-o',
      'backing_file=middle.qcow2,backing_fmt=qcow2,extended_l2=on',
      at('top.qcow2'),
      '1900k',
    )
    await qemuIo('qcow2', at('top.qcow2'), 'write -P 3 90k 30k', 'write -z 600k 64k', 'write -P 4 1890k 10k')
    await qemuImg('convert', '-f', 'qcow2', '-O', 'raw', at('top.qcow2'), at('flat.raw'))
    const flat = await openFileSource(at('flat.raw'))
    const expected = Buffer.alloc(flat.size)
    await flat.read(expected, 0)
    await flat.close()
    expect(expected.equals(await readWhole(await openTop(folder)))).toBe(true)
  })
})

async function overlay(
  folder: string,
  {
    size = MiB,
    backingFormat = 'raw',
    backingFile,
  }: { size?: number; backingFormat?: 'raw' | 'qcow2'; backingFile: string },
): Promise<void> {
  const sink = memorySink()
  await writeQcow2Overlay(sink, { size, backingFile, backingFormat })
  await writeFile(join(folder, 'top.qcow2'), sink.bytes())
}

async function openTop(folder: string): Promise<Qcow2Disk> {
  const source = await openFileSource(join(folder, 'top.qcow2'))
  onTestFinished(() => source.close())
  const disk = await openQcow2(source, { openBacking: allowBackingWithin(folder) })
  onTestFinished(() => disk.close())
  return disk
}

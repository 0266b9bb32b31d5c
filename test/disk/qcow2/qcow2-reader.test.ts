import { mkdir, open, readFile, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { GiB, KiB, MiB, TiB } from '../../../src/core/bytes.ts'
import { runProgram } from '../../../src/core/program.ts'
import { allowDataFileWithin } from '../../../src/disk/qcow2/allow-data-file-within.ts'
import { openQcow2, type Qcow2Disk } from '../../../src/disk/qcow2/qcow2-reader.ts'
import { type FileSource, openFileSource } from '../../../src/transfer/file-source.ts'
import { validWithDataFile } from '../../../testbed/hostile/qcow2-extras.ts'
import { compressedEntry, setEntry } from '../../../testbed/hostile/qcow2-sketch.ts'
import { memorySource } from '../../support/memory-source.ts'
import { qemuImg, qemuIo } from '../../support/qemu-img.ts'
import { describeWith } from '../../support/requirements.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { readWhole, sampleContent } from './sample-content.ts'

describeWith(['qemu-img'], 'openQcow2 on images of qemu-img', () => {
  for (const clusterSize of ['512', '4k', '64k', '2M']) {
    for (const layout of ['compat=0.10', 'compat=1.1', 'compat=1.1,extended_l2=on']) {
      if (layout.includes('extended') && ['512', '4k'].includes(clusterSize)) continue
      for (const compression of ['none', 'zlib', 'zstd']) {
        if (layout === 'compat=0.10' && compression === 'zstd') continue
        test(`reads clusters of ${clusterSize}, ${layout}, compression ${compression}`, async () => {
          const folder = await temporaryFolder()
          const content = sampleContent()
          await writeFile(join(folder, 'disk.raw'), content)
          const type = compression === 'zstd' ? ',compression_type=zstd' : ''
          const options = `${layout},cluster_size=${clusterSize}${type}`
          const compress = compression === 'none' ? [] : ['-c']
          await qemuImg(
            'convert',
            ...compress,
            '-f',
            'raw',
            '-O',
            'qcow2',
            '-o',
            options,
            join(folder, 'disk.raw'),
            join(folder, 'disk.qcow2'),
          )
          const disk = await openQcow2(await openedSource(join(folder, 'disk.qcow2')))
          expect(disk.size).toBe(content.length)
          expect(content.equals(await readWhole(disk))).toBe(true)
        })
      }
    }
  }

  test('reads plain and allocated zero clusters, and data written over them', async () => {
    const { disk, same } = await imageOf({ size: '4M' }, [
      'write -P 1 0 1M',
      'write -z 128k 64k',
      'write -z -u 256k 128k',
      'write -z 2M 1M',
      'write -P 7 2200k 3k',
    ])
    expect(await same()).toBe(true)
    expect((await extentsOf(disk)).filter(({ kind }) => kind === 'zero').length).toBeGreaterThan(3)
  })

  test('reads subclusters of extended L2 entries one by one', async () => {
    const { disk, same } = await imageOf({ size: '4M', options: 'extended_l2=on,cluster_size=64k' }, [
      'write -P 1 2k 2k',
      'write -P 2 10k 6k',
      'write -z 12k 2k',
      'write -P 3 1M 64k',
      'write -z 1030k 4k',
    ])
    expect(await same()).toBe(true)
    expect(await extentsOf(disk)).toEqual([
      { offset: 0, length: 2 * KiB, kind: 'zero' },
      { offset: 2 * KiB, length: 2 * KiB, kind: 'data' },
      { offset: 4 * KiB, length: 6 * KiB, kind: 'zero' },
      { offset: 10 * KiB, length: 2 * KiB, kind: 'data' },
      { offset: 12 * KiB, length: 2 * KiB, kind: 'zero' },
      { offset: 14 * KiB, length: 2 * KiB, kind: 'data' },
      { offset: 16 * KiB, length: 1008 * KiB, kind: 'zero' },
      { offset: MiB, length: 6 * KiB, kind: 'data' },
      { offset: MiB + 6 * KiB, length: 4 * KiB, kind: 'zero' },
      { offset: MiB + 10 * KiB, length: 54 * KiB, kind: 'data' },
      { offset: MiB + 64 * KiB, length: 4 * MiB - MiB - 64 * KiB, kind: 'zero' },
    ])
  })

  test('reads the active layer of an image with internal snapshots', async () => {
    const { path } = await imageOf({ size: '2M' }, ['write -P 1 0 1M'])
    await qemuImg('snapshot', '-c', 'first', path)
    await qemuIo('qcow2', path, 'write -P 2 512k 256k')
    const { disk, same } = await reopened(path)
    expect(disk.header.snapshotCount).toBe(1)
    expect(await same()).toBe(true)
  })

  test('passes over bitmaps', async () => {
    const { path } = await imageOf({ size: '2M' }, ['write -P 1 0 1M'])
    await qemuImg('bitmap', '-f', 'qcow2', '--add', path, 'backup')
    const { disk, same } = await reopened(path)
    expect(disk.header.autoclearFeatures).toBe(1n)
    expect(await same()).toBe(true)
  })

  test('reads an image with lazy refcounts that was not closed, and says so', async () => {
    const { path } = await imageOf({ size: '2M', options: 'lazy_refcounts=on' }, [])
    await expect(qemuIo('qcow2', path, 'write -P 9 64k 200k', 'flush', 'abort')).rejects.toThrow()
    const disk = await openQcow2(await openedSource(path))
    expect(disk.header.dirty).toBe(true)
    expect(disk.warnings.join()).toMatch(/not closed cleanly.*lazy refcounts/)
    const read = Buffer.alloc(200 * KiB)
    await disk.read(read, 64 * KiB)
    expect(read.equals(Buffer.alloc(200 * KiB, 9))).toBe(true)
  })

  for (const preallocation of ['metadata', 'falloc', 'full']) {
    test(`reads an image with preallocation ${preallocation}`, async () => {
      const { same } = await imageOf({ size: '3M', options: `preallocation=${preallocation}` }, [
        'write -P 4 1000k 70k',
      ])
      expect(await same()).toBe(true)
    })
  }

  for (const size of ['0', '512', '1536', '65024', '100k']) {
    test(`reads an empty image of ${size} bytes`, async () => {
      const { same } = await imageOf({ size }, [])
      expect(await same()).toBe(true)
    })
  }

  test('reads what a cut-off last cluster lacks as zeros', async () => {
    const { path } = await imageOf({ size: '2M' }, ['write -P 5 0 64k'])
    const file = await open(path, 'r+')
    const { size } = await file.stat()
    await file.truncate(size - 20 * KiB)
    await file.close()
    const disk = await openQcow2(await openedSource(path))
    const read = Buffer.alloc(64 * KiB, 0xee)
    await disk.read(read, 0)
    expect(read.equals(Buffer.concat([Buffer.alloc(44 * KiB, 5), Buffer.alloc(20 * KiB)]))).toBe(true)
  })

  test('opens a disk of 1 TiB at the cost of its data', async () => {
    const { path, disk } = await imageOf({ size: '1T' }, ['write -P 1 0 64k', 'write -P 2 700G 1M'])
    expect(await extentsOf(disk)).toEqual([
      { offset: 0, length: 64 * KiB, kind: 'data' },
      { offset: 64 * KiB, length: 700 * GiB - 64 * KiB, kind: 'zero' },
      { offset: 700 * GiB, length: MiB, kind: 'data' },
      { offset: 700 * GiB + MiB, length: TiB - 700 * GiB - MiB, kind: 'zero' },
    ])
    const source = await openedSource(path)
    let bytes = 0
    const counting = {
      ...source,
      read: async (target: Uint8Array, position: number) => {
        bytes += target.length
        return source.read(target, position)
      },
    }
    const counted = await openQcow2(counting)
    await extentsOf(counted)
    expect(bytes).toBeLessThan(512 * KiB)
  })

  for (const raw of ['off', 'on']) {
    test(`reads an external data file only where it is allowed, data_file_raw=${raw}`, async () => {
      const folder = await temporaryFolder()
      const path = join(folder, 'disk.qcow2')
      const options = `data_file=data.raw,data_file_raw=${raw}`
      await runInFolder(folder, 'qemu-img', ['create', '-f', 'qcow2', '-o', options, 'disk.qcow2', '2M'])
      const writes = ['write -P 1 0 100k', 'write -z 64k 4k', 'write -P 2 1M 64k']
      await runInFolder(folder, 'qemu-io', [
        '-f',
        'qcow2',
        ...writes.flatMap((write) => ['-c', write]),
        'disk.qcow2',
      ])
      await expect(openQcow2(await openedSource(path))).rejects.toMatchObject({ code: 'IMAGE_DATA_FILE' })
      const elsewhere = allowDataFileWithin(await temporaryFolder())
      await expect(openQcow2(await openedSource(path), { openDataFile: elsewhere })).rejects.toMatchObject({
        code: 'SOURCE_NOT_FOUND',
      })
      const disk = await openQcow2(await openedSource(path), { openDataFile: allowDataFileWithin(folder) })
      await runInFolder(folder, 'qemu-img', [
        'convert',
        '-f',
        'qcow2',
        '-O',
        'raw',
        'disk.qcow2',
        'truth.raw',
      ])
      expect((await readFile(join(folder, 'truth.raw'))).equals(await readWhole(disk))).toBe(true)
      await disk.close()
      // QEMU reads zeros where the data file ends too early.
      await truncate(join(folder, 'data.raw'), MiB + 1)
      const cut = await openQcow2(await openedSource(path), { openDataFile: allowDataFileWithin(folder) })
      await expect(readWhole(cut)).rejects.toMatchObject({ code: 'IMAGE_OFFSET_OUT_OF_FILE' })
      await cut.close()
    })
  }

  test('reads a data file that ends with the disk, inside the last cluster', async () => {
    const folder = await temporaryFolder()
    const content = sampleContent()
    expect(content.length % (64 * KiB)).not.toBe(0)
    await writeFile(join(folder, 'disk.raw'), content)
    const options = 'data_file=data.raw,data_file_raw=on'
    const convert = ['convert', '-f', 'raw', '-O', 'qcow2', '-o', options, 'disk.raw', 'disk.qcow2']
    await runInFolder(folder, 'qemu-img', convert)
    await truncate(join(folder, 'data.raw'), content.length)
    const source = await openedSource(join(folder, 'disk.qcow2'))
    const disk = await openQcow2(source, { openDataFile: allowDataFileWithin(folder) })
    expect(content.equals(await readWhole(disk))).toBe(true)
    await disk.close()
  })
})

describe('openQcow2 on the places of an external data file', () => {
  const used = 1n << 63n
  const cases: [title: string, entry: bigint][] = [
    ['the place of another cluster', used],
    ['a place outside the data file', used | (1n << 50n)],
    ['a compressed cluster', compressedEntry(12, 4096, 0)],
  ]
  for (const [title, entry] of cases) {
    test(`refuses ${title}`, async () => {
      const sketch = validWithDataFile('disk.raw')
      setEntry(sketch, sketch.places.l2 + 8, entry)
      const dataFile = memorySource(Buffer.alloc(2 * sketch.clusterSize, 1))
      const disk = await openQcow2(memorySource(sketch.bytes), { openDataFile: async () => dataFile })
      await disk.read(Buffer.alloc(sketch.clusterSize), 0)
      await expect(readWhole(disk)).rejects.toMatchObject({ code: 'IMAGE_ENTRY_INVALID' })
    })
  }
})

describe('allowDataFileWithin', () => {
  test('opens a regular file of the folder', async () => {
    const folder = await temporaryFolder()
    await writeFile(join(folder, 'data.raw'), 'data')
    const source = await allowDataFileWithin(folder)('data.raw')
    expect(source.size).toBe(4)
    await source.close()
  })

  for (const name of ['../data.raw', '/etc/passwd', 'sub/data.raw', 'json:{}', 'nbd:localhost', '.', '']) {
    test(`refuses the name ${JSON.stringify(name)}`, async () => {
      const folder = await temporaryFolder()
      await expect(allowDataFileWithin(folder)(name)).rejects.toMatchObject({ code: 'IMAGE_UNSAFE_NAME' })
    })
  }

  test('refuses a link out of the folder, a folder and a device', async () => {
    const folder = await temporaryFolder()
    await symlink('/etc/passwd', join(folder, 'link'))
    await mkdir(join(folder, 'folder'))
    for (const [within, name] of [
      [folder, 'link'],
      [folder, 'folder'],
      ['/dev', 'null'],
    ] as const) {
      await expect(allowDataFileWithin(within)(name)).rejects.toMatchObject({ code: 'IMAGE_UNSAFE_NAME' })
    }
  })
})

interface OpenedImage {
  path: string
  disk: Qcow2Disk
  /** Whether the reader gives what `qemu-img convert` gives. */
  same: () => Promise<boolean>
}

async function imageOf(
  { size, options }: { size: string; options?: string },
  commands: readonly string[],
): Promise<OpenedImage> {
  const path = join(await temporaryFolder(), 'disk.qcow2')
  await qemuImg('create', '-f', 'qcow2', ...(options ? ['-o', options] : []), path, size)
  if (commands.length > 0) await qemuIo('qcow2', path, ...commands)
  return reopened(path)
}

async function reopened(path: string): Promise<OpenedImage> {
  const disk = await openQcow2(await openedSource(path))
  const same = async () => {
    await qemuImg('convert', '-f', 'qcow2', '-O', 'raw', path, `${path}.raw`)
    return (await readFile(`${path}.raw`)).equals(await readWhole(disk))
  }
  return { path, disk, same }
}

/** QEMU takes the name of a data file from the folder it runs in. */
async function runInFolder(folder: string, program: string, programArguments: string[]): Promise<void> {
  await runProgram(program, programArguments, { timeout: 60_000, workingDirectory: folder })
}

/** Closed when the test ends, whatever becomes of it. */
async function openedSource(path: string): Promise<FileSource> {
  const source = await openFileSource(path)
  onTestFinished(() => source.close())
  return source
}

async function extentsOf(disk: Qcow2Disk) {
  return Array.fromAsync(disk.extents())
}

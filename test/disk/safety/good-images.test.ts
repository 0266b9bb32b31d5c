import { randomBytes } from 'node:crypto'
import { copyFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { KiB, MiB } from '../../../src/core/bytes.ts'
import { runProgram } from '../../../src/core/program.ts'
import { memoryDisk } from '../../../src/disk/memory-disk.ts'
import { writeQcow2 } from '../../../src/disk/qcow2/qcow2-writer.ts'
import { checkImage } from '../../../src/disk/safety/check-image.ts'
import { createFileSink } from '../../../src/transfer/file-sink.ts'
import { openFileSource } from '../../../src/transfer/file-source.ts'
import { describeWith } from '../../support/requirements.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'

const size = 3 * MiB + 512

/** Names of the matrix, and options for `qemu-img convert` or `create`. */
const creations: readonly (readonly [string, readonly string[]])[] = [
  ...['512', '4K', '64K', '2M'].flatMap((cluster) =>
    ['0.10', '1.1'].map(
      (compat) =>
        [`clusters of ${cluster}, ${compat}`, [`cluster_size=${cluster},compat=${compat}`]] as const,
    ),
  ),
  ['refcounts of 1 bit', ['refcount_bits=1']],
  ['refcounts of 2 bits', ['refcount_bits=2']],
  ['refcounts of 8 bits', ['refcount_bits=8']],
  ['refcounts of 64 bits', ['refcount_bits=64']],
  ['extended L2', ['extended_l2=on']],
  ['lazy refcounts', ['lazy_refcounts=on']],
  ['metadata preallocated', ['preallocation=metadata']],
  ['all preallocated', ['preallocation=falloc']],
]

/** Options beside the name of an external data file. */
const dataFiles = [
  'data_file_raw=off',
  'data_file_raw=on',
  'data_file_raw=off,cluster_size=512',
  'data_file_raw=on,cluster_size=4k',
  'data_file_raw=off,extended_l2=on',
  'data_file_raw=on,extended_l2=on',
  'data_file_raw=off,preallocation=metadata',
  'data_file_raw=off,lazy_refcounts=on',
]

describe('checkImage on images of our own writer', () => {
  const options = ['512', '4096', '65536', '2097152'].flatMap((clusterSize) =>
    [undefined, 'zlib', 'zstd'].map((compression) => ({ clusterSize: Number(clusterSize), compression })),
  )
  it.for(options)('accepts clusters of $clusterSize bytes, compression $compression', async (row) => {
    const { clusterSize, compression } = row as { clusterSize: number; compression?: 'zlib' | 'zstd' }
    const path = join(await temporaryFolder(), 'image.qcow2')
    const disk = memoryDisk(diskBytes())
    const sink = await createFileSink(path)
    await writeQcow2(disk, sink, { clusterSize, ...(compression ? { compression } : {}) })
    await sink.finish()
    expect(await judge(path)).toEqual({ accepted: true, size, problems: [] })
  })
})

describeWith(['qemu-img'], 'checkImage on images made by qemu-img', () => {
  it.for(creations)('accepts %s', async ([, [options = '']]) => {
    const { folder, raw } = await rawDisk()
    const path = join(folder, 'image.qcow2')
    await qemuImg('convert', '-f', 'raw', '-O', 'qcow2', '-o', options, raw, path)
    expect(await judge(path)).toEqual({ accepted: true, size, problems: extendedL2Warning(options) })
  })

  it.for(['zlib', 'zstd'])('accepts clusters compressed by %s', async (type) => {
    const { folder, raw } = await rawDisk()
    const path = join(folder, 'image.qcow2')
    await qemuImg('convert', '-c', '-f', 'raw', '-O', 'qcow2', '-o', `compression_type=${type}`, raw, path)
    expect(await judge(path)).toEqual({ accepted: true, size, problems: [] })
  })

  it('accepts internal snapshots, with shared and changed clusters', async () => {
    const { folder, raw } = await rawDisk()
    const path = join(folder, 'image.qcow2')
    await qemuImg('convert', '-f', 'raw', '-O', 'qcow2', '-o', 'cluster_size=4K', raw, path)
    for (const name of ['one', 'two', 'three']) {
      await qemuImg('snapshot', '-c', name, path)
      await writeInto(path, 1 * MiB)
    }
    expect(await judge(path)).toEqual({ accepted: true, size, problems: [] })
    await qemuImg('snapshot', '-d', 'two', path)
    expect(await judge(path)).toEqual({ accepted: true, size, problems: [] })
  })

  it('accepts persistent bitmaps', async () => {
    const folder = await temporaryFolder()
    const path = join(folder, 'image.qcow2')
    await qemuImg('create', '-f', 'qcow2', path, '64M')
    await qemuImg('bitmap', '--add', '-f', 'qcow2', path, 'first')
    await writeInto(path, 32 * MiB)
    await qemuImg('bitmap', '--add', '-g', '4K', '-f', 'qcow2', path, 'second')
    expect(await judge(path)).toEqual({ accepted: true, size: 64 * MiB, problems: [] })
  })

  it.for(['0', '512', '1T'])('accepts an empty disk of %s', async (virtualSize) => {
    const path = join(await temporaryFolder(), 'image.qcow2')
    await qemuImg('create', '-f', 'qcow2', path, virtualSize)
    expect(await judge(path)).toMatchObject({ accepted: true, problems: [] })
  })

  it('refuses an overlay, and lets it pass with a warning where that is allowed', async () => {
    const { folder, raw } = await rawDisk()
    const path = join(folder, 'overlay.qcow2')
    await qemuImg('create', '-f', 'qcow2', '-b', raw, '-F', 'raw', path)
    expect(await judge(path)).toMatchObject({ accepted: false, problems: ['IMAGE_BACKING_FILE'] })
    expect(await judge(path, true)).toMatchObject({ accepted: true, problems: ['IMAGE_BACKING_FILE'] })
  })

  // qemu-img measures its own speed before it encrypts, and now and then fails to.
  it('refuses an encrypted image', { retry: 10 }, async () => {
    const encrypted = join(await temporaryFolder(), 'encrypted.qcow2')
    const secret = ['--object', 'secret,id=key,data=secret']
    const luks = 'encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=10'
    await qemuImg('create', ...secret, '-f', 'qcow2', '-o', luks, encrypted, '4M')
    expect(await judge(encrypted)).toMatchObject({ accepted: false, problems: ['IMAGE_ENCRYPTED'] })
  })

  it.for(dataFiles)('refuses a data file with %s, and warns where it is allowed', async (options) => {
    const { folder, raw } = await rawDisk()
    const path = join(folder, 'image.qcow2')
    const dataFile = `data_file=${join(folder, 'data.raw')},${options}`
    await qemuImg('convert', '-f', 'raw', '-O', 'qcow2', '-o', dataFile, raw, path)
    await qemuIo(path, 'write -P 7 1M 64k', 'write -z 0 64k', 'write -z -u 2M 64k', 'write -P 8 2M 4k')
    await qemuImg('bitmap', '--add', '-f', 'qcow2', path, 'changes')
    await qemuImg('check', '-f', 'qcow2', path)
    const problems = ['IMAGE_DATA_FILE', ...extendedL2Warning(options)]
    expect(await judge(path)).toEqual({ accepted: false, size, problems })
    expect(await judge(path, true)).toEqual({ accepted: true, size, problems })
  })

  it('refuses an image cut off anywhere', async () => {
    const { folder, raw } = await rawDisk()
    const whole = join(folder, 'image.qcow2')
    await qemuImg('convert', '-f', 'raw', '-O', 'qcow2', raw, whole)
    const { size: length } = await stat(whole)
    const path = join(folder, 'cut.qcow2')
    // What is missing in the last cluster is beyond the end of the disk up to here.
    const needed = length - (64 * KiB - (size % (64 * KiB)))
    for (const cut of [
      needed - 1,
      needed - 512,
      ...Array.from({ length: 12 }, (_, i) => Math.floor((length * i) / 12)),
    ]) {
      await copyFile(whole, path)
      await truncate(path, cut)
      expect(await judge(path, false, 'qcow2'), `cut to ${cut} of ${length}`).toMatchObject({
        accepted: false,
      })
    }
  })

  it.for(['qed', 'parallels', 'qcow'])('refuses %s by its name', async (format) => {
    const { folder, raw } = await rawDisk()
    const path = join(folder, 'image')
    await qemuImg('convert', '-f', 'raw', '-O', format, raw, path)
    expect(await judge(path)).toMatchObject({ accepted: false, problems: ['IMAGE_FORMAT_UNSUPPORTED'] })
    expect(await judge(path, false, 'raw')).toMatchObject({ problems: ['IMAGE_FORMAT_MISMATCH'] })
  })

  it('reads no more than the tables of a large image, in less than two seconds of CPU time', async () => {
    const path = join(await temporaryFolder(), 'image.qcow2')
    await qemuImg('create', '-f', 'qcow2', '-o', 'preallocation=metadata', path, '64G')
    const source = await openFileSource(path)
    let bytes = 0
    const counting: typeof source = {
      ...source,
      read: (target, position, options) => {
        bytes += target.length
        return source.read(target, position, options)
      },
    }
    const before = process.cpuUsage()
    const verdict = await checkImage(counting)
    const { user, system } = process.cpuUsage(before)
    await source.close()
    expect(verdict.accepted).toBe(true)
    // 8 MiB of L2 tables, 2 MiB of refcounts.
    expect(bytes).toBeLessThan(16 * MiB)
    expect(user + system).toBeLessThan(2e6)
  })
})

async function rawDisk(): Promise<{ folder: string; raw: string }> {
  const folder = await temporaryFolder()
  const raw = join(folder, 'disk.raw')
  await writeFile(raw, diskBytes())
  return { folder, raw }
}

function diskBytes(): Buffer {
  const disk = Buffer.alloc(size)
  randomBytes(300 * KiB).copy(disk, 64 * KiB)
  disk.fill('compressible ', MiB, 2 * MiB)
  randomBytes(10_000).copy(disk, size - 10_000)
  return disk
}

async function writeInto(path: string, offset: number): Promise<void> {
  await qemuIo(path, `write -P 7 ${offset} 64k`)
}

/** Runs commands on the disk by qemu-io, which comes with qemu-img. */
async function qemuIo(path: string, ...commands: string[]): Promise<void> {
  const options = ['-f', 'qcow2', ...commands.flatMap((command) => ['-c', command]), path]
  await runProgram('qemu-io', options, { timeout: 30_000, package: 'qemu-utils' })
}

async function qemuImg(...options: string[]): Promise<void> {
  await runProgram('qemu-img', options, { timeout: 60_000, package: 'qemu-utils' })
}

async function judge(path: string, allowOtherFiles = false, format?: string) {
  const source = await openFileSource(path)
  try {
    const verdict = await checkImage(source, { allowOtherFiles, ...(format ? { format } : {}) })
    const problems = verdict.checks.filter((check) => check.outcome !== 'passed').map((check) => check.code)
    return { accepted: verdict.accepted, size: verdict.virtualSize, problems }
  } finally {
    await source.close()
  }
}

function extendedL2Warning(options: string): string[] {
  return options.includes('extended_l2') ? ['IMAGE_FEATURE_UNPORTABLE'] : []
}

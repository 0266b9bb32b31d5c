import { copyFile, mkdir, readFile, rename, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { KiB, MiB } from '../../src/core/bytes.ts'
import { runProgram } from '../../src/core/program.ts'
import { type CheckedDisk, type OpenCheckedDiskOptions, openCheckedDisk } from '../../src/disk/open-disk.ts'
import { writeQcow2Overlay } from '../../src/disk/qcow2/qcow2-overlay.ts'
import type { SafetyVerdict } from '../../src/disk/safety/check-image.ts'
import type { RandomAccessSource } from '../../src/transfer/byte-source.ts'
import { openFileSource } from '../../src/transfer/file-source.ts'
import { sketchMbr } from '../../testbed/hostile/partition-sketch.ts'
import { validWithDataFile } from '../../testbed/hostile/qcow2-extras.ts'
import { makeLibrarySite } from '../support/library-site.ts'
import { memorySink } from '../support/memory-sink.ts'
import { memorySource } from '../support/memory-source.ts'
import { describeWith } from '../support/requirements.ts'
import { temporaryFolder } from '../support/temporary-folder.ts'
import { noiseOf, readWhole, sampleContent } from './qcow2/sample-content.ts'

describe('openCheckedDisk', () => {
  test('tells the format from the content, and closes the source with the disk', async () => {
    const source = memorySource(noiseOf(MiB, 1))
    const opened = await openCheckedDisk(source)
    expect(opened).toMatchObject({ format: 'raw', verdict: { accepted: true }, source })
    expect(source.closed).toBe(false)
    await opened[Symbol.asyncDispose]()
    expect(source.closed).toBe(true)
  })

  test('closes its source once when a check refuses the image', async () => {
    const { source, closings } = counted(await overlayBytes({ backingFile: 'base.raw' }))
    await expect(openCheckedDisk(source)).rejects.toMatchObject({ code: 'IMAGE_BACKING_FILE' })
    expect(closings()).toBe(1)
  })

  test('closes its source once when the content is not of the declared format', async () => {
    const { source, closings } = counted(validWithDataFile('disk.raw').bytes)
    const outcome = openCheckedDisk(source, { format: 'raw' })
    await expect(outcome).rejects.toMatchObject({ code: 'IMAGE_FORMAT_MISMATCH' })
    expect(closings()).toBe(1)
  })

  test('closes its source once when another file cannot be opened', async () => {
    const allowOtherFilesWithin = await temporaryFolder()
    for (const bytes of [
      await overlayBytes({ backingFile: 'gone.raw' }),
      validWithDataFile('gone.raw').bytes,
    ]) {
      const { source, closings } = counted(bytes)
      const outcome = openCheckedDisk(source, { allowOtherFilesWithin })
      await expect(outcome).rejects.toMatchObject({ code: 'SOURCE_NOT_FOUND' })
      expect(closings()).toBe(1)
    }
  })
})

describe('openCheckedDisk on a backing chain', () => {
  test('refuses it unless a folder is allowed', async () => {
    const folder = await chainOfThree()
    await expect(open(join(folder, 'top.qcow2'))).rejects.toMatchObject({ code: 'IMAGE_BACKING_FILE' })
  })

  test('follows it inside the folder, and says so in the verdict', async () => {
    const folder = await chainOfThree()
    const { disk, verdict } = await open(join(folder, 'top.qcow2'), { allowOtherFilesWithin: folder })
    expect((await readWhole(disk)).equals(await readFile(join(folder, 'base.raw')))).toBe(true)
    expect(verdict.accepted).toBe(true)
    expect(warnings(verdict)).toEqual(['IMAGE_BACKING_FILE'])
    expect(verdict.checks).toContainEqual(expect.objectContaining({ name: 'partition.table' }))
  })

  test('refuses a chain that leaves the folder at its lower end', async () => {
    const folder = await chainOfThree()
    await rename(join(folder, 'base.raw'), join(dirname(folder), 'base.raw'))
    await symlink('../base.raw', join(folder, 'base.raw'))
    const outcome = open(join(folder, 'top.qcow2'), { allowOtherFilesWithin: folder })
    await expect(outcome).rejects.toMatchObject({ code: 'IMAGE_UNSAFE_NAME' })
  })

  test('refuses a file of the chain that is not what the image says', async () => {
    const folder = await chainOfThree()
    await copyFile(join(folder, 'middle.qcow2'), join(folder, 'base.raw'))
    const outcome = open(join(folder, 'top.qcow2'), { allowOtherFilesWithin: folder })
    await expect(outcome).rejects.toMatchObject({ code: 'IMAGE_FORMAT_MISMATCH' })
  })

  test('refuses partitions that the base has room for and the overlay has not', async () => {
    const folder = await temporaryFolder()
    await writeFile(join(folder, 'base.raw'), sketchMbr([{ type: 0x83, first: 1, sectors: 2047 }]))
    const whole = counted(await overlayBytes({ backingFile: 'base.raw' }))
    const opened = await openCheckedDisk(whole.source, { allowOtherFilesWithin: folder })
    await opened[Symbol.asyncDispose]()
    const short = counted(await overlayBytes({ backingFile: 'base.raw', size: 512 * KiB }))
    const outcome = openCheckedDisk(short.source, { allowOtherFilesWithin: folder })
    await expect(outcome).rejects.toMatchObject({ code: 'PARTITION_OUTSIDE_DISK' })
    expect([whole.closings(), short.closings()]).toEqual([1, 1])
  })
})

describe('openCheckedDisk on an image with a data file', () => {
  test('refuses it unless a folder is allowed', async () => {
    const folder = await withDataFile(noiseOf(8192, 1))
    await expect(open(join(folder, 'disk.qcow2'))).rejects.toMatchObject({ code: 'IMAGE_DATA_FILE' })
  })

  test('reads it inside the folder, and says so in the verdict', async () => {
    const content = noiseOf(8192, 1)
    const folder = await withDataFile(content)
    const { disk, verdict } = await open(join(folder, 'disk.qcow2'), { allowOtherFilesWithin: folder })
    expect((await readWhole(disk)).equals(content)).toBe(true)
    expect(verdict.accepted).toBe(true)
    expect(warnings(verdict)).toEqual(['IMAGE_DATA_FILE'])
  })

  test('refuses a data file outside the folder, by its name or by a link', async () => {
    const folder = await withDataFile(noiseOf(8192, 1))
    await rename(join(folder, 'disk.raw'), join(folder, '..', 'disk.raw'))
    await symlink('../disk.raw', join(folder, 'disk.raw'))
    await writeFile(join(folder, 'up.qcow2'), validWithDataFile('../disk.raw').bytes)
    for (const name of ['disk.qcow2', 'up.qcow2']) {
      const outcome = open(join(folder, name), { allowOtherFilesWithin: folder })
      await expect(outcome).rejects.toMatchObject({ code: 'IMAGE_UNSAFE_NAME' })
    }
  })

  test('refuses a data file that would be taken for an image itself', async () => {
    const content = Buffer.alloc(8192)
    content.write('QFI\xfb\0\0\0\x03', 'latin1')
    const folder = await withDataFile(content)
    const outcome = open(join(folder, 'disk.qcow2'), { allowOtherFilesWithin: folder })
    await expect(outcome).rejects.toMatchObject({ code: 'IMAGE_NESTED_FORMAT' })
  })

  test('confines the data file of a backing file to the same folder', async () => {
    const content = noiseOf(8192, 1)
    const folder = await withDataFile(content)
    const top = { backingFile: 'disk.qcow2', backingFormat: 'qcow2', size: 8192 } as const
    await writeFile(join(folder, 'top.qcow2'), await overlayBytes(top))
    const { disk } = await open(join(folder, 'top.qcow2'), { allowOtherFilesWithin: folder })
    expect((await readWhole(disk)).equals(content)).toBe(true)
    await writeFile(join(folder, 'disk.qcow2'), validWithDataFile('/etc/passwd').bytes)
    const outcome = open(join(folder, 'top.qcow2'), { allowOtherFilesWithin: folder })
    await expect(outcome).rejects.toMatchObject({ code: 'IMAGE_UNSAFE_NAME' })
  })
})

describeWith(['qemu-img'], 'convert with a data file made by qemu-img', () => {
  for (const raw of ['off', 'on']) {
    test(`gives the same disk where other files are allowed, data_file_raw=${raw}`, async () => {
      const folder = await temporaryFolder()
      const content = sampleContent()
      await writeFile(join(folder, 'truth.raw'), content)
      const options = `data_file=data.raw,data_file_raw=${raw}`
      const convert = ['convert', '-f', 'raw', '-O', 'qcow2', '-o', options, 'truth.raw', 'disk.qcow2']
      // QEMU takes the name of a data file from the folder it runs in.
      await runProgram('qemu-img', convert, { timeout: 60_000, workingDirectory: folder })
      await using site = await makeLibrarySite()
      const input = join(folder, 'disk.qcow2')
      const output = join(folder, 'out.raw')
      const refused = site.imagewright.convertImage(input, output)
      await expect(refused).rejects.toMatchObject({ code: 'IMAGE_DATA_FILE' })
      await site.imagewright.convertImage(input, output, { allowBacking: true, verify: true })
      expect((await readFile(output)).equals(content)).toBe(true)
    })
  }
})

/** A folder of its own folder: `top.qcow2` on `middle.qcow2` on `base.raw`, both overlays empty. */
async function chainOfThree(): Promise<string> {
  const folder = join(await temporaryFolder(), 'images')
  await mkdir(folder)
  await writeFile(join(folder, 'base.raw'), noiseOf(MiB, 1))
  await writeFile(join(folder, 'middle.qcow2'), await overlayBytes({ backingFile: 'base.raw' }))
  const top = { backingFile: 'middle.qcow2', backingFormat: 'qcow2' } as const
  await writeFile(join(folder, 'top.qcow2'), await overlayBytes(top))
  return folder
}

/** A folder of its own folder: `disk.qcow2` with its data in `disk.raw`. */
async function withDataFile(content: Buffer): Promise<string> {
  const folder = join(await temporaryFolder(), 'images')
  await mkdir(folder)
  await writeFile(join(folder, 'disk.raw'), content)
  await writeFile(join(folder, 'disk.qcow2'), validWithDataFile('disk.raw').bytes)
  return folder
}

interface Overlay {
  backingFile: string
  backingFormat?: 'raw' | 'qcow2'
  size?: number
}

async function overlayBytes({ size = MiB, backingFile, backingFormat = 'raw' }: Overlay): Promise<Buffer> {
  const sink = memorySink()
  await writeQcow2Overlay(sink, { size, backingFile, backingFormat })
  return sink.bytes()
}

/** Closed when the test ends. */
async function open(path: string, options: OpenCheckedDiskOptions = {}): Promise<CheckedDisk> {
  const opened = await openCheckedDisk(await openFileSource(path), options)
  onTestFinished(() => opened[Symbol.asyncDispose]())
  return opened
}

/** A source in memory that counts how often it is closed. */
function counted(bytes: Buffer): { source: RandomAccessSource; closings: () => number } {
  let closings = 0
  const source: RandomAccessSource = {
    ...memorySource(bytes),
    close: async () => {
      closings += 1
    },
  }
  return { source, closings: () => closings }
}

function warnings({ checks }: SafetyVerdict) {
  return checks.filter(({ outcome }) => outcome === 'warning').map(({ code }) => code)
}

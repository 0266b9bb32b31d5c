import { randomBytes } from 'node:crypto'
import { readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { expect, it } from 'vitest'
import { GiB } from '../../../src/core/bytes.ts'
import { runProgram } from '../../../src/core/program.ts'
import {
  type CheckedDisk,
  type OpenCheckedDiskOptions,
  openCheckedDisk,
} from '../../../src/disk/open-disk.ts'
import { checkImage } from '../../../src/disk/safety/check-image.ts'
import { tarWriter } from '../../../src/disk/tar/tar-writer.ts'
import type { RandomAccessSource } from '../../../src/transfer/byte-source.ts'
import { createFileSink } from '../../../src/transfer/file-sink.ts'
import { openFileSource } from '../../../src/transfer/file-source.ts'
import { useSink } from '../../../src/transfer/use-sink.ts'
import { writeZeros } from '../../../src/transfer/write-zeros.ts'
import { qemuImg } from '../../support/qemu-img.ts'
import { describeWith } from '../../support/requirements.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import {
  manifestOf,
  pack,
  putFiles,
  qemuStream,
  readAll,
  sampleSize,
  spoil,
  writeSampleDisk,
} from './make-package.ts'
import { oldDescriptor, virtualBoxDescriptor, vmwareDescriptor } from './sample-descriptors.ts'

describeWith(['qemu-img'], 'an appliance that other programs made', () => {
  it.each(['sha1', 'sha256', 'sha512'])(
    'is read, and proved by its manifest: VMware, %s',
    async (algorithm) => {
      const { folder, bytes } = await vmwareFolder()
      await writeFile(
        join(folder, 'lab.mf'),
        await manifestOf(folder, ['lab.ovf', 'lab-disk1.vmdk'], algorithm),
      )
      await using checked = await open(await pack(folder, ['lab.ovf', 'lab.mf', 'lab-disk1.vmdk']))
      expect(checked).toMatchObject({ format: 'ova', wrapping: ['ova'] })
      expect(checked.appliance).toMatchObject({
        machines: [{ name: 'Lab & co', cpus: 4, firmware: 'uefi' }],
        disks: [{ number: 1, id: 'vmdisk1', file: 'lab-disk1.vmdk', capacity: sampleSize, isChosen: true }],
        manifest: { algorithms: [algorithm], files: 2, missing: [] },
        isSigned: false,
      })
      checked.ownProof?.beginPass()
      expect((await readAll(checked.disk)).equals(bytes)).toBe(true)
      await checked.ownProof?.prove()
    },
  )

  it.each(['ustar', 'gnu', 'pax', 'oldgnu'])('is read from a %s archive', async (format) => {
    const { folder, bytes } = await vmwareFolder()
    await using checked = await open(await pack(folder, ['lab.ovf', 'lab-disk1.vmdk'], { format }))
    expect(checked.ownProof).toBeUndefined()
    expect((await readAll(checked.disk)).equals(bytes)).toBe(true)
  })

  it('is read as VirtualBox exports it, with the disk before the descriptor too', async () => {
    const folder = await temporaryFolder()
    const bytes = await writeSampleDisk(join(folder, 'disk.raw'))
    await qemuStream(join(folder, 'disk.raw'), join(folder, 'desktop-disk001.vmdk'))
    const descriptor = virtualBoxDescriptor({ href: 'desktop-disk001.vmdk', capacity: sampleSize })
    await writeFile(join(folder, 'desktop.ovf'), descriptor)
    await writeFile(
      join(folder, 'desktop.mf'),
      await manifestOf(folder, ['desktop.ovf', 'desktop-disk001.vmdk']),
    )
    for (const names of [
      ['desktop.ovf', 'desktop-disk001.vmdk', 'desktop.mf'],
      ['desktop-disk001.vmdk', 'desktop.mf', 'desktop.ovf'],
    ]) {
      await using checked = await open(await pack(folder, names))
      expect((await readAll(checked.disk)).equals(bytes)).toBe(true)
      await checked.ownProof?.prove()
    }
  })

  it('is read as VMware made it before there was a standard', async () => {
    const folder = await temporaryFolder()
    const bytes = await writeSampleDisk(join(folder, 'disk.raw'))
    await qemuStream(join(folder, 'disk.raw'), join(folder, 'old.vmdk'))
    await writeFile(join(folder, 'old.ovf'), oldDescriptor({ href: 'old.vmdk', capacity: sampleSize }))
    await using checked = await open(await pack(folder, ['old.ovf', 'old.vmdk']))
    expect((await readAll(checked.disk)).equals(bytes)).toBe(true)
  })

  it('is read when its disk is compressed once more', async () => {
    const { folder, bytes } = await vmwareFolder()
    const packed = gzipSync(await readFile(join(folder, 'lab-disk1.vmdk')))
    const descriptor = vmwareDescriptor([
      { href: 'lab-disk1.vmdk.gz', capacity: sampleSize, compression: 'gzip' },
    ])
    await putFiles(folder, { 'lab.ovf': descriptor, 'lab-disk1.vmdk.gz': packed })
    await writeFile(join(folder, 'lab.mf'), await manifestOf(folder, ['lab.ovf', 'lab-disk1.vmdk.gz']))
    await using checked = await open(await pack(folder, ['lab.ovf', 'lab.mf', 'lab-disk1.vmdk.gz']))
    expect(checked.wrapping).toEqual(['ova', 'gzip'])
    checked.ownProof?.beginPass()
    expect((await readAll(checked.disk)).equals(bytes)).toBe(true)
    await checked.ownProof?.prove()
  })

  it('is read when everything lies in a folder of the archive', async () => {
    const folder = await temporaryFolder()
    const bytes = await writeSampleDisk(join(folder, 'disk.raw'))
    await putFiles(folder, {
      'lab/lab.ovf': vmwareDescriptor([{ href: 'disks/disk%201.vmdk', capacity: sampleSize }]),
      'lab/disks/x': '',
    })
    await qemuStream(join(folder, 'disk.raw'), join(folder, 'lab/disks/disk 1.vmdk'))
    await writeFile(
      join(folder, 'lab/lab.mf'),
      await manifestOf(join(folder, 'lab'), ['lab.ovf', 'disks/disk 1.vmdk']),
    )
    await using checked = await open(await pack(folder, ['lab']))
    expect(checked.appliance?.manifest?.missing).toEqual([])
    expect((await readAll(checked.disk)).equals(bytes)).toBe(true)
    await checked.ownProof?.prove()
  })

  it.each(['raw', 'qcow2'])('is read when its disk is %s, as oVirt writes it', async (format) => {
    const folder = await temporaryFolder()
    const bytes = await writeSampleDisk(join(folder, 'disk.raw'))
    await qemuImg('convert', '-f', 'raw', '-O', format, join(folder, 'disk.raw'), join(folder, 'c0ffee'))
    const volume = format === 'raw' ? 'RAW' : 'COW'
    const descriptor = virtualBoxDescriptor({ href: 'c0ffee', capacity: sampleSize }).replace(
      ' ovf:fileRef=',
      ` ovf:volume-format="${volume}" ovf:fileRef=`,
    )
    await writeFile(join(folder, 'vm.ovf'), descriptor)
    await using checked = await open(await pack(folder, ['vm.ovf', 'c0ffee']))
    expect((await readAll(checked.disk)).equals(bytes)).toBe(true)
  })

  it('has one of its disks chosen by number, id or name', async () => {
    const { folder, first, second } = await twoDisks()
    const path = await pack(folder, ['lab.ovf', 'lab.mf', 'one.vmdk', 'two.vmdk'])
    for (const disk of ['1', 'vmdisk1', 'one.vmdk']) {
      await using checked = await open(path, { disk })
      expect((await readAll(checked.disk)).equals(first)).toBe(true)
    }
    for (const disk of ['2', 'vmdisk2', 'two.vmdk']) {
      await using checked = await open(path, { disk })
      expect((await readAll(checked.disk)).equals(second)).toBe(true)
      await checked.ownProof?.prove()
    }
    await expect(open(path)).rejects.toMatchObject({
      code: 'IMAGE_DISK_NOT_CHOSEN',
      message: expect.stringContaining('1 (one.vmdk, 9.0 MiB), 2 (two.vmdk, 9.0 MiB)'),
    })
    await expect(open(path, { disk: '3' })).rejects.toMatchObject({ code: 'IMAGE_DISK_NOT_CHOSEN' })
  })

  it('is refused at the end when its disk has another digest', async () => {
    const { folder } = await vmwareFolder()
    const manifest = await manifestOf(folder, ['lab.ovf', 'lab-disk1.vmdk'])
    await writeFile(join(folder, 'lab.mf'), manifest.replace(/[\da-f]{4}\n$/, '0000\n'))
    await using checked = await open(await pack(folder, ['lab.ovf', 'lab.mf', 'lab-disk1.vmdk']))
    checked.ownProof?.beginPass()
    await readAll(checked.disk)
    await expect(checked.ownProof?.prove()).rejects.toMatchObject({
      code: 'IMAGE_DIGEST_MISMATCH',
      details: { file: 'lab-disk1.vmdk', algorithm: 'sha256' },
    })
  })

  it('is refused at the end when a disk that was not read has another digest', async () => {
    const { folder } = await twoDisks()
    await spoil(join(folder, 'two.vmdk'))
    await using checked = await open(await pack(folder, ['lab.ovf', 'lab.mf', 'one.vmdk', 'two.vmdk']), {
      disk: '1',
    })
    await expect(checked.ownProof?.prove()).rejects.toMatchObject({
      code: 'IMAGE_DIGEST_MISMATCH',
      details: { file: 'two.vmdk' },
    })
  })

  it('takes one pass over its bytes to be read and proved', async () => {
    const { folder, bytes } = await vmwareFolder(randomBytes(24 * 2 ** 20))
    await writeFile(join(folder, 'lab.mf'), await manifestOf(folder, ['lab.ovf', 'lab-disk1.vmdk']))
    const source = await openFileSource(await pack(folder, ['lab.ovf', 'lab.mf', 'lab-disk1.vmdk']))
    let transferred = 0
    const counted: RandomAccessSource = {
      ...source,
      async read(target, position, options) {
        const filled = await source.read(target, position, options)
        transferred += filled
        return filled
      },
    }
    await using checked = await openCheckedDisk(counted)
    transferred = 0
    checked.ownProof?.beginPass()
    expect((await readAll(checked.disk)).equals(bytes)).toBe(true)
    await checked.ownProof?.prove()
    expect(transferred).toBeLessThan(1.1 * source.size)
  })

  it('is read from a folder where its files may be opened, and nowhere else', async () => {
    const { folder, bytes } = await vmwareFolder()
    await writeFile(join(folder, 'lab.mf'), await manifestOf(folder, ['lab.ovf', 'lab-disk1.vmdk']))
    const path = join(folder, 'lab.ovf')
    await expect(open(path)).rejects.toMatchObject({ code: 'IMAGE_DATA_FILE' })
    await using checked = await open(path, { allowOtherFilesWithin: folder })
    expect(checked).toMatchObject({ format: 'ovf', wrapping: ['ovf'] })
    expect((await readAll(checked.disk)).equals(bytes)).toBe(true)
    await checked.ownProof?.prove()
  })

  it('names no file outside of its folder, by a link either', async () => {
    const { folder } = await vmwareFolder()
    const elsewhere = await temporaryFolder()
    const options = { allowOtherFilesWithin: elsewhere }
    const names = {
      'link.vmdk': 'IMAGE_UNSAFE_NAME',
      'sub/x.vmdk': 'IMAGE_UNSAFE_NAME',
      'no.vmdk': 'IMAGE_FILE_MISSING',
    }
    await symlink(join(folder, 'lab-disk1.vmdk'), join(elsewhere, 'link.vmdk'))
    for (const [href, code] of Object.entries(names)) {
      const path = join(elsewhere, 'lab.ovf')
      await writeFile(path, vmwareDescriptor([{ href, capacity: sampleSize }]))
      await expect(open(path, options)).rejects.toMatchObject({ code })
    }
  })

  it('is read when its disk is larger than ustar can say', async () => {
    const folder = await temporaryFolder()
    const size = 9 * GiB
    await writeFile(
      join(folder, 'vm.ovf'),
      vmwareDescriptor([{ href: 'disk', capacity: size }]).replace(/vmdk.html/, 'x'),
    )
    // GNU tar refuses such a size in ustar; ours is written as it would write it in its own format.
    const path = join(folder, 'vm.ova')
    const sink = await createFileSink(path, { durable: false })
    await useSink(sink, async () => {
      const tar = tarWriter(sink)
      const descriptor = await readFile(join(folder, 'vm.ovf'))
      await (await tar.begin({ name: 'vm.ovf', size: descriptor.length })).write(descriptor)
      const member = await tar.begin({ name: 'disk', size })
      await member.write(Buffer.from('the beginning'))
      await writeZeros(member, size - 20)
      await member.write(Buffer.from('the end'))
      await tar.end()
    })
    const { stdout } = await runProgram('tar', ['tvf', path], { timeout: 60_000 })
    expect(stdout).toMatch(/ 9663676416 .* disk$/m)
    await using checked = await open(path)
    const text = Buffer.alloc(7)
    await checked.disk.read(text, size - 7)
    expect(`${text}`).toBe('the end')
  })

  it('is described by its checks, each by name', async () => {
    const { folder } = await vmwareFolder()
    const source = await openFileSource(await pack(folder, ['lab.ovf', 'lab-disk1.vmdk']))
    const verdict = await checkImage(source)
    await source.close()
    expect(verdict).toMatchObject({ accepted: true, format: 'ova', virtualSize: sampleSize })
    expect(verdict.checks.map(({ name }) => name)).toEqual(
      expect.arrayContaining([
        'tar.member',
        'ova.descriptor',
        'ova.manifest',
        'ova.files',
        'ova.disk',
        'vmdk.header',
      ]),
    )
    expect(verdict.checks.filter(({ outcome }) => outcome !== 'passed')).toEqual([])
  })
})

async function open(path: string, options: OpenCheckedDiskOptions = {}): Promise<CheckedDisk> {
  return openCheckedDisk(await openFileSource(path), options)
}

async function vmwareFolder(content?: Buffer): Promise<{ folder: string; bytes: Buffer }> {
  const folder = await temporaryFolder()
  const raw = join(folder, 'disk.raw')
  const bytes = content ?? (await writeSampleDisk(raw))
  if (content) await writeFile(raw, content)
  await qemuStream(raw, join(folder, 'lab-disk1.vmdk'))
  const descriptor = vmwareDescriptor([{ href: 'lab-disk1.vmdk', capacity: bytes.length }])
  await writeFile(join(folder, 'lab.ovf'), descriptor)
  return { folder, bytes }
}

async function twoDisks(): Promise<{ folder: string; first: Buffer; second: Buffer }> {
  const folder = await temporaryFolder()
  const first = await writeSampleDisk(join(folder, 'one.raw'), 'A')
  const second = await writeSampleDisk(join(folder, 'two.raw'), 'B')
  for (const name of ['one', 'two']) {
    await qemuStream(join(folder, `${name}.raw`), join(folder, `${name}.vmdk`))
  }
  const disks = ['one.vmdk', 'two.vmdk'].map((href) => ({ href, capacity: sampleSize }))
  await writeFile(join(folder, 'lab.ovf'), vmwareDescriptor(disks))
  await writeFile(join(folder, 'lab.mf'), await manifestOf(folder, ['lab.ovf', 'one.vmdk', 'two.vmdk']))
  return { folder, first, second }
}

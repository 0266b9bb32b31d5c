import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { MiB } from '../../../src/core/bytes.ts'
import { runProgram } from '../../../src/core/program.ts'
import { contentDigest, digestWhileReading } from '../../../src/disk/content-digest.ts'
import type { Disk } from '../../../src/disk/disk.ts'
import { memoryDisk } from '../../../src/disk/memory-disk.ts'
import { openCheckedDisk } from '../../../src/disk/open-disk.ts'
import type { ApplianceOptions } from '../../../src/disk/ova/appliance-options.ts'
import { guestOsType } from '../../../src/disk/ova/guest-os-type.ts'
import { defaultMachine, type MachineDescription } from '../../../src/disk/ova/machine.ts'
import { manifestAlgorithms } from '../../../src/disk/ova/manifest.ts'
import { type WriteOvaOptions, writeOva } from '../../../src/disk/ova/ova-writer.ts'
import { createFileSink } from '../../../src/transfer/file-sink.ts'
import { openFileSource } from '../../../src/transfer/file-source.ts'
import { useSink } from '../../../src/transfer/use-sink.ts'
import { memorySink } from '../../support/memory-sink.ts'
import { qemuImg } from '../../support/qemu-img.ts'
import { describeWith } from '../../support/requirements.ts'
import { temporaryFolder } from '../../support/temporary-folder.ts'
import { writeSampleDisk } from './make-package.ts'

const machine: MachineDescription = {
  ...defaultMachine,
  name: 'Web golden',
  cpus: 3,
  memory: 768 * MiB,
  firmware: 'uefi',
  nic: 'vmxnet3',
  diskBus: 'scsi',
  os: guestOsType({ ids: ['debian'], version: '12', architecture: 'x86_64', description: 'Debian 12' }),
}

describe('writeOva', () => {
  it('makes a ustar archive of descriptor, disk and manifest, in this order, with plain names', async () => {
    const { path } = await written('Web Golden.ova')
    const { stdout } = await runProgram('tar', ['tvf', path], { timeout: 10_000 })
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.split(/ +/).at(-1)),
    ).toEqual(['web-golden.ovf', 'web-golden-disk1.vmdk', 'web-golden.mf'])
    const archive = await readFile(path)
    expect(archive.toString('latin1', 257, 265)).toBe('ustar\x0000')
    expect(archive.length % 512).toBe(0)
  })

  it.each(manifestAlgorithms)(
    'makes a manifest that the tools of the system agree with: %s',
    async (manifest) => {
      const { path, folder } = await written('web.ova', { machine, manifest })
      const unpacked = await unpack(path, folder)
      const lines = (await readFile(join(unpacked, 'web.mf'), 'utf8')).trim().split('\n')
      expect(lines).toHaveLength(2)
      for (const line of lines) {
        const [, algorithm, name, digest] = /^(SHA\d+)\(([a-z0-9.-]+)\)= ([0-9a-f]+)$/.exec(line) ?? []
        expect(algorithm).toBe(manifest.toUpperCase())
        const { stdout } = await runProgram(`${manifest}sum`, [join(unpacked, name ?? '')], {
          timeout: 10_000,
        })
        expect(stdout.split(' ')[0]).toBe(digest)
      }
    },
  )

  it('says in the descriptor how long the file of the disk is, and what is in it', async () => {
    const { path, folder, raw } = await written('web.ova')
    const unpacked = await unpack(path, folder)
    const descriptor = await readFile(join(unpacked, 'web.ovf'), 'utf8')
    const disk = await readFile(join(unpacked, 'web-disk1.vmdk'))
    expect(descriptor).toContain(`ovf:href="web-disk1.vmdk" ovf:id="file1" ovf:size="${disk.length}"`)
    expect(descriptor).toContain(`ovf:capacity="${raw.length}"`)
    expect(descriptor).toContain(await contentDigest(memoryDisk(raw)))
    // Some readers open the disk by the name it has inside.
    expect(disk.toString('latin1', 512, 2048)).toContain('"web-disk1.vmdk"')
  })

  it('is read back as it was written, and keeps what its manifest says', async () => {
    const { path, raw } = await written('web.ova')
    await using checked = await openCheckedDisk(await openFileSource(path), { format: 'ova' })
    expect(checked.verdict.checks.filter(({ outcome }) => outcome !== 'passed')).toEqual([])
    checked.ownProof?.beginPass()
    expect(await contentDigest(checked.disk)).toBe(await contentDigest(memoryDisk(raw)))
    await checked.ownProof?.prove()
    expect(checked.appliance).toMatchObject({
      machines: [{ name: 'Web golden', cpus: 3, memory: 768 * MiB, firmware: 'uefi' }],
      manifest: { algorithms: ['sha256'], missing: [] },
    })
  })

  it('leaves nothing in the descriptor of what nobody told it', async () => {
    const sink = memorySink()
    await writeOva(memoryDisk(Buffer.alloc(MiB, 'x')), sink)
    const text = sink.bytes().toString('latin1')
    expect(text).toContain('<Name>appliance</Name>')
    expect(text).not.toContain('AnnotationSection')
    expect(text).not.toContain('undefined')
    expect(text).not.toContain('null')
  })

  it('reads the disk once into a file, and twice into a stream', async () => {
    const folder = await temporaryFolder()
    const bytes = Buffer.alloc(4 * MiB, 'once')
    let read = 0
    const disk: Disk = {
      ...memoryDisk(bytes),
      async read(target, offset) {
        read += target.length
        bytes.copy(target, 0, offset)
      },
    }
    const file = await createFileSink(join(folder, 'once.ova'), { durable: false })
    await useSink(file, (sink) => writeOva(disk, sink, { fileName: 'once.ova' }))
    expect(read).toBe(bytes.length)
    const stream = memorySink()
    await writeOva(disk, stream, { fileName: 'once.ova' })
    expect(read).toBe(3 * bytes.length)
    expect(stream.bytes().equals(await readFile(join(folder, 'once.ova')))).toBe(true)
  })

  it.each([
    ['longer', 0.1],
    ['shorter', 0.9],
  ])('fails when a disk compresses to something %s when it is read again', async (_, share) => {
    const random = createHash('sha512').update('seed').digest()
    let passes = 0
    const size = 4 * MiB
    const disk: Disk = {
      ...memoryDisk(Buffer.alloc(size, 'a')),
      async read(target, offset) {
        if (offset === 0) passes += 1
        const filled = (passes === 1 ? 0.5 : share) * target.length
        for (let at = 0; at < target.length; at += 1) {
          target[at] = at < filled ? 97 : (random[(at * 7 + (at >> 6)) % 64] ?? 0) ^ (at & 0xff)
        }
      },
    }
    await expect(writeOva(disk, memorySink(), { fileName: 'x.ova' })).rejects.toMatchObject({
      code: 'DISK_CHANGED',
    })
  })

  it('fails when a disk is another one when it is read again, though it is as long', async () => {
    let reads = 0
    const disk: Disk = {
      ...memoryDisk(Buffer.alloc(MiB, 'a')),
      async read(target) {
        target.fill(reads === 0 ? 97 : 98)
        reads += 1
      },
    }
    await using digested = digestWhileReading(disk)
    const appliance = { machine, contentDigest: () => digested.digest() }
    await expect(
      writeOva(digested.disk, memorySink(), { fileName: 'x.ova', appliance }),
    ).rejects.toMatchObject({ code: 'DISK_CHANGED' })
  })

  it('stops when it is cancelled', async () => {
    const controller = new AbortController()
    const writing = writeOva(memoryDisk(Buffer.alloc(8 * MiB, 'x')), memorySink(), {
      signal: controller.signal,
      onProgress: () => controller.abort(),
    })
    await expect(writing).rejects.toMatchObject({ code: 'CANCELLED' })
  })
})

describeWith(['qemu-img'], 'the disk of an OVA', () => {
  it('is the same to QEMU, which finds nothing wrong with it', async () => {
    const { path, folder } = await written('web.ova')
    const disk = join(await unpack(path, folder), 'web-disk1.vmdk')
    expect(await qemuImg('check', '-f', 'vmdk', disk)).toContain('No errors were found')
    const compared = await qemuImg('compare', '-f', 'raw', '-F', 'vmdk', join(folder, 'disk.raw'), disk)
    expect(compared).toBe('Images are identical.\n')
  })
})

describeWith(['virt-v2v'], 'virt-v2v', () => {
  it.each([
    [{ firmware: 'uefi', nic: 'vmxnet3', diskBus: 'scsi' }, 'uefi', 'vmxnet3', 'scsi'],
    [{ firmware: 'bios', nic: 'e1000', diskBus: 'sata' }, 'bios', 'e1000', 'sata'],
    [{ firmware: 'bios', nic: 'e1000e', diskBus: 'ide' }, 'bios', 'e1000e', 'ide'],
    [{ firmware: 'bios', nic: 'pcnet', diskBus: 'pvscsi' }, 'bios', 'pcnet32', 'scsi'],
    [{ firmware: 'uefi', nic: 'none', diskBus: 'nvme' }, 'uefi', null, 'sata'],
  ] as const)('understands the machine, and checks the manifest: %j', async (change, firmware, nic, bus) => {
    const { path } = await written('web.ova', { machine: { ...machine, ...change } })
    const source = await printSource(path)
    expect(source).toContain('source name: Web golden')
    expect(source).toContain(`memory: ${768 * MiB} (bytes)`)
    expect(source).toContain('nr vCPUs: 3')
    expect(source).toContain(`firmware: ${firmware}`)
    expect(source).toContain(`0 [${bus}]`)
    if (nic === null) expect(source).not.toContain('Bridge')
    else expect(source).toContain(`Bridge "nat" [${nic}]`)
  })

  it('would refuse a manifest that is wrong', async () => {
    const { path } = await written('web.ova')
    const archive = await readFile(path)
    const at = archive.lastIndexOf('SHA256(web-disk1.vmdk)= ')
    archive.write('0000', at + 'SHA256(web-disk1.vmdk)= '.length)
    await writeFile(path, archive)
    await expect(printSource(path)).rejects.toThrow(/does not match manifest/)
  })
})

async function printSource(path: string): Promise<string> {
  // Without the back end it would look for a libvirt to ask.
  process.env.LIBGUESTFS_BACKEND = 'direct'
  const { stdout } = await runProgram('virt-v2v', ['-i', 'ova', path, '-o', 'null', '--print-source'], {
    timeout: 60_000,
  })
  return stdout
}

async function written(
  name: string,
  appliance?: ApplianceOptions,
): Promise<{ path: string; folder: string; raw: Buffer }> {
  const folder = await temporaryFolder()
  const raw = await writeSampleDisk(join(folder, 'disk.raw'))
  const path = join(folder, name)
  await using digested = digestWhileReading(memoryDisk(raw))
  const options: WriteOvaOptions = {
    fileName: name,
    appliance: { contentDigest: () => digested.digest(), machine, ...appliance },
  }
  const sink = await createFileSink(path, { durable: false })
  await useSink(sink, () => writeOva(digested.disk, sink, options))
  return { path, folder, raw }
}

async function unpack(path: string, folder: string): Promise<string> {
  const unpacked = join(folder, 'unpacked')
  await mkdir(unpacked)
  await runProgram('tar', ['xf', path, '-C', unpacked], { timeout: 10_000 })
  expect(await readdir(unpacked)).toHaveLength(3)
  return unpacked
}

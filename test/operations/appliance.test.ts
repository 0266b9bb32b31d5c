import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { GiB, MiB } from '../../src/core/bytes.ts'
import { runProgram } from '../../src/core/program.ts'
import { memoryDisk } from '../../src/disk/memory-disk.ts'
import { describeAppliance } from '../../src/operations/describe-appliance.ts'
import { sketchGpt } from '../../testbed/hostile/partition-sketch.ts'
import { buildTinyGuest } from '../../testbed/tiny-guest.ts'
import { spoil } from '../disk/ova/make-package.ts'
import { type LibrarySite, makeLibrarySite } from '../support/library-site.ts'
import { describeWith } from '../support/requirements.ts'

describeWith(['mke2fs', 'e2fsck', 'debugfs'], 'appliances', () => {
  let folder = ''
  let guest = ''
  let site: LibrarySite
  /** A new name for every test. */
  let path: (name: string) => string
  let tests = 0

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'imagewright-test-'))
    guest = join(folder, 'guest.raw')
    await buildTinyGuest(guest, { size: 12 * MiB })
    site = await makeLibrarySite()
    await site.imagewright.uploadImage(guest, 'local:Web golden')
  })
  afterAll(async () => {
    await site[Symbol.asyncDispose]()
    await rm(folder, { recursive: true, force: true })
  })
  beforeEach(() => {
    tests += 1
    path = (name) => join(site.home, `${tests}-${name}`)
  })

  it('are exported from a cloud, with what the guest shows and what was asked for, and explained', async () => {
    const machine = { cpus: 4, memory: 1024, nic: 'vmxnet3', diskBus: 'scsi', vendor: 'Example' } as const
    const stored = await site.imagewright.exportImage('local:Web golden', path('demo.ova'), { machine })
    expect(stored).toMatchObject({ format: 'ova', virtualSize: 12 * MiB })
    const { appliance, manifest, safety, guest: inside } = await site.imagewright.inspect(path('demo.ova'))
    expect(safety.accepted).toBe(true)
    expect(manifest).toBe('matches')
    expect(inside?.system?.os.id).toBe('tiny')
    expect(appliance?.machines).toEqual([
      expect.objectContaining({
        name: 'Web golden',
        cpus: 4,
        memory: GiB,
        firmware: 'bios',
        os: 'Tiny 1',
        vmwareOs: 'debian10_64Guest',
        vendor: 'Example',
        version: null,
        nics: [{ model: 'VmxNet3', network: 'nat' }],
        disks: [{ diskId: 'vmdisk1', controller: 'lsilogic' }],
      }),
    ])
    expect(appliance?.machines[0]?.annotation).toMatch(
      new RegExp(
        `^Made by Imagewright from local:Web golden, job \\w+\\.\nContent of the disk, SHA-256: ${stored.contentDigest}$`,
      ),
    )
  })

  it('become any other format, and images of a cloud', async () => {
    await site.imagewright.exportImage(guest, path('demo.ova'))
    const back = await site.imagewright.convertImage(path('demo.ova'), path('back.raw'), { verify: true })
    expect((await readFile(path('back.raw'))).equals(await readFile(guest))).toBe(true)
    const uploaded = await site.imagewright.uploadImage(path('demo.ova'), 'local:from ova')
    expect(uploaded).toMatchObject({ contentDigest: back.contentDigest, image: { format: 'qcow2' } })
  })

  it('go to a stream as they go to a file', async () => {
    const output = new PassThrough()
    const [bytes] = await Promise.all([
      buffer(output),
      site.imagewright.convertToStream(guest, output, { format: 'ova' }),
    ])
    await writeFile(path('stream.ova'), bytes)
    const { appliance, manifest } = await site.imagewright.inspect(path('stream.ova'))
    expect(manifest).toBe('matches')
    expect(appliance?.machines).toMatchObject([{ name: 'guest', os: 'Tiny 1' }])
  })

  it('keep their machine when they are cleaned, or become another appliance', async () => {
    const machine = {
      name: 'Kept',
      cpus: 3,
      memory: 512,
      firmware: 'uefi',
      diskBus: 'ide',
      nic: 'none',
      annotation: 'A line of somebody',
      manifest: 'sha1',
    } as const
    await site.imagewright.exportImage(guest, path('demo.ova'), { machine })
    await site.imagewright.cleanFile(path('demo.ova'))
    await site.imagewright.convertImage(path('demo.ova'), path('again.ova'))
    for (const name of ['demo.ova', 'again.ova']) {
      const { appliance } = await site.imagewright.inspect(path(name))
      expect(appliance).toMatchObject({
        machines: [{ name: 'Kept', cpus: 3, memory: 512 * MiB, firmware: 'uefi', nics: [] }],
        manifest: { algorithms: ['sha1'] },
      })
      const lines = appliance?.machines[0]?.annotation?.split('\n') ?? []
      expect(lines.filter((line) => line === 'A line of somebody')).toHaveLength(1)
      expect(lines.filter((line) => line.startsWith('Made by'))).toHaveLength(1)
    }
  })

  it('give nothing when a file has another digest than the manifest says', async () => {
    await site.imagewright.exportImage(guest, path('demo.ova'))
    const archive = await readFile(path('demo.ova'))
    const at = archive.lastIndexOf('-demo-disk1.vmdk)= ') + '-demo-disk1.vmdk)= '.length
    archive.write(archive.toString('latin1', at, at + 4) === '0000' ? '1111' : '0000', at)
    await writeFile(path('demo.ova'), archive)
    const before = await site.files()
    await expect(site.imagewright.convertImage(path('demo.ova'), path('x.raw'))).rejects.toMatchObject({
      code: 'IMAGE_DIGEST_MISMATCH',
    })
    await expect(site.imagewright.uploadImage(path('demo.ova'), 'local:bad')).rejects.toMatchObject({
      code: 'IMAGE_DIGEST_MISMATCH',
    })
    const output = new PassThrough()
    output.resume().on('error', () => undefined)
    await expect(
      site.imagewright.convertToStream(path('demo.ova'), output, { format: 'raw' }),
    ).rejects.toMatchObject({ code: 'IMAGE_DIGEST_MISMATCH' })
    expect(await site.files()).toEqual(before)
    expect(await site.imageNames()).not.toContain('bad')
    const { safety, manifest, appliance } = await site.imagewright.inspect(path('demo.ova'))
    expect({ accepted: safety.accepted, manifest }).toEqual({ accepted: false, manifest: 'differs' })
    expect(appliance).not.toBeNull()
  })

  it('give the disk that was chosen, and are all described', async () => {
    await site.imagewright.exportImage(guest, path('one.ova'))
    await runProgram('tar', ['xf', path('one.ova'), '-C', site.home], { timeout: 10_000 })
    const stem = `${tests}-one`
    const descriptor = await readFile(join(site.home, `${stem}.ovf`), 'utf8')
    const [file = ''] = /<File [^>]*>/.exec(descriptor) ?? []
    const [disk = ''] = /<Disk [^>]*>/.exec(descriptor) ?? []
    const second = (tag: string) =>
      tag.replace('file1', 'file2').replace('vmdisk1', 'vmdisk2').replace('disk1.vmdk', 'disk2.vmdk')
    await writeFile(
      join(site.home, `${stem}.ovf`),
      descriptor.replace(file, `${file}${second(file)}`).replace(disk, `${disk}${second(disk)}`),
    )
    const other = path('other.raw')
    await writeFile(other, Buffer.alloc(MiB, 'other'))
    await site.imagewright.convertImage(other, join(site.home, `${stem}-disk2.vmdk`))
    const names = [`${stem}.ovf`, `${stem}-disk1.vmdk`, `${stem}-disk2.vmdk`]
    await runProgram('tar', ['-cf', path('two.ova'), '-C', site.home, ...names], { timeout: 10_000 })

    await expect(site.imagewright.convertImage(path('two.ova'), path('x.raw'))).rejects.toMatchObject({
      code: 'IMAGE_DISK_NOT_CHOSEN',
    })
    await site.imagewright.convertImage(path('two.ova'), path('x.raw'), { disk: '2' })
    expect((await readFile(path('x.raw'))).equals(await readFile(other))).toBe(true)
    const first = await site.imagewright.inspect(path('two.ova'))
    expect(first).toMatchObject({ safety: { accepted: true }, virtualSize: 12 * MiB, manifest: null })
    expect(first.appliance?.disks.map(({ isChosen }) => isChosen)).toEqual([true, false])
    const chosen = await site.imagewright.inspect(path('two.ova'), { disk: `${stem}-disk2.vmdk` })
    expect(chosen).toMatchObject({ virtualSize: MiB })
    // From the folder it was unpacked into.
    const folderOptions = { allowBacking: true, disk: '2', overwrite: true }
    await expect(
      site.imagewright.convertImage(join(site.home, `${stem}.ovf`), path('y.raw')),
    ).rejects.toMatchObject({
      code: 'IMAGE_DATA_FILE',
    })
    await rm(join(site.home, `${stem}.mf`))
    await site.imagewright.convertImage(join(site.home, `${stem}.ovf`), path('y.raw'), folderOptions)
    expect((await readFile(path('y.raw'))).equals(await readFile(other))).toBe(true)
    await spoil(join(site.home, `${stem}-disk2.vmdk`))
  })

  it('are the only ones with a machine and a choice of disks', async () => {
    expect(() => site.imagewright.exportImage(guest, path('x.raw'), { machine: { cpus: 2 } })).toThrow(
      expect.objectContaining({ code: 'INPUT_INVALID' }),
    )
    await expect(site.imagewright.convertImage(guest, path('x.raw'), { disk: '1' })).rejects.toMatchObject({
      code: 'INPUT_INVALID',
    })
  })
})

describe('describeAppliance', () => {
  const efiSystem = Buffer.from('28732ac11ff8d211ba4b00a0c93ec93b', 'hex')
  const facts = { path: '/x/demo.ova', wishes: {}, source: null, provenance: [] }

  it('takes a disk with an EFI system partition and no code for a BIOS for one of UEFI', async () => {
    const disk = sketchGpt({ parts: [{ first: 64, last: 1023, type: efiSystem }] })
    expect((await describeAppliance(memoryDisk(disk), facts)).machine).toMatchObject({
      name: 'demo',
      firmware: 'uefi',
      os: { vmware: 'otherGuest64' },
    })
    disk.write('GRUB', 300)
    expect((await describeAppliance(memoryDisk(disk), facts)).machine.firmware).toBe('bios')
    const wishes = { firmware: 'uefi' } as const
    expect((await describeAppliance(memoryDisk(disk), { ...facts, wishes })).machine.firmware).toBe('uefi')
  })

  it('takes a disk that nobody understands as it is', async () => {
    const { machine } = await describeAppliance(memoryDisk(Buffer.alloc(MiB, 0xff)), facts)
    expect(machine).toMatchObject({
      name: 'demo',
      cpus: 2,
      memory: 2 * GiB,
      firmware: 'bios',
      diskBus: 'sata',
    })
  })
})

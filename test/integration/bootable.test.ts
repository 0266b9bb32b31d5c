import { createHash, randomUUID } from 'node:crypto'
import { open, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { runProgram } from '../../src/core/program.ts'
import { openRaw } from '../../src/disk/raw/raw-reader.ts'
import { writeRaw } from '../../src/disk/raw/raw-writer.ts'
import { windowDisk } from '../../src/disk/window-disk.ts'
import { createFileSink } from '../../src/transfer/file-sink.ts'
import { openFileSource } from '../../src/transfer/file-source.ts'
import { type BootOptions, bootDisk } from '../../testbed/boot-disk.ts'
import { buildDebianGuest, debianGuestRequirements } from '../../testbed/debian-guest.ts'
import { disableCloudInit } from '../../testbed/disable-cloud-init.ts'
import { directory, file } from '../../testbed/guest-tree.ts'
import { buildTinyGuest, tinyBootFiles } from '../../testbed/tiny-guest.ts'
import { buildXfsGuest } from '../../testbed/xfs-guest.ts'
import { describeWith } from '../support/requirements.ts'
import { makeSite, type Site } from '../support/site.ts'

const mebibyte = 1024 * 1024
const isUp = /TINY-BOOT-OK/

const exportDocument = z.object({
  contentDigest: z.string(),
  bootable: z.object({
    action: z.enum(['none', 'repair', 'wrap']),
    firmware: z.array(z.enum(['bios', 'uefi'])),
    scheme: z.enum(['mbr', 'gpt']),
    partitions: z.array(
      z.object({ number: z.number(), purpose: z.string(), offset: z.number(), length: z.number() }),
    ),
    kernel: z.object({ version: z.string(), image: z.string(), ramdisk: z.string().nullable() }).nullable(),
    warnings: z.array(z.object({ code: z.string() })),
  }),
})

const uploadDocument = z.object({ image: z.object({ id: z.string() }) })

/** Every disk is made by the command, looked at by the programs that know best, and started by the firmware it is for. */
describeWith(
  [
    ...['qemu-system-x86_64', '/usr/share/OVMF/OVMF_CODE_4M.fd', 'qemu-img', 'busybox', 'mke2fs'],
    ...['grub-mkimage', '/usr/lib/grub/i386-pc/boot.img', '/usr/lib/grub/x86_64-efi/kernel.img'],
    ...['sfdisk', 'sgdisk', 'fsck.vfat', 'mkfs.xfs'],
  ] as const,
  'a disk that was made bootable',
  () => {
    let site: Site
    let disk = ''
    beforeAll(async () => {
      site = await makeSite()
      disk = join(site.home, 'disk.raw')
    })
    afterAll(() => site[Symbol.asyncDispose]())

    async function exportBootable(source: string, ...options: string[]) {
      const { contentDigest, bootable } = await site.json(exportDocument, [
        ...['export', source, disk, '--bootable', '--force', ...options],
      ])
      await expectSound(bootable)
      return { contentDigest, ...bootable }
    }

    /** What programs of others say about tables and file systems. */
    async function expectSound({
      scheme,
      action,
      partitions,
    }: z.infer<typeof exportDocument>['bootable']): Promise<void> {
      const { stdout } = await runProgram('sfdisk', ['--verify', disk], { timeout: 30_000 })
      expect(stdout).toContain('No errors detected.')
      if (scheme === 'gpt') {
        const verified = await runProgram('sgdisk', ['--verify', disk], { timeout: 30_000 })
        expect(verified.stdout).toContain('No problems found')
      }
      for (const { purpose, offset, length } of partitions) {
        if (purpose === 'boot' || purpose === 'efi-system') {
          const part = join(site.home, 'boot.fat')
          await copyPart(disk, part, { offset, length })
          await runProgram('fsck.vfat', ['-n', part], { timeout: 30_000 })
          await rm(part)
        }
      }
      const root = partitions.find(({ purpose }) => purpose === 'root')
      if (action === 'wrap' && root && !(await isXfs(disk, root.offset))) {
        await runProgram('e2fsck', ['-fn', `${disk}?offset=${root.offset}`], { timeout: 60_000 })
      }
    }

    const expectBoots = (...firmwares: Firmware[]) => bootEach(disk, firmwares, { until: isUp })

    test('from an ordinary disk that lost its boot loader starts again, in machines of both kinds', async () => {
      const guest = join(site.home, 'ordinary.raw')
      await buildTinyGuest(guest, { label: 'dos', bootable: true })
      const sound = await exportBootable(guest)
      expect(sound).toMatchObject({ action: 'none', firmware: ['bios'] })
      expect(await digestOf(disk)).toBe(await digestOf(guest))

      await overwrite(guest, 0, Buffer.alloc(440))
      await overwrite(guest, 512, Buffer.alloc(mebibyte - 512))
      expect(await exportBootable(guest)).toMatchObject({
        action: 'repair',
        firmware: ['bios'],
        scheme: 'mbr',
      })
      const both = await exportBootable(guest, '--firmware', 'both')
      expect(both).toMatchObject({ action: 'repair', firmware: ['bios', 'uefi'], scheme: 'mbr' })
      await expectBoots('bios', 'uefi')

      const again = await site.json(exportDocument, [
        ...['export', disk, join(site.home, 'again.qcow2'), '--bootable', '--firmware', 'both'],
      ])
      expect(again).toMatchObject({ contentDigest: both.contentDigest, bootable: { action: 'none' } })
    })

    test('from a disk with a GPT and an EFI system partition without loader starts from UEFI', async () => {
      const guest = join(site.home, 'gpt.raw')
      await buildTinyGuest(guest, { label: 'gpt', bootable: true })
      await exportBootable(guest, '--firmware', 'uefi')
      const { partitions } = await exportBootable(guest, '--firmware', 'uefi')
      const system = partitions.find(({ purpose }) => purpose === 'efi-system')!
      await writeFile(guest, '')
      await copyPart(disk, guest, { offset: 0, length: system.offset + system.length + mebibyte })
      await runProgram(
        'mkfs.vfat',
        ['--offset', String(system.offset / 512), guest, String(system.length / 1024)],
        {
          timeout: 30_000,
        },
      )
      expect(await exportBootable(guest)).toMatchObject({
        action: 'repair',
        firmware: ['bios', 'uefi'],
        partitions: [],
      })
      await expectBoots('uefi')
    })

    test('from a root file system with a kernel inside starts in machines of both kinds', async () => {
      const guest = join(site.home, 'root.raw')
      await buildTinyGuest(guest, { label: 'none', bootable: true })
      const made = await exportBootable(guest)
      expect(made).toMatchObject({ action: 'wrap', firmware: ['bios', 'uefi'], scheme: 'gpt', warnings: [] })
      await expectBoots('bios', 'uefi')
    })

    test('for BIOS machines alone has an MBR, and starts from a configuration that was written for it', async () => {
      const guest = join(site.home, 'plain.raw')
      const entries = [file('/boot/grub/grub.cfg', ''), file('/etc/fstab', '/dev/sda1 / ext3 defaults 0 0\n')]
      await buildTinyGuest(guest, { label: 'none', bootable: true, entries })
      const made = await exportBootable(guest, '--firmware', 'bios')
      expect(made).toMatchObject({ scheme: 'mbr', firmware: ['bios'] })
      await expectBoots('bios')
    })

    test('from a root file system and a separate kernel and ramdisk starts in machines of both kinds', async () => {
      const { guest, kernel, ramdisk, version } = await buildSeparate({ withModules: true })
      const made = await exportBootable(guest, '--kernel', kernel, '--ramdisk', ramdisk)
      expect(made).toMatchObject({ kernel: { version, image: kernel }, warnings: [] })
      await expectBoots('bios', 'uefi')
    })

    test.each([
      ['bios', 'mbr'],
      ['uefi', 'gpt'],
    ] as const)(
      'starts from a kernel beside the root file system, in %s machines',
      async (firmware, scheme) => {
        const { guest, kernel, ramdisk } = await buildSeparate({ withModules: false })
        const made = await exportBootable(
          guest,
          '--kernel',
          kernel,
          '--ramdisk',
          ramdisk,
          '--firmware',
          firmware,
        )
        expect(made).toMatchObject({ scheme, warnings: [{ code: 'BOOT_MODULES_MISSING' }] })
        await expectBoots(firmware)
      },
    )

    test('from a root file system that nobody can look into starts a kernel that GRUB finds', async () => {
      const guest = join(site.home, 'xfs.raw')
      await buildXfsGuest(guest, randomUUID())
      const made = await exportBootable(guest)
      expect(made).toMatchObject({ kernel: null, warnings: [{ code: 'BOOT_SYSTEM_UNSEEN' }] })
      await expectBoots('bios')
    })

    test('takes kernel and ramdisk from the cloud of an image that names them', async () => {
      const { guest, kernel, ramdisk, version } = await buildSeparate({ withModules: true })
      const store = async (path: string, name: string, ...options: string[]) => {
        const upload = ['images', 'upload', path, `local:${name}`, ...options]
        return (await site.json(uploadDocument, upload)).image.id
      }
      const kernelId = await store(kernel, 'kernel', '--disk-format', 'aki')
      const ramdiskId = await store(ramdisk, 'ramdisk', '--disk-format', 'ari')
      const named = ['--property', `kernel_id=${kernelId}`, '--property', `ramdisk_id=${ramdiskId}`]
      await store(guest, 'machine', '--disk-format', 'ami', ...named)
      const made = await exportBootable('local:machine', '--firmware', 'bios')
      expect(made).toMatchObject({
        kernel: { version, image: 'local:kernel', ramdisk: 'local:ramdisk' },
        warnings: [],
      })
      await expectBoots('bios')
    })

    interface Separate {
      guest: string
      kernel: string
      ramdisk: string
      version: string
    }

    async function buildSeparate({ withModules }: { withModules: boolean }): Promise<Separate> {
      const [guest, kernel, ramdisk] = ['ami.raw', 'kernel', 'ramdisk'].map((name) => join(site.home, name))
      if (!guest || !kernel || !ramdisk) throw new Error('Not three names.')
      const version = (await tinyBootFiles('')).version
      const { uuid } = await buildTinyGuest(guest, {
        label: 'none',
        bootable: 'separate',
        size: 96 * mebibyte,
        entries: withModules ? [directory(`/lib/modules/${version}`)] : [],
      })
      const files = await tinyBootFiles(uuid)
      await writeFile(kernel, files.kernel)
      await writeFile(ramdisk, files.ramdisk)
      return { guest, kernel, ramdisk, version }
    }
  },
)

describeWith(
  [
    ...debianGuestRequirements,
    ...([
      'qemu-system-x86_64',
      '/usr/share/OVMF/OVMF_CODE_4M.fd',
      '/usr/lib/grub/x86_64-efi/kernel.img',
    ] as const),
  ],
  'a Debian system on a bare file system',
  () => {
    test('becomes a disk that comes up to its login from BIOS and from UEFI', async () => {
      await using site = await makeSite()
      const [whole, root, disk] = [
        join(site.home, 'debian.raw'),
        join(site.home, 'root.raw'),
        join(site.home, 'disk.qcow2'),
      ]
      await buildDebianGuest(whole)
      await disableCloudInit(whole)
      await copyPart(whole, root, { offset: mebibyte, length: null })
      await rm(whole)
      await site.json(exportDocument, ['export', root, disk, '--bootable'])
      const until = /debian12 login:/
      await bootEach(disk, ['bios', 'uefi'], { format: 'qcow2', until, memory: 1024, network: true })
    })
  },
)

type Firmware = NonNullable<BootOptions['firmware']>

/** At once: an emulated machine hardly ever keeps more than one processor busy. */
async function bootEach(
  disk: string,
  firmwares: readonly Firmware[],
  options: Omit<BootOptions, 'firmware' | 'timeout' | 'signal'>,
): Promise<void> {
  const stop = new AbortController()
  const boot = (firmware: Firmware) =>
    bootDisk(disk, { ...options, firmware, timeout: 500_000, signal: stop.signal })
  await Promise.all(firmwares.map(boot)).finally(() => stop.abort())
}

async function overwrite(path: string, offset: number, bytes: Buffer): Promise<void> {
  const image = await open(path, 'r+')
  try {
    await image.write(bytes, 0, bytes.length, offset)
  } finally {
    await image.close()
  }
}

async function copyPart(
  from: string,
  to: string,
  { offset, length }: { offset: number; length: number | null },
): Promise<void> {
  const source = await openRaw(await openFileSource(from))
  const sink = await createFileSink(to, { overwrite: true, durable: false })
  await writeRaw(windowDisk(source, offset, length ?? source.size - offset), sink, {})
  await sink.finish()
  await source.close()
}

async function isXfs(path: string, offset: number): Promise<boolean> {
  const source = await openFileSource(path)
  const magic = Buffer.alloc(4)
  await source.read(magic, offset)
  await source.close()
  return magic.toString('latin1') === 'XFSB'
}

async function digestOf(path: string): Promise<string> {
  const hash = createHash('sha256')
  const source = await openFileSource(path)
  for await (const chunk of source.stream()) hash.update(chunk)
  await source.close()
  return hash.digest('hex')
}

import { execFileSync } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, test } from 'vitest'
import { composeDisk } from '../../../src/disk/composed-disk.ts'
import type { Disk } from '../../../src/disk/disk.ts'
import { memoryDisk } from '../../../src/disk/memory-disk.ts'
import { type DiskWindow, withWindows } from '../../../src/disk/overlay-disk.ts'
import { encodeGpt, encodeGptEntries } from '../../../src/disk/partition/encode-gpt.ts'
import { encodeMbr, encodeProtectiveMbr, mbrTableOffset } from '../../../src/disk/partition/encode-mbr.ts'
import { gptTypes } from '../../../src/disk/partition/partition-types.ts'
import { readPartitionTable } from '../../../src/disk/partition/read-partition-table.ts'
import { windowDisk } from '../../../src/disk/window-disk.ts'
import type { BootableOptions } from '../../../src/guest/bootable/bootable.ts'
import { findHostGrub } from '../../../src/guest/bootable/build-grub.ts'
import { derivedGuid } from '../../../src/guest/bootable/derived-ids.ts'
import { beginsCoreImage, coreSectorOf } from '../../../src/guest/bootable/install-grub.ts'
import { openExt4 } from '../../../src/guest/filesystem/ext4/open-ext4.ts'
import { addFatFiles } from '../../../src/guest/filesystem/fat/add-files.ts'
import { formatFat32 } from '../../../src/guest/filesystem/fat/format-fat.ts'
import { openFat } from '../../../src/guest/filesystem/fat/open-fat.ts'
import { sketchKernel } from '../../../testbed/kernel-sketch.ts'
import {
  emptyFile,
  kernelIn,
  makeBootable,
  rootDisk,
  rootUuid,
  separateFile,
  systemTree,
  withPrepared,
} from '../../support/bootable-images.ts'
import { diskBytes, openImage, type TreeEntry, temporaryFolder } from '../../support/ext4-image.ts'
import { describeWith } from '../../support/requirements.ts'

const MiB = 2 ** 20
const fstab = { '/etc/fstab': `UUID=${rootUuid} / ext4 defaults 0 1\n` }
const grubConfig = { '/boot/grub/grub.cfg': 'linux /boot/vmlinuz-6.1.0-9 root=/dev/vda1\n' }
const system = { ...systemTree, ...fstab, ...kernelIn('6.1.0-9') }
const configured = { ...system, ...grubConfig }

interface Part extends DiskWindow {
  number: number
  type?: string | number
}

describeWith(
  ['grub-mkimage', '/usr/lib/grub/i386-pc/boot.img', '/usr/lib/grub/x86_64-efi/kernel.img'],
  'an ordinary disk',
  () => {
    let folder: Awaited<ReturnType<typeof temporaryFolder>>
    beforeAll(async () => {
      folder = await temporaryFolder()
    })
    afterAll(() => folder.remove())

    const root = (tree: Readonly<Record<string, TreeEntry>>) => rootDisk(folder.path, { tree })
    const make = (disk: Disk, options: Partial<BootableOptions> = {}) =>
      makeBootable(disk, { workFolder: folder.path, ...options })
    const failure = (disk: Disk, options: Partial<BootableOptions> = {}) =>
      withPrepared(disk, { workFolder: folder.path, ...options }, async () => 'prepared').catch(
        (error: unknown) => error,
      )

    function mbrDisk(parts: readonly Part[], size?: number): Disk {
      const table = encodeMbr(
        parts.map(({ number, offset, disk, type = 0x83 }) => ({
          number,
          offset,
          length: disk.size,
          type: Number(type),
        })),
        { signature: 7 },
      )
      return composeDisk(size ?? endOf(parts), [
        ...parts,
        { offset: mbrTableOffset, disk: memoryDisk(table) },
      ])
    }

    function gptDisk(parts: readonly Part[]): Disk {
      const size = endOf(parts) + MiB
      const entries = encodeGptEntries(
        parts.map(({ number, offset, disk, type = gptTypes.linuxFilesystem }) => ({
          number,
          offset,
          length: disk.size,
          type: String(type),
          uuid: derivedGuid('part', String(number)),
          name: `part ${number}`,
        })),
      )
      const { primary, backup } = encodeGpt({ size, guid: derivedGuid('disk', ''), entries })
      return composeDisk(size, [
        { offset: mbrTableOffset, disk: memoryDisk(encodeProtectiveMbr(size)) },
        { offset: 512, disk: memoryDisk(primary) },
        ...parts,
        { offset: size - backup.length, disk: memoryDisk(backup) },
      ])
    }

    function endOf(parts: readonly Part[]): number {
      return Math.max(...parts.map(({ offset, disk }) => offset + disk.size))
    }

    async function esp(files: Readonly<Record<string, Buffer>> = {}): Promise<Disk> {
      const empty = formatFat32(34 * MiB, { volumeId: 1, label: 'ESP', hiddenSectors: 2048 })
      const added = Object.entries(files).map(([path, bytes]) => ({ path, content: memoryDisk(bytes) }))
      return addFatFiles(await openFat(empty), added)
    }

    async function readEsp(disk: Disk, number: number, path: string): Promise<Buffer | null> {
      const { partitions } = await readPartitionTable(disk)
      const { offset, length } = partitions.find((partition) => partition.number === number)!
      const volume = await openFat(windowDisk(disk, offset, length))
      const entry = await volume.find(path)
      return entry && diskBytes(volume.content(entry))
    }

    async function expectCore(disk: Disk, offset: number): Promise<void> {
      const sector = Buffer.alloc(512)
      await disk.read(sector, 0)
      expect(coreSectorOf(sector)).toBe(offset / 512)
      await disk.read(sector, offset)
      expect(beginsCoreImage(sector, offset / 512)).toBe(true)
    }

    it('that lacks its boot code gets it back, nothing else changes, and then there is nothing to do', async () => {
      const disk = mbrDisk([{ number: 1, offset: MiB, disk: await root(configured) }])
      const mended = await make(disk)
      expect(mended.report).toMatchObject({
        action: 'repair',
        firmware: ['bios'],
        findings: [
          'a disk with 1 partition (MBR)',
          'BIOS: there is no boot code in the first sector',
          'UEFI: there is no EFI system partition',
          'GRUB’s configuration is /boot/grub/grub.cfg in partition 1 (ext4)',
        ],
        warnings: [],
      })
      await expectCore(mended.disk, 512)
      const [before, after] = [await diskBytes(disk), await diskBytes(mended.disk)]
      expect(after.subarray(MiB).equals(before.subarray(MiB))).toBe(true)
      // Of the table, the flag that some BIOSes want.
      expect(after[446]).toBe(0x80)
      before[446] = 0x80
      expect(after.subarray(440, 512).equals(before.subarray(440, 512))).toBe(true)
      const again = await make(mended.disk)
      expect(again.report).toMatchObject({ action: 'none', firmware: ['bios'], changes: [] })
      expect((await diskBytes(again.disk)).equals(after)).toBe(true)
    })

    it('whose core image is gone gets it back', async () => {
      const { disk } = await make(mbrDisk([{ number: 1, offset: MiB, disk: await root(configured) }]))
      const wiped = withWindows(disk, [{ offset: 512, disk: memoryDisk(Buffer.alloc(MiB - 512)) }])
      const { report, disk: mended } = await make(wiped)
      expect(report.findings).toContain(
        'BIOS: GRUB’s boot code looks for its core image in sector 1, where it is not',
      )
      await expectCore(mended, 512)
    })

    it('gets a partition for GRUB where there is no room before the first one', async () => {
      const disk = mbrDisk([{ number: 1, offset: 63 * 512, disk: await root(configured) }])
      const { report, disk: mended } = await make(disk)
      expect(report.partitions).toEqual([{ number: 2, purpose: 'bios-boot', offset: 17 * MiB, length: MiB }])
      expect(report.size).toBe(18 * MiB)
      await expectCore(mended, 17 * MiB)
      expect((await readPartitionTable(mended)).problems).toEqual([])
      expect((await make(mended)).report.action).toBe('none')
    })

    it('gets an EFI system partition of its own when it is to start from UEFI, too', async () => {
      const disk = mbrDisk([{ number: 1, offset: MiB, disk: await root(configured) }])
      const { report, disk: mended } = await make(disk, { firmware: 'both' })
      expect(report).toMatchObject({ action: 'repair', firmware: ['bios', 'uefi'] })
      const table = await readPartitionTable(mended)
      expect(table.problems).toEqual([])
      expect(table.partitions.map(({ number, type, bootable }) => [number, type, bootable])).toEqual([
        [1, '0x83', true],
        [2, '0xef', false],
      ])
      expect((await readEsp(mended, 2, '/EFI/BOOT/BOOTX64.EFI'))?.length).toBeGreaterThan(500_000)
      expect((await make(mended, { firmware: 'both' })).report.action).toBe('none')
    })

    it('with a GPT gets GRUB into its BIOS boot partition, or into a new one where it has none', async () => {
      const biosBoot = { number: 14, offset: MiB, disk: composeDisk(MiB, []), type: gptTypes.biosBoot }
      const there = await make(
        gptDisk([biosBoot, { number: 1, offset: 2 * MiB, disk: await root(configured) }]),
      )
      expect(there.report).toMatchObject({ action: 'repair', firmware: ['bios'], partitions: [] })
      await expectCore(there.disk, MiB)

      const made = await make(gptDisk([{ number: 1, offset: MiB, disk: await root(configured) }]))
      expect(made.report.partitions).toMatchObject([{ number: 14, purpose: 'bios-boot' }])
      expect((await readPartitionTable(made.disk)).problems).toEqual([])
      expect((await make(made.disk)).report.action).toBe('none')
    })

    it('with an EFI system partition gets the loader that firmware looks for, and keeps what is there', async () => {
      const kept = Buffer.from('kept')
      const system = {
        number: 15,
        offset: MiB,
        disk: await esp({ '/EFI/tool/notes.txt': kept }),
        type: gptTypes.efiSystem,
      }
      const disk = gptDisk([system, { number: 1, offset: 40 * MiB, disk: await root(configured) }])
      const { report, disk: mended } = await make(disk)
      expect(report).toMatchObject({ action: 'repair', firmware: ['uefi'], partitions: [] })
      expect(await readEsp(mended, 15, '/EFI/tool/notes.txt')).toEqual(kept)
      expect((await readEsp(mended, 15, '/EFI/BOOT/BOOTX64.EFI'))?.length).toBeGreaterThan(500_000)
      expect((await make(mended)).report).toMatchObject({ action: 'none', firmware: ['uefi'] })
    })

    it('gets the loader of its distribution rather than one of this machine', async () => {
      const [shim, grub] = [sketchKernel({ version: 'shim' }), sketchKernel({ version: 'grub' })]
      const vendor = {
        '/EFI/debian/shimx64.efi': shim,
        '/EFI/debian/grubx64.efi': grub,
        '/EFI/debian/grub.cfg': Buffer.from('configfile'),
      }
      const system = { number: 15, offset: MiB, disk: await esp(vendor), type: gptTypes.efiSystem }
      const disk = gptDisk([system, { number: 1, offset: 40 * MiB, disk: await root(configured) }])
      const { report, disk: mended } = await make(disk)
      expect(report.changes).toEqual(['GRUB for UEFI (the distribution’s own) becomes /EFI/BOOT/BOOTX64.EFI'])
      expect((await readEsp(mended, 15, '/EFI/BOOT/BOOTX64.EFI'))?.equals(shim)).toBe(true)
      expect((await readEsp(mended, 15, '/EFI/BOOT/grubx64.efi'))?.equals(grub)).toBe(true)
      expect((await readEsp(mended, 15, '/EFI/BOOT/grub.cfg'))?.toString()).toBe('configfile')
    })

    it('that has kernels and no grub.cfg gets one', async () => {
      const disk = mbrDisk([{ number: 1, offset: MiB, disk: await root(system) }])
      const { report, disk: mended } = await make(disk)
      expect(report.changes).toContain('/boot/grub/grub.cfg is written')
      expect(report.kernel?.version).toBe('6.1.0-9')
      const filesystem = await openExt4(windowDisk(mended, MiB, 16 * MiB), { workFolder: folder.path })
      expect(Buffer.from(await filesystem.read('/boot/grub/grub.cfg')).toString()).toContain(
        `root=UUID=${rootUuid}`,
      )
      expect(Buffer.from(await filesystem.read('/etc/fstab')).toString()).toBe(fstab['/etc/fstab'])
      await filesystem.close()
      expect((await make(mended)).report.action).toBe('none')
    })

    it('is left alone where its boot code is of another kind, with a warning', async () => {
      const plain = mbrDisk([{ number: 1, offset: MiB, disk: await root(configured) }])
      const other = withWindows(plain, [{ offset: 0, disk: memoryDisk(Buffer.alloc(440, 0xcc)) }])
      for (const firmware of [null, 'bios'] as const) {
        const { report } = await make(other, { firmware })
        expect(report).toMatchObject({
          action: 'none',
          firmware: [],
          warnings: [{ code: 'BOOT_CODE_UNKNOWN' }],
        })
      }
    })

    it('with GRUB legacy boots as it is, if its next stage is there', async () => {
      const plain = mbrDisk([{ number: 1, offset: MiB, disk: await root(system) }])
      const stage1 = Buffer.alloc(440)
      stage1.write('GRUB ', 0x180)
      stage1.writeUInt16BE(0x0302, 0x3e)
      stage1.writeUInt32LE(1, 0x44)
      const legacy = withWindows(plain, [{ offset: 0, disk: memoryDisk(stage1) }])
      expect((await make(legacy)).report.action).toBe('repair')
      const whole = withWindows(legacy, [{ offset: 512, disk: memoryDisk(Buffer.alloc(512, 1)) }])
      expect((await make(whole)).report).toMatchObject({ action: 'none', firmware: ['bios'] })
    })

    it('gets the guest’s own GRUB where this machine has none, or none that fits', async () => {
      const boot = Buffer.alloc(512, 0x90)
      const core = Buffer.alloc(30_000, 0x91)
      const empty = join(folder.path, 'empty')
      await mkdir(empty, { recursive: true })
      const none = await findHostGrub(empty)
      const own = { '/boot/grub/i386-pc/boot.img': boot, '/boot/grub/i386-pc/core.img': core }
      const mended = await make(
        mbrDisk([{ number: 1, offset: 63 * 512, disk: await root({ ...configured, ...own }) }]),
        { grub: none },
      )
      expect(mended.report.changes).toEqual([
        'GRUB for BIOS (the guest’s own) goes into the first sector and to byte 512',
      ])
      const bytes = await diskBytes(windowDisk(mended.disk, 0, 63 * 512))
      expect(bytes.subarray(0x70, 440).equals(boot.subarray(0x70, 440))).toBe(true)
      expect(bytes.subarray(1024, 512 + 30_000).equals(core.subarray(512))).toBe(true)

      const bls = { ...configured, ...own, '/boot/grub/grub.cfg': 'blscfg\n' }
      const { report } = await make(mbrDisk([{ number: 1, offset: MiB, disk: await root(bls) }]))
      expect(report.changes.join()).toContain('the guest’s own')

      const bare = mbrDisk([{ number: 1, offset: MiB, disk: await root(configured) }])
      expect(await failure(bare, { grub: none })).toMatchObject({ code: 'BOOT_LOADER_MISSING' })
      expect(await failure(bare, { grub: none, firmware: 'uefi' })).toMatchObject({
        code: 'BOOT_LOADER_MISSING',
      })
      const noCore = mbrDisk([
        { number: 1, offset: MiB, disk: await root({ ...configured, '/boot/grub/grub.cfg': 'blscfg\n' }) },
      ])
      expect(await failure(noCore)).toMatchObject({
        code: 'BOOT_LOADER_MISSING',
        message: expect.stringContaining('blscfg'),
      })
    })

    it('finds a configuration in a boot partition before that of the root', async () => {
      const boot = await rootDisk(folder.path, {
        tree: { '/grub2/grub.cfg': 'x' },
        features: ['-U', '6e0a3a50-1d5c-4f3f-9a39-0d1b6a3c5f22'],
      })
      const tree = {
        ...configured,
        '/etc/fstab': `${fstab['/etc/fstab']}UUID=6e0a3a50-1d5c-4f3f-9a39-0d1b6a3c5f22 /boot ext4 defaults 0 2\n`,
      }
      const { report } = await make(
        mbrDisk([
          { number: 1, offset: MiB, disk: boot },
          { number: 2, offset: 20 * MiB, disk: await root(tree) },
        ]),
      )
      expect(report.findings).toContain('GRUB’s configuration is /grub2/grub.cfg in partition 1 (ext4)')
    })

    it('finds a configuration in a FAT partition, such as one that was made for a separate kernel', async () => {
      const files = await esp({ '/boot/grub/grub.cfg': Buffer.from('linux /boot/vmlinuz-6.1\n') })
      const disk = mbrDisk([
        { number: 2, offset: MiB, disk: files, type: 0x0c },
        { number: 1, offset: 40 * MiB, disk: await root({ ...systemTree, ...fstab }) },
      ])
      const { report, disk: mended } = await make(disk)
      expect(report.findings).toContain('GRUB’s configuration is /boot/grub/grub.cfg in partition 2 (vfat)')
      expect((await make(mended)).report.action).toBe('none')
    })

    it('whose /boot nobody can look into gets a GRUB that looks there itself, and a warning', async () => {
      const path = join(folder.path, 'boot.xfs')
      await emptyFile(path, 320 * MiB)
      execFileSync('mkfs.xfs', ['-q', path], { env: { PATH: '/usr/sbin:/sbin:/bin' } })
      const xfs = await openImage(path)
      const { report, disk } = await make(mbrDisk([{ number: 1, offset: MiB, disk: xfs }]))
      expect(report).toMatchObject({ action: 'repair', warnings: [{ code: 'BOOT_SYSTEM_UNSEEN' }] })
      await expectCore(disk, 512)
      await xfs.close()
    })

    test.each<[string, () => Promise<Disk>, string]>([
      [
        'without kernel or configuration',
        async () => mbrDisk([{ number: 1, offset: MiB, disk: await root({ ...systemTree, ...fstab }) }]),
        'BOOT_NO_KERNEL',
      ],
      [
        'without a system',
        async () => mbrDisk([{ number: 1, offset: MiB, disk: composeDisk(MiB, []) }]),
        'BOOT_ROOT_UNSUPPORTED',
      ],
      [
        'with four partitions and no room',
        async () => {
          const more = [2, 3, 4].map((number) => ({
            number,
            offset: (20 + number) * MiB,
            disk: composeDisk(MiB, []),
          }))
          return mbrDisk([{ number: 1, offset: 63 * 512, disk: await root(configured) }, ...more])
        },
        'BOOT_NO_ROOM',
      ],
      [
        'with a damaged file system',
        async () => {
          const damaged = withWindows(await root(configured), [
            { offset: 1024, disk: memoryDisk(Buffer.alloc(50, 0xff)) },
          ])
          return mbrDisk([{ number: 1, offset: MiB, disk: damaged }])
        },
        'FILESYSTEM_DAMAGED',
      ],
    ])('%s is refused', async (_, disk, code) => {
      expect(await failure(await disk())).toMatchObject({ code })
    })

    it('takes neither a kernel nor a size', async () => {
      const disk = mbrDisk([{ number: 1, offset: MiB, disk: await root(configured) }])
      const kernel = separateFile('kernel', sketchKernel({ version: '6.1' }))
      expect(await failure(disk, { kernel })).toMatchObject({ code: 'BOOT_KERNEL_UNUSABLE' })
      expect(await failure(disk, { growTo: 2 ** 30 })).toMatchObject({ code: 'BOOT_NO_ROOM' })
    })
  },
)

import { execFileSync } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, test } from 'vitest'
import type { Disk } from '../../../src/disk/disk.ts'
import { memoryDisk } from '../../../src/disk/memory-disk.ts'
import { readPartitionTable } from '../../../src/disk/partition/read-partition-table.ts'
import { checkGuestDisk } from '../../../src/disk/safety/check-guest-disk.ts'
import { windowDisk } from '../../../src/disk/window-disk.ts'
import type { BootableOptions } from '../../../src/guest/bootable/bootable.ts'
import { findHostGrub } from '../../../src/guest/bootable/build-grub.ts'
import { isUefiProgram } from '../../../src/guest/bootable/kernel-image.ts'
import { openExt4 } from '../../../src/guest/filesystem/ext4/open-ext4.ts'
import { openFat } from '../../../src/guest/filesystem/fat/open-fat.ts'
import { sketchKernel } from '../../../testbed/kernel-sketch.ts'
import {
  emptyFile,
  grubFolder,
  kernelIn,
  makeBootable,
  type RootImage,
  ramdiskBytes,
  rootDisk,
  rootUuid,
  separateFile,
  systemTree,
  withPrepared,
} from '../../support/bootable-images.ts'
import {
  diskBytes,
  fsckComplaints,
  openImage,
  runDebugfs,
  temporaryFolder,
} from '../../support/ext4-image.ts'
import { describeWith } from '../../support/requirements.ts'

describeWith(
  ['grub-mkimage', '/usr/lib/grub/i386-pc/boot.img', '/usr/lib/grub/x86_64-efi/kernel.img'],
  'a disk around a root file system',
  () => {
    let folder: Awaited<ReturnType<typeof temporaryFolder>>
    beforeAll(async () => {
      folder = await temporaryFolder()
    })
    afterAll(() => folder.remove())

    const make = async (image: RootImage, options: Partial<BootableOptions> = {}) =>
      makeBootable(await rootDisk(folder.path, image), { workFolder: folder.path, ...options })

    async function failure(disk: Disk | RootImage, options: Partial<BootableOptions> = {}) {
      const whole = 'read' in disk ? disk : await rootDisk(folder.path, disk)
      return withPrepared(whole, { workFolder: folder.path, ...options }, async () => 'prepared').catch(
        (error: unknown) => error,
      )
    }

    async function openRootOf(disk: Disk) {
      const { partitions } = await readPartitionTable(disk)
      const root = partitions.find(({ number }) => number === 1)!
      const window = windowDisk(disk, root.offset, root.length)
      const path = join(folder.path, 'made-root.img')
      await writeFile(path, await diskBytes(window))
      expect(fsckComplaints(path)).toBe('')
      return openExt4(window, { workFolder: folder.path })
    }

    async function readRoot(disk: Disk, path: string): Promise<string> {
      const filesystem = await openRootOf(disk)
      try {
        return Buffer.from(await filesystem.read(path)).toString()
      } finally {
        await filesystem.close()
      }
    }

    async function readBoot(disk: Disk, path: string): Promise<Buffer | null> {
      const { partitions } = await readPartitionTable(disk)
      const { offset, length } = partitions.find(({ number }) => number === 15 || number === 2)!
      const volume = await openFat(windowDisk(disk, offset, length))
      const entry = await volume.find(path)
      return entry && (await diskBytes(volume.content(entry)))
    }

    const withKernel = { tree: { ...systemTree, ...kernelIn('6.1.0-9') } }

    describe.each(['bios', 'uefi', 'both'] as const)('for %s', (firmware) => {
      it('has a sound table, a loader where the firmware looks, and a configuration in its root', async () => {
        const { disk, report } = await make(withKernel, { firmware })
        const table = await readPartitionTable(disk)
        expect(table.problems).toEqual([])
        expect(table.scheme).toBe(firmware === 'bios' ? 'mbr' : 'gpt')
        expect((await checkGuestDisk(disk)).filter(({ outcome }) => outcome !== 'passed')).toEqual([])
        const head = Buffer.alloc(512)
        await disk.read(head, 0)
        expect(head.subarray(0, 440).includes('GRUB')).toBe(firmware !== 'uefi')
        if (firmware !== 'bios') {
          expect(isUefiProgram((await readBoot(disk, '/EFI/BOOT/BOOTX64.EFI')) ?? Buffer.alloc(0))).toBe(true)
        }
        expect(await readRoot(disk, '/boot/grub/grub.cfg')).toContain(
          `linux /boot/vmlinuz-6.1.0-9 root=UUID=${rootUuid} ro console=tty0 console=ttyS0,115200n8\n  initrd /boot/initrd.img-6.1.0-9\n`,
        )
        expect(report).toMatchObject({
          action: 'wrap',
          firmware: firmware === 'both' ? ['bios', 'uefi'] : [firmware],
          size: disk.size,
          kernel: { version: '6.1.0-9', image: '/boot/vmlinuz-6.1.0-9', ramdisk: '/boot/initrd.img-6.1.0-9' },
          warnings: [],
        })
      })
    })

    it('is the same disk every time', async () => {
      const root = await rootDisk(folder.path, withKernel)
      const first = await makeBootable(root, { workFolder: folder.path })
      await new Promise((resolve) => setTimeout(resolve, 1100))
      const second = await makeBootable(root, { workFolder: folder.path })
      expect((await diskBytes(second.disk)).equals(await diskBytes(first.disk))).toBe(true)
    })

    it('has the same file system beside what was changed, and can be larger', async () => {
      const { disk, report } = await make(withKernel, { growTo: 200 * 2 ** 20 })
      expect([disk.size, report.size]).toEqual([200 * 2 ** 20, 200 * 2 ** 20])
      expect(await readRoot(disk, '/etc/fstab')).toBe(
        `UUID=${rootUuid} / ext3 defaults 0 0\n# Not in this disk: /dev/sdb /mnt ext3 defaults 0 0\n`,
      )
      expect(await readRoot(disk, '/etc/passwd')).toBe(systemTree['/etc/passwd'])
      expect(report.changes).toEqual([
        'a disk with GPT is made around the file system, for BIOS and UEFI',
        `/etc/fstab: the root is UUID=${rootUuid} instead of /dev/sda1`,
        '/etc/fstab: /dev/sdb (/mnt) is not in this disk and is commented out',
        '/boot/grub/grub.cfg is written',
      ])
    })

    it('starts the newest of several kernels and says so', async () => {
      const tree = {
        ...systemTree,
        ...kernelIn('6.1.0-9'),
        ...kernelIn('6.1.0-10'),
        ...kernelIn('5.10.0-30'),
      }
      const { disk, report } = await make({ tree })
      expect(report.kernel?.version).toBe('6.1.0-10')
      expect(report.findings).toContain(
        'Linux 6.1.0-10 starts (/boot/vmlinuz-6.1.0-10, /boot/initrd.img-6.1.0-10); 6.1.0-9, 5.10.0-30 can be chosen, too',
      )
      const config = await readRoot(disk, '/boot/grub/grub.cfg')
      expect([...config.matchAll(/linux \/boot\/vmlinuz-(\S+)/g)].map(([, version]) => version)).toEqual([
        '6.1.0-10',
        '6.1.0-9',
        '5.10.0-30',
      ])
    })

    it('passes over kernels that cannot be used, each with its reason', async () => {
      const tree = {
        ...systemTree,
        ...kernelIn('6.1.0-9'),
        ...kernelIn('6.2.0-xen'),
        ...kernelIn('6.3.0-1'),
        '/boot/config-6.3.0-1': 'CONFIG_X86_64_XEN=y\n',
        '/boot/vmlinuz-7.0': 'no kernel at all',
        '/boot/vmlinuz-8.0-rescue': sketchKernel({ version: '8.0' }),
      }
      const { report } = await make({ tree })
      expect(report.kernel?.version).toBe('6.1.0-9')
      expect(report.warnings.map(({ message }) => message)).toEqual([
        '/boot/vmlinuz-6.2.0-xen is made for Xen’s paravirtual machines only, as its name says.',
        '/boot/vmlinuz-6.3.0-1 is made for Xen’s paravirtual machines only, as its configuration says.',
        '/boot/vmlinuz-7.0 is no kernel.',
      ])
    })

    it('leaves a configuration of the guest’s own GRUB in charge', async () => {
      const config = `menuentry 'Debian' {\n  linux /vmlinuz root=/dev/xvda1 ro quiet\n  initrd /boot/initrd.img-6.1.0-9\n}\n`
      const tree = {
        ...withKernel.tree,
        '/boot/grub2/grub.cfg': config,
        '/vmlinuz': { symlink: 'boot/vmlinuz-6.1.0-9' },
        '/etc/default/grub': 'GRUB_CMDLINE_LINUX="console=hvc0"\n',
      }
      const { disk, report } = await make({ tree })
      expect(await readRoot(disk, '/boot/grub2/grub.cfg')).toBe(
        config.replace('/dev/xvda1', `UUID=${rootUuid}`),
      )
      expect(await readRoot(disk, '/etc/default/grub')).toContain('console=ttyS0')
      expect(report).toMatchObject({ kernel: null })
      expect(report.findings.join()).toContain('/boot/grub2/grub.cfg decides')
      const filesystem = await openRootOf(disk)
      expect(await filesystem.stat('/boot/grub')).toBeNull()
      await filesystem.close()
    })

    it.each([
      ['starts nothing that is there', 'linux /boot/vmlinuz-4.9 root=/dev/sda1\n'],
      ['uses a command that GRUB here does not have', 'blscfg\n'],
    ])('writes its own configuration where the guest’s %s', async (_, config) => {
      const { disk, report } = await make({ tree: { ...withKernel.tree, '/boot/grub/grub.cfg': config } })
      expect(await readRoot(disk, '/boot/grub/grub.cfg')).toContain('linux /boot/vmlinuz-6.1.0-9 ')
      expect(report.kernel?.version).toBe('6.1.0-9')
    })

    it.each([
      [
        'menu.lst',
        'default 1\ntitle old\n kernel /boot/a old=1\ntitle x\n root (hd0)\n kernel /boot/vmlinuz root=/dev/sda1 net.ifnames=0 console=hvc0\n',
      ],
      [
        'grub.conf',
        'title x\n\tkernel --no-mem-option /boot/vmlinuz net.ifnames=0 root=/dev/sda1 console=xvc0\n',
      ],
    ])('takes the arguments of the kernel from a %s of GRUB legacy', async (name, text) => {
      const { disk } = await make({ tree: { ...withKernel.tree, [`/boot/grub/${name}`]: text } })
      const config = await readRoot(disk, '/boot/grub/grub.cfg')
      expect(config).toMatch(/linux \S+ (.*net\.ifnames=0.*)/)
      expect(config).not.toMatch(/hvc0|xvc0|sda1|old=1/)
    })

    it('warns of a kernel without ramdisk or modules, and then names the root as a kernel can find it', async () => {
      const tree = { ...systemTree, '/boot/vmlinuz-6.1': sketchKernel({ version: '6.1' }) }
      const { disk, report } = await make({ tree }, { firmware: 'bios' })
      expect(report.warnings.map(({ code }) => code)).toEqual([
        'BOOT_MODULES_MISSING',
        'BOOT_RAMDISK_MISSING',
      ])
      const { uuid } = await readPartitionTable(disk)
      expect(await readRoot(disk, '/boot/grub/grub.cfg')).toContain(`root=PARTUUID=${uuid}-01 ro`)
    })

    it('warns where UEFI cannot start the kernel, and refuses to make a disk for UEFI alone', async () => {
      const tree = { ...systemTree, ...kernelIn('2.6.32-71', { uefi: false, protocol: 0x20a }) }
      const { report } = await make({ tree })
      expect(report.warnings).toMatchObject([{ code: 'BOOT_NOT_FROM_UEFI' }])
      expect(await failure({ tree }, { firmware: 'uefi' })).toMatchObject({ code: 'BOOT_KERNEL_UNUSABLE' })
    })

    /** The same with a file that leaves 20 KiB. */
    async function filled(tree: NonNullable<RootImage['tree']>): Promise<RootImage> {
      const image = { tree, size: '4M', features: ['-b', '1024', '-O', '^has_journal', '-m', '0'] }
      const filesystem = await openExt4(await rootDisk(folder.path, image), { workFolder: folder.path })
      const free = await filesystem.freeBytes()
      await filesystem.close()
      return { ...image, tree: { ...tree, '/fill': 'x'.repeat(free - 20 * 1024) } }
    }

    it('puts its configuration beside a root that is full', async () => {
      const fstab = { '/etc/fstab': `UUID=${rootUuid} / ext4 defaults 0 1\n` }
      const { disk, report } = await make(await filled({ ...withKernel.tree, ...fstab }))
      expect(report.changes).toContain('boot partition: /boot/grub/grub.cfg')
      expect((await readBoot(disk, '/boot/grub/grub.cfg'))?.toString()).toContain(
        `search --no-floppy --fs-uuid --set=root ${rootUuid}`,
      )
    })

    describe('with a separate kernel', () => {
      const kernel = sketchKernel({ version: '6.1.0-77' })
      const files = {
        kernel: separateFile('kernel.img', kernel),
        ramdisk: separateFile('ramdisk.img', ramdiskBytes),
      }
      const withModules = { tree: { ...systemTree, '/lib/modules/6.1.0-77': { directory: true } as const } }

      it('has it in the root, where modules for it are', async () => {
        const { disk, report } = await make(withModules, files)
        const filesystem = await openRootOf(disk)
        expect(Buffer.from(await filesystem.read('/boot/vmlinuz-6.1.0-77')).equals(kernel)).toBe(true)
        expect(Buffer.from(await filesystem.read('/boot/initrd.img-6.1.0-77')).equals(ramdiskBytes)).toBe(
          true,
        )
        await filesystem.close()
        expect(await readRoot(disk, '/boot/grub/grub.cfg')).toContain('initrd /boot/initrd.img-6.1.0-77')
        expect(report).toMatchObject({
          kernel: { version: '6.1.0-77', image: 'kernel.img', ramdisk: 'ramdisk.img' },
          warnings: [],
        })
      })

      it('names the ramdisk as the distribution would', async () => {
        const release = { '/etc/os-release': 'ID=rocky\nID_LIKE="rhel centos fedora"\n' }
        const { disk } = await make({ tree: { ...withModules.tree, ...release } }, files)
        expect(await readRoot(disk, '/boot/initramfs-6.1.0-77.img')).toBe(ramdiskBytes.toString())
      })

      it.each(['bios', 'both'] as const)(
        'has it in a boot partition where no modules for it are, for %s',
        async (firmware) => {
          const { disk, report } = await make({ tree: systemTree }, { ...files, firmware })
          expect((await readBoot(disk, '/boot/vmlinuz-6.1.0-77'))?.equals(kernel)).toBe(true)
          expect((await readBoot(disk, '/boot/initrd.img-6.1.0-77'))?.equals(ramdiskBytes)).toBe(true)
          const config = (await readBoot(disk, '/boot/grub/grub.cfg'))?.toString()
          expect(config).toMatch(
            /search --no-floppy --fs-uuid --set=root [0-9A-F]{4}-[0-9A-F]{4}\n {2}linux \/boot\/vmlinuz-6\.1\.0-77 root=UUID=6e0a/,
          )
          expect(report.warnings).toMatchObject([{ code: 'BOOT_MODULES_MISSING' }])
          const filesystem = await openRootOf(disk)
          expect(await filesystem.stat('/boot')).toBeNull()
          await filesystem.close()
        },
      )

      it('has it in a boot partition where the root has no room', async () => {
        const { disk, report } = await make(await filled(withModules.tree), files)
        expect((await readBoot(disk, '/boot/vmlinuz-6.1.0-77'))?.equals(kernel)).toBe(true)
        expect(report.warnings).toEqual([])
      })

      it('replaces a file of the same name, and lists the guest’s own kernels behind it', async () => {
        const tree = { ...withModules.tree, '/boot/vmlinuz-6.1.0-77': 'old', ...kernelIn('5.10') }
        const { disk } = await make({ tree }, files)
        const config = await readRoot(disk, '/boot/grub/grub.cfg')
        expect([...config.matchAll(/linux (\S+)/g)].map(([, path]) => path)).toEqual([
          '/boot/vmlinuz-6.1.0-77',
          '/boot/vmlinuz-5.10',
        ])
        const filesystem = await openRootOf(disk)
        expect((await filesystem.stat('/boot/vmlinuz-6.1.0-77'))?.size).toBe(kernel.length)
        await filesystem.close()
      })

      it('does without a ramdisk, and warns', async () => {
        const { disk, report } = await make(withModules, { kernel: files.kernel })
        expect(report.warnings).toMatchObject([{ code: 'BOOT_RAMDISK_MISSING' }])
        expect(await readRoot(disk, '/boot/grub/grub.cfg')).not.toContain('initrd')
      })

      it('refuses what is neither kernel nor ramdisk', async () => {
        const wrong = { kernel: files.ramdisk, ramdisk: files.kernel }
        expect(await failure(withModules, wrong)).toMatchObject({
          code: 'BOOT_KERNEL_UNUSABLE',
          message: 'ramdisk.img is no kernel.',
        })
        expect(await failure(withModules, { ...files, ramdisk: files.kernel })).toMatchObject({
          code: 'BOOT_RAMDISK_UNUSABLE',
        })
        const xen = separateFile('aki-1', sketchKernel({ version: '2.6.18-xenU' }))
        expect(await failure(withModules, { kernel: xen })).toMatchObject({
          code: 'BOOT_KERNEL_UNUSABLE',
          message: expect.stringContaining('Xen'),
        })
      })

      it('uses the image’s own kernel instead of one that was only suggested and cannot be used', async () => {
        const xen = separateFile('cloud:aki', sketchKernel({ version: '2.6.18-xenU' }), true)
        const { report } = await make(withKernel, { kernel: xen })
        expect(report.kernel?.version).toBe('6.1.0-9')
        expect(report.warnings).toMatchObject([{ code: 'BOOT_KERNEL_PASSED_OVER' }])
        expect(await failure({ tree: systemTree }, { kernel: xen })).toMatchObject({
          code: 'BOOT_KERNEL_UNUSABLE',
        })
      })
    })

    describe('of xfs', () => {
      const xfs = async () => {
        const path = join(folder.path, 'root.xfs')
        await emptyFile(path, 320 * 2 ** 20)
        execFileSync('mkfs.xfs', ['-q', '-m', `uuid=${rootUuid}`, path], {
          env: { PATH: '/usr/sbin:/sbin:/bin' },
        })
        return openImage(path)
      }

      it('lets GRUB look for kernels when it starts, and warns', async () => {
        const disk = await xfs()
        const report = await withPrepared(
          disk,
          { workFolder: folder.path },
          async (prepared) => prepared.report,
        )
        expect(report).toMatchObject({ kernel: null, warnings: [{ code: 'BOOT_SYSTEM_UNSEEN' }] })
        await disk.close()
      })

      it('has a separate kernel in a boot partition', async () => {
        const disk = await xfs()
        const kernel = separateFile('kernel', sketchKernel({ version: '6.1' }))
        const made = await makeBootable(disk, {
          workFolder: folder.path,
          kernel,
          ramdisk: separateFile('r', ramdiskBytes),
        })
        expect((await readBoot(made.disk, '/boot/grub/grub.cfg'))?.toString()).toContain(
          `root=UUID=${rootUuid} ro`,
        )
        await disk.close()
      })
    })

    test.each<[string, () => Promise<Disk | RootImage>, string]>([
      ['without a kernel', async () => ({ tree: systemTree }), 'BOOT_NO_KERNEL'],
      [
        'with kernels for Xen alone',
        async () => ({ tree: { ...systemTree, ...kernelIn('2.6.18-xen') } }),
        'BOOT_NO_KERNEL',
      ],
      ['that holds no system', async () => ({ tree: { '/data': 'x' } }), 'BOOT_ROOT_UNSUPPORTED'],
      [
        'of another architecture',
        async () => {
          const elf = Buffer.alloc(64)
          elf.write('\x7fELF\x02\x01\x01', 0, 'latin1')
          elf.writeUInt16LE(183, 18)
          return { tree: { ...withKernel.tree, '/usr/bin/env': elf } }
        },
        'BOOT_ARCHITECTURE_UNSUPPORTED',
      ],
      [
        'of a kind that is not known',
        async () => memoryDisk(Buffer.from('nothing that is known'), 8 * 2 ** 20),
        'BOOT_ROOT_UNSUPPORTED',
      ],
      [
        'of a kind that boot loaders do not read',
        async () => {
          const path = join(folder.path, 'swap.img')
          await emptyFile(path, 2 ** 20)
          execFileSync('mkswap', ['-q', path], { env: { PATH: '/usr/sbin:/sbin:/bin' } })
          return memoryDisk(await readFile(path))
        },
        'BOOT_ROOT_UNSUPPORTED',
      ],
    ])('is refused of a file system %s', async (_, disk, code) => {
      expect(await failure(await disk())).toMatchObject({ code })
    })

    it('is refused of a file system with errors', async () => {
      const path = join(folder.path, 'damaged.img')
      await writeFile(path, await diskBytes(await rootDisk(folder.path, withKernel)))
      await runDebugfs(path, ['set_super_value state 2'])
      const disk = await openImage(path)
      expect(await failure(disk)).toMatchObject({ code: 'FILESYSTEM_DAMAGED' })
      await disk.close()
      await runDebugfs(path, ['set_super_value state 1', 'set_inode_field /etc/passwd links_count 7'])
      const other = await openImage(path)
      await expect(makeBootable(other, { workFolder: folder.path })).rejects.toMatchObject({
        code: 'FILESYSTEM_DAMAGED',
      })
      await other.close()
    })

    it('is refused when it is to be smaller than it can be', async () => {
      expect(await failure(withKernel, { growTo: 20 * 2 ** 20 })).toMatchObject({ code: 'BOOT_NO_ROOM' })
    })

    it('is refused without GRUB, naming the packages; for UEFI the guest’s own will do', async () => {
      const empty = join(folder.path, 'no-grub')
      await mkdir(empty, { recursive: true })
      const grub = await findHostGrub(empty)
      for (const [firmware, name] of [
        ['bios', 'grub-pc-bin'],
        ['uefi', 'grub-efi-amd64-bin'],
      ] as const) {
        expect(await failure(withKernel, { firmware, grub })).toMatchObject({
          code: 'BOOT_LOADER_MISSING',
          hint: expect.stringContaining(name),
        })
      }
      const program = sketchKernel({ version: 'grub' })
      const tree = { ...withKernel.tree, '/usr/lib/grub/x86_64-efi/monolithic/grubx64.efi': program }
      const { disk } = await make({ tree }, { firmware: 'uefi', grub })
      expect((await readBoot(disk, '/EFI/BOOT/BOOTX64.EFI'))?.equals(program)).toBe(true)
      expect((await readBoot(disk, '/EFI/debian/grub.cfg'))?.toString()).toContain(rootUuid)
    })

    it('knows which GRUB is there', async () => {
      const { modules } = await findHostGrub(grubFolder)
      expect([modules.bios?.has('normal'), modules.uefi?.has('normal')]).toEqual([true, true])
    })
  },
)

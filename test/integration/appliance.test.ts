import { execFile } from 'node:child_process'
import { mkdir, open, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { z } from 'zod'
import { runProgram } from '../../src/core/program.ts'
import { bootDisk } from '../../testbed/boot-disk.ts'
import { buildDebianGuest, debianGuestRequirements } from '../../testbed/debian-guest.ts'
import { disableCloudInit } from '../../testbed/disable-cloud-init.ts'
import { buildTinyGuest } from '../../testbed/tiny-guest.ts'
import { describeWith } from '../support/requirements.ts'
import { makeSite, type Site } from '../support/site.ts'

const mebibyte = 2 ** 20
const gibibyte = 2 ** 30

const storedDocument = z.object({ virtualSize: z.number(), contentDigest: z.string() })
const inspectionDocument = z.object({
  manifest: z.string(),
  safety: z.object({ accepted: z.boolean() }),
  appliance: z.object({ machines: z.array(z.object({ vmwareOs: z.string(), firmware: z.string() })) }),
})

describeWith(
  [
    ...(['qemu-img', 'qemu-system-x86_64', 'mke2fs', 'e2fsck'] as const),
    ...(['/usr/share/OVMF/OVMF_CODE_4M.fd', '/usr/lib/grub/x86_64-efi/kernel.img'] as const),
  ],
  'the disk of an exported appliance',
  () => {
    let site: Site
    beforeAll(async () => {
      site = await makeSite()
    })
    afterAll(() => site[Symbol.asyncDispose]())

    test.each([
      ['bios', 'dos', []],
      ['uefi', 'none', ['--bootable', '--firmware', 'uefi']],
    ] as const)(
      'boots to a login prompt with %s, as its descriptor says',
      async (firmware, label, options) => {
        const [demo, appliance] = [`local:demo-${firmware}`, `demo-${firmware}.ova`]
        await buildTinyGuest(join(site.home, 'tiny.raw'), { bootable: true, label })
        await site.json(z.unknown(), ['images', 'upload', 'tiny.raw', demo])
        await site.json(storedDocument, ['export', demo, appliance, ...options])
        const inspected = await site.json(inspectionDocument, ['inspect', appliance])
        expect(inspected.appliance.machines).toMatchObject([{ firmware }])
        await runProgram('tar', ['xf', appliance], { timeout: 60_000, workingDirectory: site.home })
        const [vmdk, disk] = ['-disk1.vmdk', '.qcow2'].map((end) => join(site.home, `demo-${firmware}${end}`))
        if (!vmdk || !disk) throw new Error('Not two names.')
        await runProgram('qemu-img', ['convert', '-f', 'vmdk', '-O', 'qcow2', vmdk, disk], {
          timeout: 60_000,
        })
        const console = await bootDisk(disk, {
          ...{ firmware, format: 'qcow2', until: /tiny login:/, timeout: 300_000 },
        })
        expect(console).toContain('TINY-BOOT-OK')
      },
    )

    test('is written and read back with 20 GiB', async () => {
      const raw = join(site.home, 'large.raw')
      const file = await open(raw, 'w')
      try {
        await file.truncate(20 * gibibyte)
        for (let at = 0; at < 20 * gibibyte; at += gibibyte) {
          await file.write(Buffer.alloc(3 * mebibyte, `data at ${at}`), 0, 3 * mebibyte, at + 12_345)
        }
        await file.write(Buffer.from('the end'), 0, 7, 20 * gibibyte - 7)
      } finally {
        await file.close()
      }
      const written = await site.json(storedDocument, ['export', 'large.raw', 'large.ova'])
      expect(written.virtualSize).toBe(20 * gibibyte)
      const back = await site.json(storedDocument, ['convert', 'large.ova', 'back.raw', '--verify'])
      expect(back.contentDigest).toBe(written.contentDigest)
      expect((await stat(join(site.home, 'back.raw'))).blocks * 512).toBeLessThan(200 * mebibyte)
      const { safety, manifest } = await site.json(inspectionDocument, ['inspect', 'large.ova'])
      expect({ safety, manifest }).toMatchObject({ safety: { accepted: true }, manifest: 'matches' })
      await Promise.all(['large.raw', 'large.ova', 'back.raw'].map((name) => rm(join(site.home, name))))
    })
  },
)

describeWith(
  [...debianGuestRequirements, 'virt-v2v', 'nbdkit', 'nbdcopy', 'debugfs', 'qemu-system-x86_64'],
  'virt-v2v',
  () => {
    let site: Site
    beforeAll(async () => {
      site = await makeSite()
    })
    afterAll(() => site[Symbol.asyncDispose]())

    test('imports an exported Debian, and makes it a guest of KVM that boots', async () => {
      const raw = join(site.home, 'debian.raw')
      await buildDebianGuest(raw)
      await disableCloudInit(raw)
      // It wants to write the boot loader's configuration anew, and the guest has its boot loader from outside.
      await writeToGuest(raw, '/usr/sbin/grub-mkconfig', '#!/bin/sh\nexit 0\n', '0100755')
      // It makes an initial ramdisk, by emulation: one with what this guest needs takes a quarter of the time.
      await writeToGuest(raw, '/etc/initramfs-tools/conf.d/small', 'MODULES=list\n')
      await writeToGuest(raw, '/etc/initramfs-tools/modules', 'virtio_pci\nvirtio_blk\next4\n')
      const options = ['--cpus', '2', '--memory', '1G', '--nic', 'vmxnet3', '--disk-bus', 'scsi']
      await site.json(storedDocument, ['export', 'debian.raw', 'debian.ova', ...options])
      const { appliance } = await site.json(inspectionDocument, ['inspect', 'debian.ova'])
      expect(appliance.machines).toEqual([{ vmwareOs: 'debian10_64Guest', firmware: 'bios' }])
      const out = join(site.home, 'out')
      await mkdir(out)
      const conversion = [
        '-i',
        'ova',
        join(site.home, 'debian.ova'),
        '-o',
        'local',
        '-os',
        out,
        '-on',
        'debian',
      ]
      const { stdout } = await promisify(execFile)('virt-v2v', conversion, {
        // Its own machine runs by emulation; hardware virtualisation may be there and not work.
        env: { ...process.env, LIBGUESTFS_BACKEND: 'direct', LIBGUESTFS_BACKEND_SETTINGS: 'force_tcg' },
        timeout: 1_500_000,
        maxBuffer: 64 * mebibyte,
      })
      expect(stdout).toMatch(/Finishing off/)
      const { size } = await stat(join(out, 'debian-sda'))
      expect(size).toBe(1536 * mebibyte)
      const until = /debian12 login:/
      await bootDisk(join(out, 'debian-sda'), { until, timeout: 600_000, memory: 1024 })
    }, 2_400_000)

    /** Writes a file, in place of one that is there. */
    async function writeToGuest(
      image: string,
      path: string,
      content: string,
      mode = '0100644',
    ): Promise<void> {
      const local = join(site.home, 'file')
      await writeFile(local, content)
      const partition = `${image}?offset=${mebibyte}`
      for (const request of [
        `rm ${path}`,
        `write ${local} ${path}`,
        `set_inode_field ${path} mode ${mode}`,
      ]) {
        await runProgram('debugfs', ['-w', '-R', request, partition], { timeout: 60_000 })
      }
    }
  },
)

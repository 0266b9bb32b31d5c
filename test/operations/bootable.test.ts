import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, it } from 'vitest'
import type { Cloud, ImageService } from '../../src/clouds/cloud.ts'
import { loadConfig } from '../../src/config/load-config.ts'
import type { JobEvent } from '../../src/core/events.ts'
import { memoryDisk } from '../../src/disk/memory-disk.ts'
import { readPartitionTable } from '../../src/disk/partition/read-partition-table.ts'
import { windowDisk } from '../../src/disk/window-disk.ts'
import { openExt4 } from '../../src/guest/filesystem/ext4/open-ext4.ts'
import { bootableInput } from '../../src/operations/bootable-input.ts'
import { JobRunner } from '../../src/operations/job-runner.ts'
import { planBootableOf } from '../../src/operations/plan-bootable.ts'
import type { StoredFile } from '../../src/operations/store-file.ts'
import { sketchKernel } from '../../testbed/kernel-sketch.ts'
import { buildRoot, kernelIn, ramdiskBytes, systemTree } from '../support/bootable-images.ts'
import type { TreeEntry } from '../support/ext4-image.ts'
import { type FarCloud, farCloud } from '../support/far-cloud.ts'
import { type LibrarySite, makeLibrarySite } from '../support/library-site.ts'
import { describeWith } from '../support/requirements.ts'

const version = '6.1.0-77'
const kernelBytes = sketchKernel({ version })
const withModules = { ...systemTree, [`/lib/modules/${version}`]: { directory: true } as const }

describeWith(
  ['grub-mkimage', '/usr/lib/grub/i386-pc/boot.img', '/usr/lib/grub/x86_64-efi/kernel.img'],
  'an export that is to be bootable',
  () => {
    let site: LibrarySite
    let far: FarCloud
    let clouds: { names: string[]; get(name: string): Promise<Cloud>; close(): Promise<void> }
    let runner: JobRunner
    let events: JobEvent[]
    let disk = ''

    beforeEach(async () => {
      site = await makeLibrarySite()
      far = farCloud('far')
      clouds = { names: ['far'], get: async () => far, close: async () => undefined }
      const config = await loadConfig({ environment: { IMAGEWRIGHT_HOME: site.home } })
      runner = new JobRunner({ config, clouds }, { keepFailed: false })
      disk = join(site.home, 'disk.raw')
    })
    afterEach(async () => {
      await runner.close()
      await site[Symbol.asyncDispose]()
    })

    async function store(name: string, format: string, bytes: Buffer, properties = {}): Promise<string> {
      const image: Parameters<ImageService['create']>[0] = { name, format, properties }
      const { id } = await far.images.create(image, { key: `key of ${name}` })
      await far.images.upload(id, (sink) => sink.write(bytes))
      return id
    }

    async function rootBytes(tree: Readonly<Record<string, TreeEntry>>): Promise<Buffer> {
      const path = join(site.home, 'root.img')
      await buildRoot(path, { tree })
      return readFile(path)
    }

    async function exportFar(request: object = {}, more: object = {}): Promise<StoredFile> {
      events = []
      const handle = runner.start<StoredFile>('export', {
        source: { kind: 'cloud', cloud: 'far', thing: 'machine' },
        file: { path: disk, format: 'raw', overwrite: true },
        bootable: { firmware: 'bios', ...request },
        ...more,
      } as never)
      for await (const event of handle.events()) events.push(event)
      return handle
    }

    const warnings = () => events.flatMap((event) => (event.type === 'warning' ? [event.code] : []))

    async function readRoot(path: string): Promise<string> {
      const whole = memoryDisk(await readFile(disk))
      const { partitions } = await readPartitionTable(whole)
      const { offset, length } = partitions.find(({ number }) => number === 1)!
      const root = await openExt4(windowDisk(whole, offset, length), { workFolder: site.home })
      try {
        return Buffer.from(await root.read(path)).toString()
      } finally {
        await root.close()
      }
    }

    /** A machine of a cloud that has its kernels apart. */
    async function storeMachine(
      tree: Readonly<Record<string, TreeEntry>>,
      kernel = kernelBytes,
    ): Promise<void> {
      const properties = {
        kernel_id: await store('kernel', 'aki', kernel),
        ramdisk_id: await store('ramdisk', 'ari', ramdiskBytes),
      }
      await store('machine', 'ami', await rootBytes(tree), properties)
    }

    it('takes kernel and ramdisk that the image names, compared with their checksums', async () => {
      await storeMachine(withModules)
      const { bootable } = await exportFar()
      expect(bootable).toMatchObject({
        action: 'wrap',
        kernel: { version, image: 'far:kernel', ramdisk: 'far:ramdisk' },
        warnings: [],
      })
      expect(await readRoot(`/boot/initrd.img-${version}`)).toBe(ramdiskBytes.toString())
      expect(
        (await site.files()).filter((path) => !/^(root\.img|disk\.raw|config\.yaml)$/.test(path)),
      ).toEqual([])
    })

    it('fails, and leaves nothing, when the kernel is not what was stored', async () => {
      await storeMachine(withModules)
      const size = kernelBytes.length
      far.damage = (chunk) => void (chunk.length === size && chunk.fill(0xff, 600, 601))
      await expect(exportFar()).rejects.toMatchObject({
        code: expect.stringMatching(/IMAGE_CORRUPT|VERIFICATION_FAILED/),
      })
      expect((await site.files()).filter((path) => !/^(root\.img|config\.yaml)$/.test(path))).toEqual([])
    })

    it('does with the kernel inside where the one that is named is gone, or is for Xen alone', async () => {
      await store('machine', 'ami', await rootBytes({ ...systemTree, ...kernelIn('5.10') }), {
        kernel_id: 'gone',
      })
      expect((await exportFar()).bootable).toMatchObject({ kernel: { version: '5.10' } })
      expect(warnings()).toEqual(['RELATED_IMAGE_LEFT'])
      await far.images.delete((await Array.fromAsync(far.images.list({ name: 'machine' })))[0]!.id)

      await storeMachine({ ...systemTree, ...kernelIn('5.10') }, sketchKernel({ version: '2.6.18-xenU' }))
      expect((await exportFar()).bootable).toMatchObject({ kernel: { version: '5.10' } })
      expect(warnings()).toEqual(['BOOT_KERNEL_PASSED_OVER'])
    })

    it('fails without any kernel, and the error says what to do', async () => {
      await store('machine', 'ami', await rootBytes(systemTree), { kernel_id: 'gone' })
      await expect(exportFar()).rejects.toMatchObject({
        code: 'BOOT_NO_KERNEL',
        hint: expect.stringContaining('--kernel'),
      })
    })

    it('takes a kernel by the name of an image, and a ramdisk from a file', async () => {
      await store('a kernel', 'aki', kernelBytes)
      await store('machine', 'ami', await rootBytes(withModules), { kernel_id: 'gone' })
      const ramdisk = await site.copy(join(site.home, 'root.img'), 'not-a-ramdisk')
      const kernel = { kind: 'cloud', cloud: 'far', thing: 'a kernel' }
      await expect(exportFar({ kernel, ramdisk: { kind: 'file', path: ramdisk } })).rejects.toMatchObject({
        code: 'BOOT_RAMDISK_UNUSABLE',
      })
      expect((await exportFar({ kernel })).bootable).toMatchObject({
        kernel: { image: 'far:a kernel', ramdisk: null },
      })
    })

    it('is cleaned first, when that is asked for too', async () => {
      const history = { '/root/.bash_history': 'secret-of-root\n' }
      await store('machine', 'raw', await rootBytes({ ...systemTree, ...kernelIn('6.1'), ...history }))
      const { bootable, cleaning } = await exportFar({}, { clean: {} })
      expect([bootable?.action, cleaning?.changed]).toEqual(['wrap', true])
      expect((await readFile(disk)).includes('secret-of-root')).toBe(false)
      expect(await readRoot('/boot/grub/grub.cfg')).toContain('/boot/vmlinuz-6.1')
    })

    it('gives an appliance the firmware that the disk was made for', async () => {
      await store('machine', 'raw', await rootBytes({ ...systemTree, ...kernelIn('6.1') }))
      for (const firmware of ['uefi', 'bios']) {
        const path = join(site.home, `${firmware}.ova`)
        await exportFar({ firmware }, { file: { path, format: 'ova' } })
        const text = (await readFile(path)).subarray(0, 32_768).toString('latin1')
        expect(/firmware[^>]*efi/i.test(text), firmware).toBe(firmware === 'uefi')
      }
    })

    it('plans what it then does, and writes nothing for it', async () => {
      await storeMachine(withModules)
      const before = await site.files()
      const bootable = bootableInput.parse({ firmware: 'bios' })
      const reference = { kind: 'cloud', cloud: 'far', thing: 'machine' } as const
      const plan = await planBootableOf(clouds, reference, { bootable })
      expect(await site.files()).toEqual(before)
      expect((await exportFar()).bootable).toEqual(plan)
      await expect(
        planBootableOf(clouds, { ...reference, thing: 'nothing' }, { bootable }),
      ).rejects.toMatchObject({ code: 'IMAGE_NOT_FOUND' })
    })

    it('refuses a request that contradicts itself before anything is done', async () => {
      const { imagewright } = site
      const ask = async (bootable: object) => imagewright.exportImage('root.img', disk, { bootable })
      await expect(ask({ ramdisk: 'ramdisk' })).rejects.toMatchObject({ code: 'INPUT_INVALID' })
      await expect(ask({ growTo: -1 })).rejects.toMatchObject({ code: 'INPUT_INVALID' })
    })
  },
)

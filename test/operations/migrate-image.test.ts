import { randomBytes } from 'node:crypto'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import type { Cloud, ImageService } from '../../src/clouds/cloud.ts'
import { CloudError } from '../../src/clouds/errors.ts'
import { openCloud } from '../../src/clouds/open-cloud.ts'
import { loadConfig } from '../../src/config/load-config.ts'
import type { JobEvent } from '../../src/core/events.ts'
import { contentDigest } from '../../src/disk/content-digest.ts'
import { memoryDisk } from '../../src/disk/memory-disk.ts'
import { writeOva } from '../../src/disk/ova/ova-writer.ts'
import { openRaw } from '../../src/disk/raw/raw-reader.ts'
import { openVhd } from '../../src/disk/vhd/vhd-reader.ts'
import { JobRunner } from '../../src/operations/job-runner.ts'
import type { MigrateImageResult } from '../../src/operations/migrate-image.ts'
import { migrateImageInput } from '../../src/operations/migrate-input.ts'
import { planMigrateImage } from '../../src/operations/migrate-plan.ts'
import { describeFound, findMarkersInRaw } from '../../testbed/find-markers.ts'
import { file } from '../../testbed/guest-tree.ts'
import { sketchFixedVhd } from '../../testbed/hostile/vhd-sketch.ts'
import { secretEntries } from '../../testbed/plant-secrets.ts'
import { planSecrets } from '../../testbed/secrets.ts'
import { buildTinyGuest } from '../../testbed/tiny-guest.ts'
import { type FarCloud, farCloud } from '../support/far-cloud.ts'
import { type LibrarySite, makeLibrarySite } from '../support/library-site.ts'
import { memorySink } from '../support/memory-sink.ts'
import { memorySource } from '../support/memory-source.ts'
import { describeWith } from '../support/requirements.ts'

const mebibyte = 1024 * 1024
const secrets = planSecrets({ running: false })
const junk = randomBytes(3 * mebibyte)

describeWith(['mke2fs', 'e2fsck', 'debugfs'], 'an image migrated to another cloud', () => {
  let folder = ''
  let guest: Buffer
  let guestPath = ''
  let site: LibrarySite
  let here: FarCloud
  let there: FarCloud
  let clouds: { names: string[]; get(name: string): Promise<Cloud>; close(): Promise<void> }
  let runner: JobRunner
  let events: JobEvent[]

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'imagewright-test-'))
    guestPath = join(folder, 'guest.raw')
    const secretTree = secretEntries(secrets)
    await buildTinyGuest(guestPath, {
      size: 12 * mebibyte,
      ...secretTree,
      deleted: [...(secretTree.deleted ?? []), file('/junk', junk)],
    })
    guest = await readFile(guestPath)
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  beforeEach(async () => {
    site = await makeLibrarySite()
    await use(farCloud('here'), farCloud('there'))
  })
  afterEach(async () => {
    await runner.close()
    await site[Symbol.asyncDispose]()
  })

  async function use(source: FarCloud, target: FarCloud): Promise<void> {
    await runner?.close()
    here = source
    there = target
    const config = await loadConfig({ environment: { IMAGEWRIGHT_HOME: site.home } })
    const local = await openCloud('local', config.clouds.local!)
    const all: Record<string, Cloud> = { here, there, local }
    clouds = {
      names: Object.keys(all),
      get: async (name) => all[name]!,
      close: async () => undefined,
    }
    runner = new JobRunner({ config, clouds }, { keepFailed: false })
  }

  async function store(
    cloud: FarCloud,
    bytes: Buffer,
    more: Parameters<ImageService['create']>[0],
  ): Promise<string> {
    const { id } = await cloud.images.create(more, { key: `key of ${more.name} in ${cloud.name}` })
    await cloud.images.upload(id, (sink) => sink.write(bytes))
    return id
  }

  async function migrate(request: Record<string, unknown>): Promise<MigrateImageResult> {
    const handle = runner.start<MigrateImageResult>('migrate', {
      cloud: 'here',
      thing: 'web',
      target: 'there',
      ...request,
    } as never)
    events = []
    for await (const event of handle.events()) events.push(event)
    return handle
  }

  const plan = (request: Record<string, unknown>) =>
    planMigrateImage(
      clouds,
      migrateImageInput.parse({ cloud: 'here', thing: 'web', target: 'there', ...request }),
    )

  const warnings = () => events.flatMap((event) => (event.type === 'warning' ? [event.code] : []))
  const steps = () => events.flatMap((event) => (event.type === 'step-finished' ? [event.step] : []))
  const namesIn = async (cloud: Cloud) =>
    (await Array.fromAsync(cloud.images.list())).map(({ name }) => name).sort()

  async function qcow2Of(bytes: Buffer, more: object = {}): Promise<Buffer> {
    await writeFile(join(site.home, 'in.raw'), bytes)
    await site.imagewright.convertImage(join(site.home, 'in.raw'), join(site.home, 'out.qcow2'), {
      overwrite: true,
      ...more,
    })
    return readFile(join(site.home, 'out.qcow2'))
  }

  async function rawOf(bytes: Buffer): Promise<string> {
    await writeFile(join(site.home, 'stored'), bytes)
    await site.imagewright.convertImage(join(site.home, 'stored'), join(site.home, 'stored.raw'), {
      overwrite: true,
    })
    return join(site.home, 'stored.raw')
  }

  it('is copied byte for byte where nothing asks for more, once over the wire, and proved on both sides', async () => {
    const bytes = await qcow2Of(guest, { compression: 'zlib' })
    const id = await store(here, bytes, {
      name: 'web',
      format: 'qcow2',
      properties: { os_distro: 'debian' },
      minRam: 256,
    })
    const result = await migrate({})
    expect(there.bytesOf('web').equals(bytes)).toBe(true)
    expect(result).toMatchObject({
      action: 'copy',
      source: { kind: 'image', cloud: 'here', id },
      stored: { sourceProof: 'full', verified: 'checksum', contentDigest: null, freeSpaceLeftOut: false },
      image: {
        visibility: 'private',
        minRam: 256,
        minDisk: 1,
        properties: {
          os_distro: 'debian',
          imagewright_source: `here:${id}`,
          imagewright_cleaned: 'no',
          imagewright_source_checksum: expect.stringMatching(/^sha512:/),
        },
      },
    })
    expect(steps()).toEqual(['resolve', 'record', 'write', 'publish'])
    expect(here.sent.streamed).toBe(bytes.length)
    expect(there.sent).toEqual({ ranged: 0, streamed: 0 })
  })

  it('changes its container on the way in one pass, and keeps the whole disk where the source has holes', async () => {
    await store(here, await qcow2Of(guest), { name: 'web', format: 'qcow2' })
    const { stored } = await migrate({ storage: { format: 'raw' } })
    expect(there.bytesOf('web').equals(guest)).toBe(true)
    const disk = await openRaw(memorySource(guest))
    expect(stored).toMatchObject({ sourceProof: 'full', contentDigest: await contentDigest(disk) })
    expect(here.sent.streamed).toBe(here.bytesOf('web').length)
    expect(there.sent).toEqual({ ranged: 0, streamed: 0 })
  })

  it('leaves the free space of a raw disk out when it becomes qcow2, and keeps every file', async () => {
    await store(here, guest, { name: 'web', format: 'raw' })
    const { stored } = await migrate({ storage: { format: 'qcow2' } })
    expect(stored).toMatchObject({ freeSpaceLeftOut: true, sourceProof: 'full' })
    const raw = await rawOf(there.bytesOf('web'))
    const after = await readFile(raw)
    expect(after.includes(junk.subarray(0, 4096))).toBe(false)
    expect(guest.includes(junk.subarray(0, 4096))).toBe(true)
    expect(there.bytesOf('web').length).toBeLessThan(guest.length - junk.length)
    const { found } = await findMarkersInRaw(raw, secrets)
    expect(found.length).toBeGreaterThan(100)
  })

  it('is cleaned on the way, and the same as if it had been cleaned here', async () => {
    await store(here, guest, { name: 'web', format: 'raw' })
    const { stored } = await migrate({ clean: {}, storage: { format: 'qcow2' } })
    expect(describeFound(await findMarkersInRaw(await rawOf(there.bytesOf('web')), secrets))).toEqual([])
    expect(stored!.cleaning!.changed).toBe(true)
    const near = await site.imagewright.uploadImage(guestPath, 'local:near', { clean: {} })
    expect(stored!.contentDigest).toBe(near.contentDigest)
  })

  it('moves little more than what is used when only that is asked for', async () => {
    await store(here, guest, { name: 'web', format: 'raw' })
    const { stored } = await migrate({ storage: { format: 'qcow2' }, sourceProof: 'used' })
    expect(stored).toMatchObject({ freeSpaceLeftOut: true, sourceProof: 'used' })
    expect(here.sent.streamed).toBe(0)
    expect(there.bytesOf('web').includes(junk.subarray(0, 4096))).toBe(false)
    expect(here.sent.ranged).toBeLessThan(guest.length - junk.length)
  })

  it.each(['range', 'stream'] as const)(
    'is never published with a flipped bit in a %s of the source, and nothing is left',
    async (way) => {
      await store(here, guest, { name: 'web', format: 'raw' })
      let flips = 0
      here.damage = (chunk, position, on) => {
        // In a block that is read by range for the partition table, and passes.
        const at = 70_000
        if (on !== way || position + chunk.length <= at || position > at) return
        flips += 1
        chunk[at - position]! ^= 0x10
      }
      await expect(migrate({ storage: { format: 'qcow2' } })).rejects.toMatchObject({ code: 'IMAGE_CORRUPT' })
      expect(warnings().filter((code) => code === 'TRANSFER_RETRIED')).toHaveLength(2)
      expect(flips).toBeGreaterThanOrEqual(3)
      expect(await namesIn(there)).toEqual([])
      expect((await site.files()).filter((path) => path.startsWith('state/'))).toEqual([])
    },
    20_000,
  )

  it('is tried again when the wire breaks, and right in the end', async () => {
    await store(here, guest, { name: 'web', format: 'raw' })
    let left = 1
    there.onUpload = () => {
      left -= 1
      if (left >= 0) throw new CloudError('CLOUD_UNREACHABLE', 'unplugged')
    }
    await migrate({})
    expect(warnings()).toEqual(['TRANSFER_RETRIED'])
    expect(there.bytesOf('web').equals(guest)).toBe(true)
    expect(await namesIn(there)).toEqual(['web'])
  })

  it('says so when the source has no checksum, and reads back what a target without checksums stores', async () => {
    await use(farCloud('here', { checksums: false }), farCloud('there', { checksums: false }))
    await store(here, guest, { name: 'web', format: 'raw' })
    const { stored } = await migrate({})
    expect(stored).toMatchObject({ sourceProof: 'unproved', verified: 'read-back' })
    expect(warnings()).toEqual(['SOURCE_UNPROVED'])
    expect(there.sent.streamed).toBe(guest.length)
  })

  it('is not published when what is read back is not what was sent', async () => {
    await store(here, guest, { name: 'web', format: 'raw' })
    there.damage = (chunk, position) => {
      if (position === 65_536) chunk[7]! ^= 1
    }
    await migrate({ name: 'by its checksums' })
    const readBack = migrate({ storage: { verify: 'read-back' } })
    await expect(readBack).rejects.toMatchObject({
      code: expect.stringMatching(/IMAGE_CORRUPT|VERIFICATION_FAILED/),
    })
    expect(await namesIn(there)).toEqual(['by its checksums'])
  })

  it('passes as a stream where the server gives no ranges, and as a file where it is to be changed', async () => {
    await use(farCloud('here', { ranges: false }), farCloud('there', { ranges: false }))
    await store(here, guest, { name: 'web', format: 'raw' })
    const before = await site.files()
    expect((await migrate({ name: 'one' })).stored).toMatchObject({ sourceProof: 'full' })
    expect(warnings()).toEqual([])
    expect(there.bytesOf('one').equals(guest)).toBe(true)
    const { stored } = await migrate({ name: 'two', storage: { format: 'qcow2', verify: 'read-back' } })
    expect(stored).toMatchObject({ sourceProof: 'full', verified: 'read-back' })
    expect(warnings()).toEqual(['SOURCE_SPOOLED', 'SOURCE_SPOOLED'])
    expect(await site.files()).toEqual(before)
  })

  it('passes as a file where the server gives no ranges and the beginning does not say enough', async () => {
    await use(farCloud('here', { ranges: false }), farCloud('there', { formats: ['raw', 'vhd'] }))
    const { bytes } = sketchFixedVhd(guest)
    await store(here, bytes, { name: 'web', format: 'vhd' })
    await migrate({ name: 'one' })
    expect(warnings()).toEqual(['SOURCE_SPOOLED', 'FORMAT_SHOWN_AT_END'])
    expect(there.bytesOf('one').equals(bytes)).toBe(true)
    await migrate({ name: 'two', storage: { format: 'vhd', subformat: 'dynamic' } })
    expect(warnings()).toEqual(['SOURCE_SPOOLED'])
    const dynamic = await openVhd(memorySource(there.bytesOf('two')))
    expect(await contentDigest(dynamic)).toBe(await contentDigest(await openRaw(memorySource(guest))))
  })

  it('is refused as a stream too when its beginning is hostile', async () => {
    await use(farCloud('here', { ranges: false }), farCloud('there'))
    const hostile = await qcow2Of(guest)
    hostile.writeBigUInt64BE(1024n, 8)
    hostile.writeUInt32BE(11, 16)
    hostile.write('/etc/passwd', 1024)
    await store(here, hostile, { name: 'web', format: 'qcow2' })
    await expect(migrate({})).rejects.toMatchObject({
      code: expect.stringMatching(/IMAGE_BACKING_FILE|IMAGE_UNSAFE_NAME/),
    })
    await store(here, await qcow2Of(guest), { name: 'liar', format: 'raw' })
    await expect(migrate({ thing: 'liar' })).rejects.toMatchObject({ code: 'IMAGE_FORMAT_MISMATCH' })
    expect(await namesIn(there)).toEqual([])
  })

  it('takes along what describes the guest, leaves behind what belongs to the cloud, and lets the request win', async () => {
    const properties = {
      architecture: 'x86_64',
      hw_disk_bus: 'scsi',
      hw_firmware_type: 'uefi',
      'trait:HW_CPU_X86_AVX': 'required',
      colour: 'blue',
      instance_uuid: 'abc',
      base_image_ref: 'abc',
      image_type: 'snapshot',
      owner_user_name: 'alice',
      'owner_specified.openstack.md5': 'abc',
      img_signature: 'abc',
      os_glance_importing_to_stores: '',
      imagewright_job: 'old',
    }
    const more = { properties, tags: ['gold'], minDisk: 7, minRam: 512, hidden: true }
    await store(here, guest, { name: 'web', format: 'raw', ...more })
    const { image, dropped } = await migrate({ storage: { properties: { colour: 'red' }, tags: ['new'] } })
    expect(image).toMatchObject({ tags: ['gold', 'new'], minDisk: 7, minRam: 512, hidden: true })
    const { imagewright_job: _, ...rest } = image.properties
    expect(
      Object.keys(rest)
        .filter((name) => !name.startsWith('imagewright_'))
        .sort(),
    ).toEqual(['architecture', 'colour', 'hw_disk_bus', 'hw_firmware_type', 'trait:HW_CPU_X86_AVX'].sort())
    expect(image.properties.colour).toBe('red')
    expect(Object.keys(dropped)).toContain('instance_uuid')
  })

  it('names the properties that the cloud refuses, and does without them when that is allowed', async () => {
    await use(farCloud('here'), farCloud('there', { forbidden: ['hw_secret', 'os_secret'] }))
    const properties = { hw_secret: 'a', os_secret: 'b', hw_disk_bus: 'virtio' }
    await store(here, guest, { name: 'web', format: 'raw', properties })
    await expect(migrate({})).rejects.toMatchObject({
      code: 'PROPERTIES_REFUSED',
      details: { properties: ['hw_secret', 'os_secret'] },
    })
    expect(await namesIn(there)).toEqual([])
    const { stored, image } = await migrate({ storage: { skipForbiddenProperties: true } })
    expect(stored!.skippedProperties).toEqual(['hw_secret', 'os_secret'])
    expect(image.properties).toMatchObject({ hw_disk_bus: 'virtio', imagewright_cleaned: 'no' })
    expect(warnings()).toEqual(['PROPERTIES_SKIPPED'])
  })

  it('brings its kernel and ramdisk along first, once, and refers to them by their new ids', async () => {
    const kernel = await store(here, Buffer.from('\x1f\x8b\x08kernel', 'latin1'), {
      name: 'vmlinuz',
      format: 'aki',
    })
    const ramdisk = await store(here, Buffer.from('ramdisk'), { name: 'initrd', format: 'ari' })
    const properties = { kernel_id: kernel, ramdisk_id: ramdisk }
    await store(here, guest, { name: 'web', format: 'ami', properties })
    const first = await migrate({})
    expect(await namesIn(there)).toEqual(['initrd', 'vmlinuz', 'web'])
    const [vmlinuz] = await Array.fromAsync(there.images.list({ name: 'vmlinuz' }))
    expect(vmlinuz).toMatchObject({ format: 'aki', container: 'aki', minDisk: 0 })
    expect(first.image).toMatchObject({
      format: 'ami',
      container: 'ami',
      properties: { kernel_id: vmlinuz!.id },
    })
    expect(first.related.ramdisk_id).not.toBe(ramdisk)

    const second = await migrate({ name: 'again', storage: { format: 'qcow2' } })
    expect(second.related).toEqual(first.related)
    expect(second.image).toMatchObject({ format: 'qcow2', properties: first.related })
    expect(await namesIn(there)).toEqual(['again', 'initrd', 'vmlinuz', 'web'])
  })

  it('does without a kernel that is gone, and says so', async () => {
    await store(here, guest, { name: 'web', format: 'raw', properties: { kernel_id: 'gone' } })
    const { image } = await migrate({})
    expect(warnings()).toEqual(['RELATED_IMAGE_LEFT'])
    expect(image.properties).not.toHaveProperty('kernel_id')
  })

  it('is brought to the state of its source again and again, its data only once', async () => {
    const id = await store(here, guest, {
      name: 'web',
      format: 'raw',
      properties: { a: '1', b: '1' },
      tags: ['x'],
    })
    const first = await migrate({ sync: true })
    expect(first.action).toBe('copy')
    const again = await migrate({ sync: true })
    expect(again).toMatchObject({ action: 'reconcile', stored: null, image: first.image })
    expect(again.reconciled).toEqual({ changes: {}, addMembers: [], removeMembers: [] })

    await here.images.update(id, {
      name: 'web 2',
      visibility: 'shared',
      properties: { a: '2', b: null, c: '3' },
      tags: ['y'],
      protected: true,
      minRam: 99,
    })
    for (const member of ['physics', 'astronomy']) await here.images.share(id, member)
    await there.images.update(first.image.id, { properties: { stores: 'of the cloud', mine: 'x' } })
    const before = there.sent.streamed + here.sent.streamed
    const changed = await migrate({ thing: id, sync: true })
    expect(here.sent.streamed + there.sent.streamed).toBe(before)
    expect(changed.image).toMatchObject({
      id: first.image.id,
      name: 'web 2',
      visibility: 'shared',
      tags: ['y'],
      protected: true,
      minRam: 99,
    })
    const { a, b, c, mine, stores } = changed.image.properties
    expect({ a, b, c, mine, stores }).toEqual({ a: '2', c: '3', stores: 'of the cloud' })
    expect((await there.images.members(first.image.id)).map(({ member }) => member)).toEqual([
      'physics',
      'astronomy',
    ])

    await here.images.unshare(id, 'physics')
    const { reconciled } = await migrate({ thing: id, sync: true })
    expect(reconciled).toEqual({ changes: {}, addMembers: [], removeMembers: ['physics'] })
    await migrate({ thing: id, sync: true, storage: { visibility: 'private' } })
    expect(await there.images.members(first.image.id)).toEqual([])
    expect(await namesIn(there)).toEqual(['web 2'])
  })

  it('leaves copies alone that were given a name of their own', async () => {
    await store(here, guest, { name: 'web', format: 'raw' })
    await migrate({})
    await migrate({ name: 'by hand' })
    expect(await migrate({ sync: true })).toMatchObject({ action: 'reconcile', image: { name: 'web' } })
    expect(await migrate({ sync: true, name: 'by hand' })).toMatchObject({ action: 'reconcile' })
    expect(await migrate({ sync: true, name: 'third' })).toMatchObject({ action: 'copy' })
    expect(await namesIn(there)).toEqual(['by hand', 'third', 'web'])
  })

  it('is replaced when its copy is not as it is to be, and only then', async () => {
    await store(here, guest, { name: 'web', format: 'raw' })
    const first = await migrate({ sync: true, storage: { protected: true } })
    const second = await migrate({ sync: true, storage: { format: 'qcow2' } })
    expect(second).toMatchObject({ action: 'replace', replaced: first.image.id, image: { format: 'qcow2' } })
    expect(await namesIn(there)).toEqual(['web'])
    expect(await migrate({ sync: true, storage: { format: 'qcow2' } })).toMatchObject({ action: 'reconcile' })
    expect(await migrate({ sync: true, clean: {} })).toMatchObject({ action: 'replace' })
    expect(await migrate({ sync: true, clean: {} })).toMatchObject({ action: 'reconcile' })
    const definitions = (keep: string[]) => ({ ours: { extends: 'default', keep } })
    const ours = (...keep: string[]) => ({ profile: 'ours', definitions: definitions(keep) })
    for (const clean of [{ exclude: ['/srv'] }, ours('/opt/app'), ours()]) {
      expect(await migrate({ sync: true, clean })).toMatchObject({ action: 'replace' })
      expect(await migrate({ sync: true, clean: { ...clean, hashRemoved: true } })).toMatchObject({
        action: 'reconcile',
      })
    }
    expect(await namesIn(there)).toEqual(['web'])
  })

  it('is the disk of an appliance, once its manifest is proved', async () => {
    await use(farCloud('here', { formats: ['vmdk'] }), farCloud('there', { formats: ['vmdk', 'qcow2'] }))
    const sink = memorySink()
    await writeOva(memoryDisk(guest), sink)
    const appliance = sink.bytes()
    await store(here, appliance, { name: 'web', format: 'vmdk', container: 'ova' })
    const { image, stored } = await migrate({})
    expect(image).toMatchObject({ format: 'vmdk', container: 'bare' })
    const digest = await contentDigest(memoryDisk(guest))
    expect(stored).toMatchObject({ sourceProof: 'full', contentDigest: digest })
    // The check of a VMDK looks at every grain, so all of it comes twice.
    expect(here.sent.streamed + here.sent.ranged).toBeLessThan(2 * appliance.length + mebibyte)

    const at = appliance.lastIndexOf('-disk1.vmdk)= ') + '-disk1.vmdk)= '.length
    appliance.write(appliance.toString('latin1', at, at + 4) === '0000' ? '1111' : '0000', at)
    await store(here, appliance, { name: 'spoilt', format: 'vmdk', container: 'ova' })
    await expect(migrate({ thing: 'spoilt' })).rejects.toMatchObject({ code: 'IMAGE_DIGEST_MISMATCH' })
    expect(await namesIn(there)).toEqual(['web'])
  })

  it('takes the id of its source along when that is asked for', async () => {
    const id = await store(here, guest, { name: 'web', format: 'raw' })
    expect((await migrate({ sameId: true })).image.id).toBe(id)
    await expect(migrate({ sameId: true, name: 'x' })).rejects.toMatchObject({ code: 'ID_TAKEN' })
    expect(await migrate({ sameId: true, sync: true })).toMatchObject({ action: 'reconcile', image: { id } })
    expect(await namesIn(there)).toEqual(['web'])
  })

  it.each([
    ['a name that is taken', {}, 'NAME_TAKEN'],
    ['an image that is not there', { thing: 'nothing' }, 'IMAGE_NOT_FOUND'],
    ['a format nobody reads', { thing: 'ploop' }, 'FORMAT_UNKNOWN'],
    ['the cleaning of a CD', { thing: 'cd', clean: {} }, 'FORMAT_UNKNOWN'],
    ['an image without data', { thing: 'empty' }, 'IMAGE_HAS_NO_DATA'],
    [
      'an unknown operation of cleaning',
      { thing: 'other', clean: { disable: ['nope'] } },
      'CLEANING_OPERATION_UNKNOWN',
    ],
  ])('is refused with %s, before anything is made', async (_name, request, code) => {
    await store(here, guest, { name: 'web', format: 'raw' })
    await store(here, guest, { name: 'other', format: 'raw' })
    await store(here, guest, { name: 'ploop', format: 'ploop' })
    await store(here, guest, { name: 'cd', format: 'iso' })
    await here.images.create({ name: 'empty', format: 'raw' }, { key: 'empty' })
    await store(there, guest, { name: 'web', format: 'raw' })
    await expect(plan(request)).rejects.toMatchObject({ code })
    await expect(migrate(request)).rejects.toMatchObject({ code })
    expect(await namesIn(there)).toEqual(['web'])
  })

  it('is planned without changing anything', async () => {
    const kernel = await store(here, Buffer.from('kernel'), { name: 'vmlinuz', format: 'aki' })
    await store(here, guest, { name: 'web', format: 'raw', properties: { kernel_id: kernel, colour: 'red' } })
    const found = await plan({ clean: {}, storage: { format: 'qcow2' } })
    expect(found.steps.join('\n')).toMatch(
      /copy "vmlinuz" first[\s\S]*as qcow2[\s\S]*clean it[\s\S]*checksums/,
    )
    expect(found.related).toEqual({ kernel_id: { state: 'to-copy', name: 'vmlinuz' } })
    expect(await namesIn(there)).toEqual([])
    await migrate({ sync: true })
    await here.images.update(found.source.id, { properties: { colour: 'blue' } })
    const { reconciliation, steps: words } = await plan({ sync: true })
    expect(reconciliation).toMatchObject({ changes: { properties: { colour: 'blue' } } })
    expect(words.join('\n')).toContain('set colour')
    expect((await there.images.get((await migrate({ sync: true })).image.id)).properties.colour).toBe('blue')
  })

  it('goes from and to the embedded cloud, and from an instance of it, whose snapshot goes away', async () => {
    await store(here, guest, { name: 'web', format: 'raw', properties: { os_distro: 'tiny' } })
    await migrate({ target: 'local' })
    const base = await site.imagewright.images.show('local:web')
    expect(base).toMatchObject({ format: 'raw', properties: { os_distro: 'tiny' } })
    await site.imagewright.instances.launch('local:web', { name: 'machine', start: false })
    const result = await migrate({ cloud: 'local', thing: 'machine', clean: {} })
    expect(result).toMatchObject({
      source: { kind: 'instance', name: 'machine' },
      image: {
        name: 'machine',
        properties: { imagewright_consistency: 'stopped', imagewright_source_name: 'machine' },
      },
      snapshot: { kept: false },
    })
    expect(describeFound(await findMarkersInRaw(await rawOf(there.bytesOf('machine')), secrets))).toEqual([])
    expect(await site.imageNames()).toEqual(['web'])
    await expect(migrate({ cloud: 'local', thing: 'machine', sync: true })).rejects.toMatchObject({
      code: 'INPUT_INVALID',
    })
  })

  it('is shown to its members last, who are told to accept', async () => {
    await store(here, guest, { name: 'web', format: 'raw' })
    const { stored, image } = await migrate({ storage: { members: ['physics'], protected: true } })
    expect(stored!.members).toEqual([{ member: 'physics', status: 'pending' }])
    expect(image).toMatchObject({ visibility: 'shared', protected: true })
  })
})

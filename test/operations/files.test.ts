import { chmod, mkdtemp, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { writeQcow2Overlay } from '../../src/disk/qcow2/qcow2-overlay.ts'
import type { CleanFileRequest } from '../../src/operations/requests.ts'
import { createFileSink } from '../../src/transfer/file-sink.ts'
import { makeExt4 } from '../../testbed/ext4-filesystem.ts'
import { describeFound, findMarkersInRaw } from '../../testbed/find-markers.ts'
import { file } from '../../testbed/guest-tree.ts'
import { hostileImages } from '../../testbed/hostile/hostile-images.ts'
import { secretEntries } from '../../testbed/plant-secrets.ts'
import { planSecrets } from '../../testbed/secrets.ts'
import { buildTinyGuest } from '../../testbed/tiny-guest.ts'
import { type LibrarySite, makeLibrarySite, sha256Of } from '../support/library-site.ts'
import { describeWith } from '../support/requirements.ts'

const mebibyte = 1024 * 1024
const secrets = planSecrets({ running: false })

describeWith(['mke2fs', 'e2fsck', 'debugfs'], 'disk-image files and stored images', () => {
  let folder = ''
  let guest = ''
  let site: LibrarySite
  /** A new name for every test. */
  let path: (name: string) => string
  let tests = 0

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'imagewright-test-'))
    guest = join(folder, 'guest.raw')
    await buildTinyGuest(guest, { size: 12 * mebibyte, ...secretEntries(secrets) })
    site = await makeLibrarySite()
    await site.imagewright.uploadImage(guest, 'local:base')
    await site.imagewright.instances.launch('local:base', { name: 'web', start: false })
  })
  afterAll(async () => {
    await site[Symbol.asyncDispose]()
    await rm(folder, { recursive: true, force: true })
  })
  beforeEach(() => {
    tests += 1
    path = (name) => join(site.home, `${tests}-${name}`)
  })

  async function markersIn(name: string): Promise<string[]> {
    const raw = path('markers.raw')
    await site.imagewright.convertImage(name, raw, { overwrite: true })
    return describeFound(await findMarkersInRaw(raw, secrets))
  }

  it.each([
    { format: 'qcow2' },
    { format: 'qcow2', compression: 'zstd', level: 1 },
    { format: 'qcow2', compression: 'zlib', clusterSize: 4096 },
    { format: 'raw' },
    { format: 'vdi' },
    { format: 'vdi', subformat: 'fixed' },
    { format: 'vhd' },
    { format: 'vhd', subformat: 'fixed' },
  ] as const)('are converted to %o and back, with the checksum of the file', async (request) => {
    const result = await site.imagewright.convertImage(guest, path('out'), {
      ...request,
      checksum: 'sha256',
      verify: true,
    })
    expect(result).toMatchObject({ format: request.format, virtualSize: 12 * mebibyte, cleaning: null })
    expect(result.checksum).toEqual({ algorithm: 'sha256', value: await sha256Of(path('out')) })
    expect(result.contentDigest).toMatch(/^[0-9a-f]{64}$/)
    const inspection = await site.imagewright.inspect(path('out'))
    expect(inspection.format).toBe(request.format)
    await site.imagewright.convertImage(path('out'), path('back.raw'))
    expect(await sha256Of(path('back.raw'))).toBe(await sha256Of(guest))
  })

  it('are smaller when they are compressed', async () => {
    await site.imagewright.convertImage(guest, path('plain.qcow2'))
    await site.imagewright.convertImage(guest, path('small.qcow2'), { compression: 'zstd' })
    expect((await stat(path('small.qcow2'))).size).toBeLessThan((await stat(path('plain.qcow2'))).size * 0.8)
  })

  it('replace another only when that was asked for', async () => {
    await writeFile(path('out.qcow2'), 'precious')
    const refused = site.imagewright.convertImage(guest, path('out.qcow2'))
    await expect(refused).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' })
    const exported = site.imagewright.exportImage('local:web', path('out.qcow2'))
    await expect(exported).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' })
    expect(await readFile(path('out.qcow2'), 'utf8')).toBe('precious')
    expect(await site.imageNames()).not.toContain('web (snapshot)')
    await site.imagewright.convertImage(guest, path('out.qcow2'), { overwrite: true })
    expect((await stat(path('out.qcow2'))).size).toBeGreaterThan(mebibyte)
  })

  it('are refused with what their format does not have', () => {
    const convert = () => site.imagewright.convertImage(guest, path('out.raw'), { compression: 'zstd' })
    expect(convert).toThrow(expect.objectContaining({ code: 'INPUT_INVALID' }))
    const unknown = () => site.imagewright.convertImage(guest, path('out.qed'))
    expect(unknown).toThrow(expect.objectContaining({ code: 'FORMAT_UNKNOWN' }))
  })

  it('follow a backing file only when that is allowed', async () => {
    await site.copy(guest, `${tests}-below.raw`)
    const sink = await createFileSink(path('overlay.qcow2'))
    const backing = { backingFile: `${tests}-below.raw`, backingFormat: 'raw' as const }
    await writeQcow2Overlay(sink, { size: 12 * mebibyte, ...backing })
    await sink.finish()
    const refused = site.imagewright.convertImage(path('overlay.qcow2'), path('out.raw'))
    await expect(refused).rejects.toMatchObject({ code: 'IMAGE_BACKING_FILE' })
    await site.imagewright.convertImage(path('overlay.qcow2'), path('out.raw'), { allowBacking: true })
    expect(await sha256Of(path('out.raw'))).toBe(await sha256Of(guest))
    expect((await site.imagewright.inspect(path('overlay.qcow2'))).safety.accepted).toBe(false)
    const inspection = await site.imagewright.inspect(path('overlay.qcow2'), { allowBacking: true })
    expect(inspection).toMatchObject({ safety: { accepted: true }, guest: { system: { hostname: 'tiny' } } })
  })

  it('go to a stream', async () => {
    const output = new PassThrough()
    const received = buffer(output)
    await site.imagewright.convertToStream(guest, output, { format: 'qcow2', compression: 'zlib' })
    await writeFile(path('streamed.qcow2'), await received)
    await site.imagewright.convertImage(path('streamed.qcow2'), path('back.raw'))
    expect(await sha256Of(path('back.raw'))).toBe(await sha256Of(guest))
    const unnamed = site.imagewright.convertToStream(guest, new PassThrough())
    await expect(unnamed).rejects.toMatchObject({ code: 'FORMAT_UNKNOWN' })
    const raw = { format: 'raw', clusterSize: 4096 } as const
    const wrong = site.imagewright.convertToStream(guest, new PassThrough(), raw)
    await expect(wrong).rejects.toMatchObject({ code: 'INPUT_INVALID' })
  })

  it('stop going to a stream when they are cancelled', async () => {
    const output = new PassThrough({ highWaterMark: 1 })
    const controller = new AbortController()
    const writing = site.imagewright.convertToStream(guest, output, {
      format: 'raw',
      signal: controller.signal,
    })
    setTimeout(() => controller.abort(), 50)
    await expect(writing).rejects.toMatchObject({ code: 'CANCELLED' })
    expect(output.destroyed).toBe(true)
  })

  it.each(['local:base', 'local:web', 'file'])(
    'are exported from %s, as they are or clean',
    async (source) => {
      const reference = source === 'file' ? guest : source
      const plain = await site.imagewright.exportImage(reference, path('plain.raw'))
      expect(plain).toMatchObject({ cleaning: null, checksum: null })
      expect(await sha256Of(path('plain.raw'))).toBe(await sha256Of(guest))
      const clean = await site.imagewright.exportImage(reference, path('clean.qcow2'), { clean: {} })
      expect(clean.cleaning).toMatchObject({ changed: true, profile: 'default' })
      expect(await markersIn(path('clean.qcow2'))).toEqual([])
      expect(await site.imageNames()).toEqual(['base'])
    },
  )

  it('are cleaned in place, in one step, and the second time there is nothing to do', async () => {
    const disk = await site.copy(guest, `${tests}-disk.raw`)
    const planned = await site.imagewright.planCleaning(disk)
    await chmod(disk, 0o600)
    const before = await stat(disk)
    const first = await site.imagewright.cleanFile(disk)
    expect(first.cleaning!.entries).toEqual(planned.entries)
    expect(first).toMatchObject({ path: disk, format: 'raw', cleaning: { changed: true } })
    const after = await stat(disk)
    expect(after.ino).not.toBe(before.ino)
    expect(after.size).toBe(before.size)
    expect({ mode: after.mode, uid: after.uid }).toEqual({ mode: before.mode, uid: before.uid })
    expect(describeFound(await findMarkersInRaw(disk, secrets))).toEqual([])
    const second = await site.imagewright.cleanFile(disk)
    expect(second.cleaning).toMatchObject({ changed: false, entries: [] })
    expect(second.contentDigest).toBe(first.contentDigest)
    expect((await site.imagewright.planCleaning(disk)).entries).toEqual([])
  })

  it('are cleaned into another file, and stay as they are', async () => {
    const before = await sha256Of(guest)
    await site.imagewright.cleanFile(guest, { output: path('clean.qcow2'), clean: { profile: 'minimal' } })
    expect(await sha256Of(guest)).toBe(before)
    expect((await site.imagewright.inspect(path('clean.qcow2'))).format).toBe('qcow2')
    const again = (options: CleanFileRequest) =>
      site.imagewright.cleanFile(guest, { output: path('clean.qcow2'), ...options })
    await expect(again({})).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' })
    const smaller = await again({ overwrite: true, compression: 'zstd', checksum: 'sha256', durable: false })
    expect(smaller.checksum).toEqual({ algorithm: 'sha256', value: await sha256Of(path('clean.qcow2')) })
  })

  it('stay as they are when the cleaning is refused', async () => {
    const disk = path('empty.raw')
    await writeFile(disk, '')
    await truncate(disk, 4 * mebibyte)
    await expect(site.imagewright.cleanFile(disk)).rejects.toMatchObject({ code: 'GUEST_NOT_FOUND' })
    const wrong = site.imagewright.cleanFile(guest, { clean: { profile: 'nope' } })
    await expect(wrong).rejects.toMatchObject({ code: 'CLEANING_PROFILE_UNKNOWN' })
    expect((await stat(disk)).size).toBe(4 * mebibyte)
    const jobs = await (await site.imagewright.jobs()).list()
    expect(jobs.slice(0, 2).map(({ status }) => status)).toEqual(['undone', 'undone'])
  })

  it('of a cloud are cleaned into a new image beside the old one', async () => {
    const result = await site.imagewright.cleanStoredImage('local:base')
    expect(result.image).toMatchObject({ name: 'base (clean)', visibility: 'private' })
    const base = await site.imagewright.images.show('local:base')
    expect(result.image.properties.imagewright_source).toBe(`local:${base.id}`)
    await site.imagewright.downloadImage('local:base (clean)', path('stored'))
    expect(await markersIn(path('stored'))).toEqual([])
    await expect(site.imagewright.cleanStoredImage('local:base')).rejects.toMatchObject({
      code: 'NAME_TAKEN',
    })
    const named = await site.imagewright.cleanStoredImage('local:base', {
      name: 'shared',
      storage: { visibility: 'public' },
    })
    expect(named.image).toMatchObject({ name: 'shared', visibility: 'public' })
    for (const name of ['base (clean)', 'shared']) await site.imagewright.images.delete(`local:${name}`)
  })

  it('are stored byte for byte, and come back so', async () => {
    await site.imagewright.convertImage(guest, path('odd.qcow2'), { compression: 'zlib', clusterSize: 8192 })
    const expected = await sha256Of(path('odd.qcow2'))
    const stored = await site.imagewright.uploadImage(path('odd.qcow2'), 'local:verbatim')
    expect(stored).toMatchObject({
      contentDigest: null,
      containerDigest: expected,
      image: { format: 'qcow2', checksums: { sha256: expected } },
    })
    const downloaded = await site.imagewright.downloadImage('local:verbatim', path('back.qcow2'))
    expect(downloaded).toMatchObject({
      digests: { sha256: expected },
      compared: ['sha256'],
      path: path('back.qcow2'),
    })
    expect(await sha256Of(path('back.qcow2'))).toBe(expected)
    const output = new PassThrough()
    const received = buffer(output)
    const streamed = await site.imagewright.downloadToStream('local:verbatim', output)
    expect(streamed.digests.sha256).toBe(expected)
    expect(await received).toHaveLength((await stat(path('odd.qcow2'))).size)
    const again = site.imagewright.downloadImage('local:verbatim', path('back.qcow2'))
    await expect(again).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' })
    await site.imagewright.images.delete('local:verbatim')
  })

  it.each([
    ['cleaned', { clean: {} }],
    ['compressed', { storage: { compression: 'zstd' } }],
    ['in another format', { storage: { format: 'qcow2' } }],
  ] as const)('are stored in a new container when they are to be %s', async (_name, request) => {
    const stored = await site.imagewright.uploadImage(guest, 'local:new', request)
    expect(stored.containerDigest).toBeNull()
    expect(stored.image.properties).toMatchObject({
      imagewright_content_sha256: stored.contentDigest,
      imagewright_source: 'file:guest.raw',
    })
    expect(stored.cleaning === null).toBe(!('clean' in request))
    await site.imagewright.images.delete('local:new')
  })

  it('that are hostile are described and never opened', async () => {
    // Those that need a permission to come near anybody have tests of their own.
    const plain = ['name', 'expected', 'build', 'qemuImgCheck']
    const corpus = hostileImages.filter(
      (image) => !image.expected.accepted && Object.keys(image).every((key) => plain.includes(key)),
    )
    for (const image of corpus.filter((_, index) => index % 10 === 0)) {
      const disk = path(`hostile-${corpus.indexOf(image)}`)
      await image.build(disk)
      const inspection = await site.imagewright.inspect(disk)
      expect({ name: image.name, accepted: inspection.safety.accepted }).toEqual({
        name: image.name,
        accepted: false,
      })
      expect(inspection).toMatchObject({ virtualSize: null, dataSize: null, guest: null })
      const upload = site.imagewright.uploadImage(disk, 'local:hostile')
      await expect(upload, image.name).rejects.toMatchObject({ code: image.expected.code })
      const convert = site.imagewright.convertImage(disk, path('never.raw'))
      await expect(convert, image.name).rejects.toMatchObject({ code: image.expected.code })
    }
    expect(await site.imageNames()).toEqual(['base'])
  })

  it('are inspected, in a cloud as well', async () => {
    for (const thing of [guest, 'local:base', `file://${guest}`]) {
      const inspection = await site.imagewright.inspect(thing)
      expect(inspection).toMatchObject({
        format: 'raw',
        size: 12 * mebibyte,
        virtualSize: 12 * mebibyte,
        safety: { accepted: true },
        guestProblem: null,
        guest: { partitionScheme: 'mbr', system: { os: { id: 'tiny' }, hostname: 'tiny' } },
      })
      expect(inspection.dataSize).toBeGreaterThan(0)
      expect(inspection.dataSize).toBeLessThanOrEqual(12 * mebibyte)
    }
    const declared = await site.imagewright.inspect(guest, { format: 'qcow2' })
    expect(declared.safety.accepted).toBe(false)
  })

  it('without a system, or without anything, are inspected too', async () => {
    const disk = path('data.raw')
    await writeFile(disk, '')
    await truncate(disk, 8 * mebibyte)
    const empty = await site.imagewright.inspect(disk)
    expect(empty).toMatchObject({ safety: { accepted: true }, dataSize: 0 })
    const place = { offset: 0, length: 8 * mebibyte, uuid: crypto.randomUUID() }
    await makeExt4(disk, [file('/photos/one', 'x')], place)
    expect(await site.imagewright.inspect(disk)).toMatchObject({
      guest: { system: null, volumes: [{ filesystem: 'ext4' }] },
    })
    await expect(site.imagewright.planCleaning(disk)).rejects.toMatchObject({ code: 'GUEST_NOT_FOUND' })
  })
})
